"""One Dagger engine of the pool: its sessions are opened on demand, and again after the engine was gone."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from ccterm.errors import CctermError
from ccterm.models import RunId

if TYPE_CHECKING:  # the SDK is imported when an engine is first used
    from ccterm.executors.dagger.images import Images
    from ccterm.executors.dagger.session import Session

RUNS_PER_SESSION = 80
"""A connection carries a hundred requests at once; more would wait silently."""
_MAX_PAUSE = 30.0
Reached = Callable[[], Awaitable[None]]
"""Tells that an engine was reached, and waits until somebody needs a session with it."""
Open = Callable[[Reached], AbstractAsyncContextManager["tuple[Session, Images]"]]
_log = logging.getLogger(__name__)


class SessionLease:
    """One session, kept open by its own task for as long as runs use it."""

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._stop, self._reached, self._needed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._ready: asyncio.Future[tuple[Session, Images]] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._keep())
        self._task.add_done_callback(self._ended)
        self.runs: set[RunId] = set()
        self.count = 0
        """How many runs it has had in total."""

    async def _keep(self) -> None:
        try:
            async with self._open(self._wait_until_needed) as opened:
                self._ready.set_result(opened)
                await self._stop.wait()
        except CctermError as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            _log.debug("session: %s", error)

        finally:
            self._reached.set()

    async def _wait_until_needed(self) -> None:
        self._reached.set()
        await self._needed.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Pass an unexpected error on to the runs that wait for the session."""
        if not task.cancelled() and (error := task.exception()) and not self._ready.done():
            self._ready.set_exception(error)

    async def reach(self) -> None:
        """Wait until the engine is reached; connecting goes on when the session is needed. Raises PreflightError when that fails."""
        await self._reached.wait()
        if self._ready.done():
            self._ready.result()

    async def get(self) -> "tuple[Session, Images]":
        """Return the session once it is connected. Raises PreflightError when that fails."""
        self._needed.set()
        return await asyncio.shield(self._ready)

    async def answers(self) -> bool:
        """Return whether its engine answers."""
        try:
            session, _ = await self.get()
        except CctermError:  # what was reached before is gone by now; another session may still be had
            return False
        return await session.answers()

    @property
    def usable(self) -> bool:
        """Whether it is connected, or connecting, and may take another run."""
        broken = self._task.done() or (
            self._ready.done() and (self._ready.exception() is not None or self._ready.result()[0].lost.is_set())
        )
        return not broken and not self._stop.is_set() and self.count < RUNS_PER_SESSION

    async def close(self) -> None:
        """End the session and whatever still runs on it."""
        self._stop.set()
        if not self._ready.done():
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._task])
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # `get` has raised it already; asyncio need not warn


class Engine:
    """One engine. name: for messages. capacity: how many runs it is meant for. changed: called when `trouble` changes."""

    def __init__(self, name: str, open_: Open, *, capacity: int | None = None, changed: Callable[[], None]) -> None:
        self.name, self.capacity = name, capacity
        self.trouble = ""
        """Why it takes no runs now, or ""."""
        self._open, self._changed = open_, changed
        self._leases: list[SessionLease] = []
        self._opening = asyncio.Lock()
        self._arriving = 0
        self._reconnecting: asyncio.Task[None] | None = None

    @property
    def load(self) -> float:
        """Number of runs, as a fraction of the capacity where it has one."""
        runs = self._arriving + sum(len(lease.runs) for lease in self._leases)
        return runs / self.capacity if self.capacity else float(runs)

    @property
    def full(self) -> bool:
        """Whether it has as many runs as it takes."""
        return self.capacity is not None and self.load >= 1

    @asynccontextmanager
    async def leased(self, run: RunId) -> AsyncIterator["tuple[Session, Images]"]:
        """Keep a run on one session for the duration of the block. Raises PreflightError when the engine cannot be reached."""
        self._arriving += 1  # counted at once, so that a concurrent run sees this engine's load
        try:
            lease = await self._current()
            lease.runs.add(run)
            lease.count += 1
        finally:
            self._arriving -= 1
        try:
            yield await lease.get()
        finally:
            lease.runs.discard(run)
            if not lease.usable and not lease.runs:
                await self._drop(lease)

    async def reach(self) -> None:
        """Make sure that it can be reached. Raises PreflightError."""
        async with self._opening:
            if not any(lease.usable for lease in self._leases):
                await self._add(SessionLease.reach)

    async def _current(self) -> SessionLease:
        async with self._opening:
            for lease in self._leases:
                if lease.usable and await lease.answers():
                    return lease
            return await self._add(SessionLease.get)

    async def _add(self, wait: Callable[[SessionLease], Awaitable[object]]) -> SessionLease:
        """Open another session in place of those that are of no more use. wait: for how much of it."""
        for lease in [each for each in self._leases if not each.runs]:
            await self._drop(lease)
        fresh = SessionLease(self._open)
        self._leases.append(fresh)
        try:
            await wait(fresh)
        except BaseException:
            await self._drop(fresh)
            raise
        return fresh

    async def _drop(self, lease: SessionLease) -> None:
        if lease in self._leases:
            self._leases.remove(lease)
        await lease.close()

    def set_aside(self, why: str) -> None:
        """Take no runs until it can be connected to. why: one sentence."""
        if not self.trouble:
            self._set_trouble(f"{why}; trying again")
            self._reconnecting = asyncio.ensure_future(self._reconnect())

    async def suspect(self, session: "Session") -> None:
        """Check whether the engine is gone after one of its queries failed; if so, take no runs until it is back."""
        if self.trouble or (not session.lost.is_set() and await session.answers()):
            return
        session.lost.set()
        self.set_aside(f"the Dagger engine ({self.name}) is gone")  # unless another run that lost it did so meanwhile

    async def _reconnect(self) -> None:
        pause = 1.0
        while True:
            try:
                await self._current()
                self._set_trouble("")
                return
            except CctermError as error:
                _log.info("engine %s: %s", self.name, error)
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, _MAX_PAUSE)

    def _set_trouble(self, text: str) -> None:
        self.trouble = text
        self._changed()

    async def close(self) -> None:
        """End all sessions."""
        if self._reconnecting:
            self._reconnecting.cancel()
            await asyncio.wait([self._reconnecting])  # it may be opening a session
        await asyncio.gather(*(self._drop(lease) for lease in list(self._leases)))
