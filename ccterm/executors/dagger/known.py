"""Things of an engine that are asked for their id once: the SDK asks anew in every query that names one, and a run names a dozen."""

import asyncio
from typing import TypeVar, cast

from dagger.client.base import Type

T = TypeVar("T", bound=Type)
_ANSWER = "_answer"
_KINDS: dict[type[Type], type[Type]] = {}


def asked_once(thing: T) -> T:
    """Return the thing as one that asks for its id when it is first named, and knows it then."""
    kind = type(thing)
    if kind not in _KINDS:
        _KINDS[kind] = _kind(kind)
    return cast("T", _KINDS[kind](thing._ctx))  # what it selects is its whole state


def synced(thing: T) -> T:
    """Return what `sync` returned as one that knows its id: it is what the engine answered."""
    known = asked_once(thing)
    answer = asyncio.get_running_loop().create_future()
    answer.set_result(thing._ctx.selections[0].args["id"])  # the SDK makes `node(id:)` of it
    setattr(known, _ANSWER, answer)
    return known


def _kind(kind: type[Type]) -> type[Type]:
    """Return the class with an `id` of ours; its name, by which the SDK knows the type in the schema, stays."""

    async def identity(self: Type) -> str:
        answer: asyncio.Future[str] | None = getattr(self, _ANSWER, None)
        if answer is None or (answer.done() and (answer.cancelled() or answer.exception())):
            answer = asyncio.ensure_future(kind.id(self))  # type: ignore[attr-defined]  # each kind but the query itself has it
            setattr(self, _ANSWER, answer)
        return await asyncio.shield(answer)

    return type(kind.__name__, (kind,), {"id": identity})
