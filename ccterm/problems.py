"""Explains validation errors to the user: which key, what it accepts, which key was probably meant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ccterm.errors import UsageError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]
_WRONG = {
    "string_too_short": ("is empty", "write something"),
    "string_too_long": ("is too long", "write at most {max_length:,} characters"),
    "string_type": ("is not text", "write text, in quotes"),
    "path_type": ("is not a path", "write it as text, in quotes"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), ("is not a whole number", "write one such as 3")),
    **dict.fromkeys(("float_type", "float_parsing"), ("is not a number", "write one such as 2.5")),
    "finite_number": ("is not a finite number", "write one such as 10"),
    "greater_than_equal": ("is too small", "give at least {ge}"),
    "less_than_equal": ("is too large", "give at most {le}"),
    "greater_than": ("is too small", "give more than {gt}"),
    "less_than": ("is too large", "give less than {lt}"),
    "too_short": ("has too few entries", "give at least {min_length}"),
    "too_long": ("has too many entries", "give at most {max_length}"),
    **dict.fromkeys(("bool_type", "bool_parsing"), ("is neither true nor false", "write true or false")),
    **dict.fromkeys(("literal_error", "enum"), ("has an unknown value", "give {expected}")),
    **dict.fromkeys(("dict_type", "model_type"), ("is not a table", "write keys and values")),
    **dict.fromkeys(("tuple_type", "list_type"), ("is not a list", 'write it in brackets: ["…"]')),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware"),
        ("is not a time with its offset", "write it as 2026-01-31T12:00:00Z"),
    ),
    "string_pattern_mismatch": ("does not have the form that it needs", "it must match {pattern}"),
}
"""pydantic's name of an error -> what is wrong, and what to write instead."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. at: the keys that lead to it. text: one clause that names the key. fix: what to write instead, or ""."""

    at: Loc
    text: str
    fix: str


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean …" with the closest known word, else the list of all."""
    names = sorted(known)
    swapped = [name for name in names if sorted(name) == sorted(word)]
    close = swapped or get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known keys are {', '.join(names)}"


def problem(error: ValidationError, model: type[BaseModel]) -> Problem:
    """Return the first problem of a validation error, unknown keys before all others."""
    found = error.errors(include_url=False, include_input=False)
    return _problem(next((one for one in found if one["type"] == "extra_forbidden"), found[0]), model)


def all_problems(values: Mapping[str, Any], model: type[M], context: Mapping[str, Any] | None = None) -> tuple[M, Sequence[Problem]]:
    """Return the model of values without those that are wrong, and what is wrong with each of these.

    Some faults show only once others are gone: a rule about two keys is asked when both are sound. So what is wrong is taken out until the rest is sound.
    """
    left, found = _with_own_tables(values), list[Problem]()
    while True:
        sound, news = _validated(left, model, context)
        found += news
        if sound is not None:
            return sound, found
        cuts = [_existing(left, each.at) for each in news]
        if not all(cuts):  # a rule of the whole is broken, between its keys
            cut: Loc = next(
                ((key,) for key in left if _validated({each: left[each] for each in left if each != key}, model, context)[0]), ()
            )
            cuts = [cut]
        if cuts == [()]:
            return model.model_construct(), found
        for cut in cuts:
            _take_out(left, cut)


def _validated(values: dict[str, Any], model: type[M], context: Mapping[str, Any] | None) -> tuple[M | None, Sequence[Problem]]:
    try:
        return model.model_validate(values, context=dict(context or {})), ()
    except ValidationError as error:
        return None, [_problem(one, model) for one in error.errors(include_url=False, include_input=False)]


def _existing(values: object, at: Loc) -> Loc:
    """Return the keys at the begin of a location that there are; what is in a list is not told apart."""
    if at and isinstance(values, dict) and at[0] in values:
        return (at[0], *_existing(values[at[0]], at[1:]))
    return ()


def _with_own_tables(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy from which keys can be taken out. Not by recursion: a file may nest tables as deeply as it likes."""
    copied = dict(values)
    waiting: list[dict[str, Any]] = [copied]
    while waiting:
        table = waiting.pop()
        for key, value in table.items():
            if isinstance(value, dict):
                table[key] = dict(value)
                waiting.append(table[key])
    return copied


def _take_out(values: dict[Any, Any], at: Loc) -> None:
    for part in at[:-1]:
        values = values.get(part, {})
    for part in at[-1:]:
        values.pop(part, None)


def _problem(first: "ErrorDetails", model: type[BaseModel]) -> Problem:
    at: Loc = tuple(part for part in first["loc"] if part != "[key]")
    name = _name(at)
    if first["type"] == "extra_forbidden":
        known = keys(model_at(model, at[:-1]))
        twice = str(at[-1]) in known
        return (
            Problem(at, f"{name} is given under two names", "keep one")
            if twice
            else Problem(at, f"unknown key {name}", nearest(str(at[-1]), known))
        )
    if first["type"] == "missing":
        return Problem(at, f"{name} is missing", "add it")
    if first["type"] == "value_error":
        text, _, fix = first["msg"].removeprefix("Value error, ").partition("; ")
        return Problem(at, f"{name} {text}", fix)
    text, fix = wrong(first["type"], first.get("ctx", {}), first["msg"])
    return Problem(at, f"{name} {text}", fix)


def wrong(kind: str, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """Return in our words what pydantic has against a value, and what to write instead. kind, context, message: as it says it."""
    text, fix = _WRONG.get(kind, ("is not valid", message.rstrip(".")))
    numbers = {name: f"{value:.15g}" if isinstance(value, float) else value for name, value in context.items()}
    return text, fix.format_map(numbers) if kind in _WRONG else fix


def usage_error(error: ValidationError, model: type[BaseModel]) -> UsageError:
    """Return the first problem of arguments, whose names need no quotes."""
    found = problem(error, model)
    return UsageError(found.text.replace('"', "", 2), found.fix)


def _name(at: Loc) -> str:
    """Return the keys that lead to a value as people write them: lists are not counted, since the value says which one it is."""
    if not at:
        return "the file"
    numbers = [position for position, part in enumerate(at) if isinstance(part, int)]
    outer, inner = (at[: numbers[0]], at[numbers[-1] + 1 :]) if numbers else (at, ())
    names = [quoted(".".join(map(str, part))) for part in (inner, outer) if part]
    return " in ".join(names)


def quoted(name: str) -> str:
    """Return a name from a file in quotes, shortened and safe to print."""
    return '"' + "".join(char if char.isprintable() else "�" for char in name[:80]) + '"'


def keys(model: type[BaseModel] | None) -> Sequence[str]:
    """Return the keys of a model as they may be written in files."""
    return [key for name, field in model.model_fields.items() for key in _spellings(name, field)] if model else []


def _spellings(name: str, field: FieldInfo) -> Sequence[str]:
    if isinstance(field.validation_alias, AliasChoices):
        return [choice for choice in field.validation_alias.choices if isinstance(choice, str)]
    return [field.alias or name]


def model_at(model: type[BaseModel], at: Loc) -> type[BaseModel] | None:
    """Return the model at a location inside another one."""
    here: object = model
    for part in at:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {key: field for name, field in here.model_fields.items() for key in _spellings(name, field)}
            here = fields[str(part)].annotation if str(part) in fields else None
        else:  # a key of a table of tables, such as [repo."…"]
            here = _inner(here)
    return _model(here)


def _inner(annotation: object) -> object:
    return next((found for found in get_args(annotation) if _model(found)), None)


def _model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in get_args(annotation) if isinstance(found, type) and issubclass(found, BaseModel)), None)
