"""What an engine keeps for all its sessions: things by their ids, the work that was done, by the chain of calls that asked for it."""

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
    """Work that several queries may wait for. It ends when the last of them is gone."""

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
        """Whether it failed or was ended: the next who asks does it again."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class Store:
    """Everything below one directory."""

    def __init__(self, directory: Path, images: Mapping[str, FakeImage]) -> None:
        self._directory, self.images = directory, images
        self.shims = make_shims(directory / "shims")
        self.executed: list[tuple[str, ...]] = []
        """The arguments of every exec that was carried out, in order: nothing that came from the cache."""
        self._done: dict[str, Shared] = {}
        self._things: dict[str, Thing] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def fresh(self, kind: str) -> Path:
        """Return a path that nobody has used."""
        (self._directory / kind).mkdir(exist_ok=True)
        return self._directory / kind / secrets.token_hex(8)

    def cache(self, key: str) -> Path:
        """Return the directory of a cache volume."""
        path = self._directory / "caches" / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    def identity(self, thing: Thing) -> str:
        """Return the id of a thing: short, and of no meaning."""
        key = (thing.kind, thing.chain.digest)
        if key not in self._ids:
            self._ids[key] = base64.b64encode(f"{thing.kind} {len(self._ids)}".encode()).decode()
        self._things[self._ids[key]] = thing
        return self._ids[key]

    def thing(self, identity: str) -> Thing:
        """Return the thing of an id. Raises Fault."""
        if identity not in self._things:
            raise Fault(f'init arg "id" value as dagql.AnyID (ID!) using dagql.AnyID: invalid ID string: {identity[:40]}')
        return self._things[identity]

    async def once(self, key: str, work: Callable[[], Awaitable[Ran]]) -> Ran:
        """Do something once for all who ask for it, now or later; what fails is forgotten."""
        shared = self._done.get(key)
        if shared is None or shared.worthless:
            shared = self._done[key] = Shared(work())
        return await shared.result()

    async def stop(self) -> None:
        """End everything that is being done."""
        tasks = [shared.task for shared in self._done.values() if not shared.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Query:
    """One request as things see it. trace, span: hex, under which what it starts is logged."""

    store: Store
    logs: Logs
    secrets: dict[str, str]
    """Of the session: name -> its last value."""
    trace: str
    span: str
    snapshots: dict[str, Thing] = field(default_factory=dict)
    """Of the session: host directories that were read once and are not read again."""

    def thing(self, identity: str) -> Thing:
        """Return the thing of an id. Raises Fault."""
        return self.store.thing(identity)

    def traced(self, message: str) -> str:
        """Return a message as errors of execs carry it."""
        return f"{message} [traceparent:{self.trace}-{self.span}]"
