"""Follows a transcript as it grows: from the file, so that no reader holds up the writer, however slow it is."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Protocol

from ccterm.events import Event
from ccterm.transcript.reader import EventReader

EVENTS_FILE = "transcript.ndjson"
_POLL = 0.04
_QUIET_POLL = 0.1
_QUIET_AFTER = 50
"""Polls without news until a file counts as quiet."""
_ASK_EVERY = 10
"""Polls between two questions whether the writer is alive."""


class Bell(Protocol):
    """Tells a follower when to look again."""

    async def wait(self) -> bool:
        """Wait for news. Returns False when no more will come."""
        ...


class Pulse:
    """The bell of the process that writes: rung after each write."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._closed = False

    def ring(self, *, last: bool = False) -> None:
        """Wake everybody who waits; `last` = nothing more will come."""
        self._closed = self._closed or last
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> bool:
        """Wait for the next ring."""
        if not self._closed:
            await self._event.wait()
        return not self._closed


class Watch:
    """The bell for a file that another process writes: looks at its size, less often while nothing happens."""

    def __init__(self, path: Path, alive: Callable[[], bool]) -> None:
        self._path = path
        self._alive = alive
        self._seen = -1

    async def wait(self) -> bool:
        """Wait until the file's size changes. Returns False when its writer is gone."""
        polls = 0
        while True:
            await asyncio.sleep(_POLL if polls < _QUIET_AFTER else _QUIET_POLL)
            size = self._size()
            if size != self._seen:
                self._seen = size
                return True
            if polls % _ASK_EVERY == 0 and not self._alive():
                return False
            polls += 1

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return -1


async def follow(directory: Path, after: int = -1, *, alive: Callable[[], bool] = lambda: True) -> AsyncGenerator[list[Event], None]:
    """Yield batches of a run's events behind number `after`, as another process writes them; ends after `finished`.

    alive: whether the writer still is; when it is not, the follower ends with what there is.
    """
    path = directory / EVENTS_FILE
    async for batch in follow_file(path, after, Watch(path, alive)):
        yield batch


async def follow_file(path: Path, after: int, bell: Bell) -> AsyncGenerator[list[Event], None]:
    """Yield batches of events behind number `after`, looking again whenever the bell rings."""
    reader = EventReader(path, after)
    try:
        more = True
        while True:
            while batch := reader.read():
                yield batch
                await asyncio.sleep(0)  # a long file must not keep the loop from others
            if reader.over or not more:
                return
            more = await bell.wait()
    finally:
        reader.close()
