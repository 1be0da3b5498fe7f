"""The parts of docs/python.md that come from the code: programs, and tables of what the Python API offers."""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import FunctionType, NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import ccterm
from ccterm import errors, events
from ccterm.api.field_docs import meanings
from ccterm.causes import ADVICE
from ccterm.models import Run
from ccterm.service.protocol import Service
from ccterm.task_fields import FIELDS
from scripts.docs_tables import table

_PROGRAMS = Path(__file__).parents[1] / "tests" / "programs"
_ELSEWHERE = ("Service", "AgentService", "Run", "Cause", "errors", "events", "__version__")
"""Names that the page explains in other places than the table of values."""
FOR_FRONTENDS = frozenset(
    {
        "acting_for",
        "branches",
        "commit",
        "look_again",
        "make_way",
        "perform",
        "plan",
        "refused",
        "renewed",
        "restart",
        "shell",
        "state",
    }
)
"""What a service has for ccterm's own frontends; the page is silent about it."""


def program(name: str) -> Callable[[], str]:
    """Return what shows a program of tests/programs."""
    return lambda: f"```python\n{(_PROGRAMS / f'{name}.py').read_text('utf-8')}```\n"


def task_fields_part() -> str:
    """Return the fields of a task."""
    types = get_type_hints(ccterm.DraftFields)
    rows = ((f"`{name}`", f"`{_given(types[name])}`", field.for_programs) for name, field in FIELDS.items())
    return table(("field", "type", "meaning"), rows)


def _given(annotation: object) -> str:
    """Return the type of a field that may be left out: nobody needs to be told of None and of the enumeration."""
    return _type(annotation).removesuffix(" | None").removesuffix(" | ExecutionMode")


def _type(annotation: object) -> str:
    """Return a type as people write it."""
    parts = [_type(part) for part in get_args(annotation)]
    match get_origin(annotation):
        case origin if origin in (Union, UnionType):
            return " | ".join(parts)
        case origin if origin is Literal:
            return " | ".join(f'"{value}"' for value in get_args(annotation))
        case None:
            return "None" if annotation is NoneType else "..." if annotation is ... else str(getattr(annotation, "__name__", annotation))
        case origin:
            return f"{origin.__name__}[{', '.join(parts)}]"


def service_part() -> str:
    """Return the methods of a service."""
    methods = {name: found for name, found in _members(Service) if name not in FOR_FRONTENDS}
    return table(("method", "what it does"), ((f"`{name}{_signature(found)}`", _first(found)) for name, found in sorted(methods.items())))


def _members(kind: type) -> Iterator[tuple[str, FunctionType]]:
    for name in dir(kind):
        found = inspect.getattr_static(kind, name)
        if isinstance(found, FunctionType) and not name.startswith("_"):
            yield name, found


def _signature(function: FunctionType) -> str:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    starred, names = False, []
    for each in parameters:
        if each.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            starred = True
            names.append("*")
        more = "" if each.default is inspect.Parameter.empty else "=…"
        names.append(f"**{each.name}" if each.kind is inspect.Parameter.VAR_KEYWORD else f"{each.name}{more}")
    return f"({', '.join(names)})"


def _first(documented: object) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n", 1)[0].split())


def values_part() -> str:
    """Return what the package exports beside service, run and cause."""
    names = [name for name in ccterm.__all__ if name not in _ELSEWHERE]
    return table(("name", "what it is"), ((f"`{name}`", _told(name)) for name in names))


def _told(name: str) -> str:
    found = getattr(ccterm, name)
    if isinstance(found, type) and issubclass(found, Enum):
        return f"{_first(found)} {', '.join(f'`{each.value}`' for each in found)}."
    if isinstance(found, type | FunctionType):
        return _first(found)
    home = next(home for home, names in ccterm._HOMES.items() if name in names)
    return _assigned(f"ccterm.{home}", name)


def _assigned(module: str, name: str) -> str:
    """Return the docstring below an assignment."""
    body = ast.parse(inspect.getsource(import_module(module))).body
    for at, each in enumerate(body):
        targets: Sequence[ast.expr] = each.targets if isinstance(each, ast.Assign) else ()
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            match body[at + 1]:
                case ast.Expr(value=ast.Constant(value=str(told))):
                    return " ".join(told.split())
    raise LookupError(f"{module}.{name} has no docstring")


def run_part() -> str:
    """Return the fields of a run document."""
    told = meanings(Run)
    rows = ((f"`{name}`", f"`{_type(field.annotation)}`", " ".join(told.get(name, "").split())) for name, field in Run.model_fields.items())
    return table(("field", "type", "meaning"), rows)


def causes_part() -> str:
    """Return the causes with what they mean and what to do."""
    return table(
        ("cause", "meaning", "what to do"),
        ((f"`{cause.value}`", advice.sentence, _code(advice.action)) for cause, advice in ADVICE.items()),
    )


def _code(action: str) -> str:
    return action.replace("{run}", "RUN").replace("{deliver}", "push")


def events_part() -> str:
    """Return the kinds of events with their fields."""
    kinds = [getattr(events, name) for name in events.__all__ if name not in ("Event", "Fact")]
    own = {"seq", "at", "run", "kind"}
    return table(
        ("class", "kind", "fields", "meaning"),
        (
            (
                f"`{each.__name__}`",
                f"`{each.model_fields['kind'].default}`",
                ", ".join(f"`{name}`" for name in (*each.model_fields, *each.model_computed_fields) if name not in own),
                _first(each),
            )
            for each in kinds
        ),
    )


def errors_part() -> str:
    """Return the errors with their bases."""
    kinds = [getattr(errors, name) for name in errors.__all__]
    return table(("class", "is a", "meaning"), ((f"`{each.__name__}`", f"`{each.__base__.__name__}`", _first(each)) for each in kinds))


PARTS: Mapping[str, Callable[[], str]] = {
    **{f"program {name}": program(name) for name in ("one_task", "many_tasks", "steered")},
    "task fields": task_fields_part,
    "service": service_part,
    "values": values_part,
    "run document": run_part,
    "causes": causes_part,
    "events": events_part,
    "errors": errors_part,
}
