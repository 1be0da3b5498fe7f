"""Request bodies: bounded JSON, read into the values that the service takes, with a sentence about what is wrong."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Request
from pydantic import AfterValidator, Field

from ccterm.api.limits import JSON_DEPTH
from ccterm.api.problems import HttpProblem, checked
from ccterm.draft import task_text
from ccterm.git.bounded_json import OutOfBounds, read_json
from ccterm.values import Value

V = TypeVar("V", bound=Value)


class Nothing(Value):
    """The body of an order that needs none."""


class CancelBody(Value):
    """The body of `cancel`."""

    now: Annotated[bool, Field(description="Kill at once and keep nothing")] = False


class SteerBody(Value):
    """The body of `steer`."""

    text: Annotated[str, AfterValidator(task_text), Field(description="What to tell the agent")]


class ContinueBody(Value):
    """The body of `continue`."""

    text: Annotated[str, AfterValidator(task_text), Field(description="What is to be done now")]
    branch: Annotated[str | None, Field(description="A new branch instead, from where the run began")] = None
    fresh: Annotated[bool, Field(description="Begin a new conversation, which is told what came of the earlier one")] = False


class ApplyBody(Value):
    """The body of `apply`."""

    paths: Annotated[tuple[str, ...], Field(description="Only these changed files")] = ()


async def body_object(request: Request) -> Mapping[str, Any]:
    """Return the body, which must be a JSON object; an empty one counts as {}. Raises HttpProblem."""
    data = await request.body()
    try:
        found = read_json(data, depth=JSON_DEPTH, constant=_refused_constant, pairs=_once_each) if data.strip() else {}
    except OutOfBounds as error:
        raise HttpProblem(400, "too-much-json", f"the body holds {error}", "send less") from error
    except ValueError as error:
        raise HttpProblem(400, "not-json", f"the body is not JSON: {error}", "send one JSON object in UTF-8") from error
    if not isinstance(found, dict):
        raise HttpProblem(422, "not-an-object", "the body is not a JSON object", 'send one, such as {"task": "Add a LICENSE"}')
    return found


async def body_of(request: Request, kind: type[V]) -> V:
    """Return the body as a value. Raises HttpProblem."""
    return checked(await body_object(request), kind)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is given twice")
    return found


def _refused_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")
