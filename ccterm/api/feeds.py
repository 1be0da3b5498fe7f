"""The events of runs for many followers: each run's transcript is read once, and a follower who falls behind reads the rest from the file."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import NamedTuple

from ccterm.errors import CctermError
from ccterm.events import Event, Finished
from ccterm.models import RunId
from ccterm.service.protocol import Service
from ccterm.transcript import last_event
from ccterm.values import to_json

KEPT_BYTES = 1024 * 1024
"""How much of one run's newest events is kept in memory."""
AT_ONCE = 64 * 1024
"""How much a follower is given at once, in bytes."""
PAUSE = 0.2


class SentEvent(NamedTuple):
    """One event as it is sent."""

    seq: int
    kind: str
    data: bytes

    @property
    def last(self) -> bool:
        """Whether no event follows."""
        return self.kind == "finished"


def frame_of(event: Event) -> SentEvent:
    """Return an event as it is sent."""
    return SentEvent(event.seq, event.kind, to_json(event))


class Feed:
    """The newest events of one run. after: number of the event that it begins after. kept: how many bytes of them."""

    def __init__(self, service: Service, run: RunId, after: int, kept: int) -> None:
        self._service, self._run, self._kept = service, run, kept
        self._frames: deque[SentEvent] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self.first = after + 1
        """Number of the oldest event that is kept."""
        self.last = after
        self.over = False
        self.followers = 0
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        """Read to the run's end, whatever becomes of its daemon."""
        try:
            while not self.over:
                with suppress(CctermError):
                    async with aclosing(_events(self._service, self._run, self.last)) as events:
                        async for event in events:
                            self._take(frame_of(event), last=isinstance(event, Finished))
                    if (await self._service.find(self._run)).state.final:  # also where its transcript was lost
                        self.over = True
                self._wake()
                await asyncio.sleep(0 if self.over else PAUSE)
        finally:  # nobody waits for one that reads no more
            self.over = True
            self._wake()

    def _take(self, frame: SentEvent, *, last: bool) -> None:
        self._frames.append(frame)
        self.last, self.over = frame.seq, last
        self._bytes += len(frame.data)
        while self._bytes > self._kept and len(self._frames) > 1:
            self._bytes -= len(self._frames.popleft().data)
        self.first = self._frames[0].seq
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, seq: int) -> Sequence[SentEvent]:
        """Return events after a number, as many as are given at once."""
        found, size = list[SentEvent](), 0
        kept = len(self._frames)
        for number in range(max(0, kept - (self.last - seq)), kept):  # events are numbered without gaps
            found.append(frame := self._frames[number])
            size += len(frame.data)
            if size > AT_ONCE:
                break
        return found

    async def change(self) -> None:
        """Wait for more."""
        await self._changed.wait()

    def close(self) -> None:
        """Stop reading."""
        self._reading.cancel()


class Feeds:
    """The feeds of all runs that somebody follows. kept: how much of each is kept in memory, in bytes."""

    def __init__(self, service: Service, kept: int = KEPT_BYTES) -> None:
        self._service, self._kept = service, kept
        self._feeds: dict[RunId, Feed] = {}

    async def follow(self, run: RunId, after: int = -1) -> AsyncGenerator[Sequence[SentEvent], None]:
        """Yield a run's events after a number, to its end, in groups as they come."""
        async with self._feed(run, after) as feed:
            while True:
                if after + 1 < feed.first:
                    async with aclosing(self._past(run, after, feed.first)) as past:
                        async for frames in past:
                            yield frames
                            after = frames[-1].seq
                    after = max(after, feed.first - 1)
                if frames := feed.after(after):
                    yield frames
                    after = frames[-1].seq
                elif feed.over:
                    return
                else:
                    await feed.change()

    def recorded(self, run: RunId, after: int = -1) -> AsyncGenerator[Sequence[SentEvent], None]:
        """Yield the events of a run that are recorded so far, after a number, in groups."""
        return self._past(run, after, sys.maxsize)

    @asynccontextmanager
    async def _feed(self, run: RunId, after: int) -> AsyncIterator[Feed]:
        newest, _ = await asyncio.to_thread(last_event, self._service.transcript(run))
        after = min(after, newest.seq if newest else -1)
        if run not in self._feeds:
            self._feeds[run] = Feed(self._service, run, after, self._kept)
        feed = self._feeds[run]
        feed.followers += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if not feed.followers:
                feed.close()
                self._feeds.pop(run, None)

    async def _past(self, run: RunId, after: int, before: int) -> AsyncGenerator[Sequence[SentEvent], None]:
        """Yield the events between two numbers, from the file."""
        found, size = list[SentEvent](), 0
        async with aclosing(_events(self._service, run, after, live=False)) as events:
            async for event in events:
                if event.seq >= before:
                    break
                found.append(frame_of(event))
                size += len(found[-1].data)
                if size > AT_ONCE:
                    yield found
                    found, size = [], 0
        if found:
            yield found


async def _events(service: Service, run: RunId, after: int, *, live: bool = True) -> AsyncGenerator[Event, None]:
    async for event in service.follow(run, after=after, live=live):
        yield event
