"""Follows a transcript as it grows; from the file, so that a slow reader never holds up the writer."""

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
"""Polls without changes after which a file counts as quiet."""
_ASK_EVERY = 10
"""Polls between two checks whether the writer is alive."""


class ChangeSignal(Protocol):
    """Tells a follower when to read again."""

    async def wait(self) -> bool:
        """Wait for a change. Returns False when no more will come."""
        ...


class WriteSignal:
    """The signal within the writing process, sent after each write."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._closed = False

    def send(self, *, last: bool = False) -> None:
        """Wake all waiting followers; last: nothing more will come."""
        self._closed = self._closed or last
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> bool:
        """Wait for the next signal."""
        if not self._closed:
            await self._event.wait()
        return not self._closed


class SizePoll:
    """The signal for a file that another process writes: polls its size, less often while nothing happens."""

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
    """Yield batches of a run's events after number `after`, as another process writes them; ends after `finished`.

    alive: whether the writer is alive; once it is not, the follower ends with what has been written.
    """
    path = directory / EVENTS_FILE
    async for batch in follow_file(path, after, SizePoll(path, alive)):
        yield batch


async def follow_file(path: Path, after: int, signal: ChangeSignal) -> AsyncGenerator[list[Event], None]:
    """Yield batches of events after number `after`, reading again at each signal."""
    reader = EventReader(path, after)
    try:
        more = True
        while True:
            while batch := reader.read():
                yield batch
                await asyncio.sleep(0)  # a long file must not block the loop
            if reader.over or not more:
                return
            more = await signal.wait()
    finally:
        reader.close()
