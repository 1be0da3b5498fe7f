"""What an engine keeps across sessions: objects by id, and finished work by the chain of calls that asked for it."""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.dagger_engine.execs import Ran, make_shims
from tests.dagger_engine.graph import Fault, Thing
from tests.dagger_engine.images import FakeImage
from tests.dagger_engine.logs import Logs


class Shared:
    """Work that several queries may wait for. It is cancelled when the last of them is gone."""

    def __init__(self, work: Awaitable[Ran]) -> None:
        self.task = asyncio.ensure_future(work)
        self._waiting = 0

    async def result(self) -> Ran:
        """Wait for it."""
        self._waiting += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self.task.done():
                self.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self.task

    @property
    def worthless(self) -> bool:
        """Whether it failed or was cancelled, so that the next query does it again."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class Store:
    """Everything, in one directory."""

    def __init__(self, directory: Path, images: Mapping[str, FakeImage]) -> None:
        self._directory, self.images = directory, images
        self.shims = make_shims(directory / "shims")
        self.executed: list[tuple[str, ...]] = []
        """The arguments of every exec that ran, in order; cached ones are not in it."""
        self._done: dict[str, Shared] = {}
        self._things: dict[str, Thing] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def fresh(self, kind: str) -> Path:
        """Return an unused path."""
        (self._directory / kind).mkdir(exist_ok=True)
        return self._directory / kind / secrets.token_hex(8)

    def cache(self, key: str) -> Path:
        """Return the directory of a cache volume."""
        path = self._directory / "caches" / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    def identity(self, thing: Thing) -> str:
        """Return the id of an object: short and opaque."""
        key = (thing.kind, thing.chain.digest)
        if key not in self._ids:
            self._ids[key] = base64.b64encode(f"{thing.kind} {len(self._ids)}".encode()).decode()
        self._things[self._ids[key]] = thing
        return self._ids[key]

    def thing(self, identity: str) -> Thing:
        """Return the object with an id. Raises Fault."""
        if identity not in self._things:
            raise Fault(f'init arg "id" value as dagql.AnyID (ID!) using dagql.AnyID: invalid ID string: {identity[:40]}')
        return self._things[identity]

    async def once(self, key: str, work: Callable[[], Awaitable[Ran]]) -> Ran:
        """Do some work once for all callers, now or later; failures are not kept."""
        shared = self._done.get(key)
        if shared is None or shared.worthless:
            shared = self._done[key] = Shared(work())
        return await shared.result()

    async def stop(self) -> None:
        """Cancel all work in progress."""
        tasks = [shared.task for shared in self._done.values() if not shared.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Query:
    """One request. trace, span: in hex, for the log records of what it starts."""

    store: Store
    logs: Logs
    secrets: dict[str, str]
    """The session's secrets: name -> last value."""
    trace: str
    span: str
    snapshots: dict[str, Thing] = field(default_factory=dict)
    """The session's snapshots of host directories, which are read only once."""

    def thing(self, identity: str) -> Thing:
        """Return the object with an id. Raises Fault."""
        return self.store.thing(identity)

    def traced(self, message: str) -> str:
        """Return a message with the trace, as errors of execs have it."""
        return f"{message} [traceparent:{self.trace}-{self.span}]"
