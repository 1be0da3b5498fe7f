"""One Dagger engine of the pool: its sessions, opened when they are needed, and again after it was gone."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from ccterm.errors import CctermError
from ccterm.models import RunId

if TYPE_CHECKING:  # the SDK is imported when an engine is first used
    from ccterm.executors.dagger.images import Images
    from ccterm.executors.dagger.session import Session

RUNS_PER_SESSION = 80
"""A connection carries a hundred requests at once; the rest would wait without a word."""
_LONGEST_PAUSE = 30.0
Open = Callable[[], AbstractAsyncContextManager["tuple[Session, Images]"]]
_log = logging.getLogger(__name__)


class Hosted:
    """One session, kept open by a task of its own for as long as runs live on it."""

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[tuple[Session, Images]] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._keep())
        self.runs: set[RunId] = set()
        self.count = 0
        """How many runs it ever had."""

    async def _keep(self) -> None:
        try:
            async with self._open() as opened:
                self._ready.set_result(opened)
                await self._stop.wait()
        except CctermError as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            _log.debug("session: %s", error)

    async def get(self) -> "tuple[Session, Images]":
        """Return the session once it is connected. Raises PreflightError when that fails."""
        return await asyncio.shield(self._ready)

    @property
    def usable(self) -> bool:
        """Whether it is connected, or being so, and may take another run."""
        broken = self._task.done() or (
            self._ready.done() and (self._ready.exception() is not None or self._ready.result()[0].lost.is_set())
        )
        return not broken and not self._stop.is_set() and self.count < RUNS_PER_SESSION

    async def close(self) -> None:
        """End it; what still runs on it ends too."""
        self._stop.set()
        if not self._ready.done():
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._task])
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # it was told to those who asked


class Engine:
    """One engine. name: for people. capacity: how many runs it is made for. changed: is called when `trouble` changes."""

    def __init__(self, name: str, open_: Open, *, capacity: int | None = None, changed: Callable[[], None]) -> None:
        self.name, self.capacity = name, capacity
        self.trouble = ""
        """Why it takes no runs now, or ""."""
        self._open, self._changed = open_, changed
        self._hosted: list[Hosted] = []
        self._opening = asyncio.Lock()
        self._coming = 0
        self._mending: asyncio.Task[None] | None = None

    @property
    def load(self) -> float:
        """How full it is: runs, in parts of its capacity where it has one."""
        runs = self._coming + sum(len(hosted.runs) for hosted in self._hosted)
        return runs / self.capacity if self.capacity else float(runs)

    @property
    def full(self) -> bool:
        """Whether it has as many runs as it takes."""
        return self.capacity is not None and self.load >= 1

    @asynccontextmanager
    async def hosting(self, run: RunId) -> AsyncIterator["tuple[Session, Images]"]:
        """Keep a run on one session for as long as the block lasts. Raises PreflightError when the engine cannot be reached."""
        self._coming += 1  # at once: whoever looks for the least loaded engine meanwhile must count it
        try:
            hosted = await self._current()
            hosted.runs.add(run)
            hosted.count += 1
        finally:
            self._coming -= 1
        try:
            yield await hosted.get()
        finally:
            hosted.runs.discard(run)
            if not hosted.usable and not hosted.runs:
                await self._dismiss(hosted)

    async def _current(self) -> Hosted:
        async with self._opening:
            for hosted in self._hosted:
                if hosted.usable and await (await hosted.get())[0].answers():
                    return hosted
            for hosted in [each for each in self._hosted if not each.runs]:
                await self._dismiss(hosted)
            fresh = Hosted(self._open)
            self._hosted.append(fresh)
            try:
                await fresh.get()
            except BaseException:
                await self._dismiss(fresh)
                raise
            return fresh

    async def _dismiss(self, hosted: Hosted) -> None:
        if hosted in self._hosted:
            self._hosted.remove(hosted)
        await hosted.close()

    async def suspect(self, session: "Session") -> None:
        """Look whether an engine is gone whose query failed; when it is, take no runs until it is back."""
        if self.trouble or (not session.lost.is_set() and await session.answers()):
            return
        session.lost.set()
        if not self.trouble:  # another run that lost it may have asked meanwhile
            self._set_trouble(f"the Dagger engine ({self.name}) is gone; trying to reach it again")
            self._mending = asyncio.ensure_future(self._mend())

    async def _mend(self) -> None:
        pause = 1.0
        while True:
            try:
                await self._current()
                self._set_trouble("")
                return
            except CctermError as error:
                _log.info("engine %s: %s", self.name, error)
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _set_trouble(self, text: str) -> None:
        self.trouble = text
        self._changed()

    async def close(self) -> None:
        """End all sessions."""
        if self._mending:
            self._mending.cancel()
            await asyncio.wait([self._mending])  # it may be in the middle of opening a session
        await asyncio.gather(*(self._dismiss(hosted) for hosted in list(self._hosted)))
