"""Arguments and flags that several commands share, those of a task made from its description, and how a command ends."""

import inspect
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer
from typer.models import OptionInfo

from ccterm.task_fields import FIELDS, TaskField

F = TypeVar("F", bound=Callable[..., None])
_TYPES = {"text": str | None, "texts": list[str] | None, "number": float | None, "count": int | None, "switch": bool}
_MOST_DIGITS = 18
"""Of a count: Python itself refuses to read thousands, and no column of a database holds more."""
_LONGEST = 60
"""Of what a user typed, when a refusal repeats it."""


def leave(code: int) -> None:
    """End the program with an exit code."""
    raise typer.Exit(code)


def option(name: str, sentence: str = "") -> OptionInfo:
    """Return the flag of a task's field; sentence: help text where that of a task does not fit."""
    field = FIELDS[name]
    made: OptionInfo = typer.Option(
        *field.flags,
        help=sentence or field.sentence,
        metavar=field.metavar or (f"<{'|'.join(field.choices)}>" if field.choices else None),
        parser=_PARSERS.get(field.kind),
        callback=_one_of(field.choices) if field.choices else None,
        autocompletion=(lambda: list(field.choices)) if field.choices else _completion(name),
    )
    return made


def _completion(name: str) -> Callable[[str], list[tuple[str, str]]] | None:
    if name not in ("agent", "model", "base", "branch", "egress"):
        return None

    def offered(begin: str) -> list[tuple[str, str]]:
        from ccterm.cli.completion import values_like  # deferred: only the shell asks

        return values_like(name, begin)

    return offered


def count(least: int | None = None, most: int | None = None) -> Callable[[str | int], int]:
    """Return what reads a whole number, which typer would refuse in pydantic's words. Typer has it read defaults, too.

    Without a least number the caller sees to what is too small, as the model of a task does.
    """

    def read(text: str | int) -> int:
        if isinstance(text, int):
            return text
        digits = text.removeprefix("-")
        if not digits.isascii() or not digits.isdecimal():
            raise typer.BadParameter(f"{shown(text)} is not a whole number; {wanted}")
        if len(digits) > _MOST_DIGITS:
            raise typer.BadParameter(f"{shown(text)} has too many digits; {wanted}")
        if least is not None and int(text) < least:
            raise typer.BadParameter(f"{text} is too small; {wanted}")
        if most is not None and int(text) > most:
            raise typer.BadParameter(f"{text} is too large; {wanted}")
        return int(text)

    wanted = "give one such as 3"
    if least is not None:
        wanted = f"give a number from {least} to {most}" if most is not None else f"give a number from {least} up"
    return read


def number(text: str | float) -> float:
    """Read a number, as `count` does."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{shown(str(text))} is not a number; give one such as 2.5") from None


def shown(text: str) -> str:
    """Return what a user typed, in quotes, shortened and safe to print."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


_PARSERS: dict[str, Callable[[str], float]] = {"count": count(), "number": number}


def _one_of(choices: tuple[str, ...]) -> Callable[[str | None], str | None]:
    """Return what refuses other values. No enum: of one typer says "Value error" before it says what is wrong."""

    def checked(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise typer.BadParameter(f"{shown(value)} is unknown; give {' or '.join(choices)}")
        return value

    return checked


def with_task_flags(command: F) -> F:
    """Give a command that takes **fields a flag for each field of a task; typer reads a function's signature."""
    own = inspect.signature(command).parameters.values()
    before = [each for each in own if each.kind is not inspect.Parameter.VAR_KEYWORD]
    at = next((number for number, each in enumerate(before) if each.kind is inspect.Parameter.KEYWORD_ONLY), len(before))
    flags = [_parameter(name, field) for name, field in FIELDS.items() if field.flags]
    vars(command)["__signature__"] = inspect.Signature([*before[:at], *flags, *before[at:]])
    return command


def _parameter(name: str, field: TaskField) -> inspect.Parameter:
    default = False if field.kind == "switch" else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[_TYPES[field.kind], option(name)])


def given(fields: dict[str, object]) -> dict[str, object]:
    """Return the fields that were given: a switch that is off and a repeatable flag without values say nothing."""
    return {name: value for name, value in fields.items() if value is not None and value is not False and value != []}


def runs_like(begin: str) -> list[tuple[str, str]]:
    """Return runs that begin so, for the shell."""
    from ccterm.cli import completion  # deferred: only the shell asks

    return completion.runs_like(begin)


RUN = typer.Argument(metavar="RUN", help="A run's number, its branch, the beginning of its id, or `last`.", autocompletion=runs_like)
RunRef = Annotated[str, RUN]
AllowDeletions = Annotated[int | None, option("allow_deletions")]
AllowLines = Annotated[int | None, option("allow_lines")]
AllowFiles = Annotated[int | None, option("allow_files")]
AllowPath = Annotated[list[str] | None, option("allow_path")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
