"""Events as they happen, as server-sent events: of one run, or of all."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ccterm.api.backend import Backend
from ccterm.api.feeds import AT_ONCE, Feeds, SentEvent
from ccterm.api.limits import HEARTBEAT_SECONDS
from ccterm.api.problems import HttpProblem
from ccterm.models import Run, RunId, State

Put = Callable[[bytes], Awaitable[None]]
LOOK_SECONDS = 0.1
"""Between two looks for new runs."""
_log = logging.getLogger(__name__)
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_PLACE = re.compile(r"([0-9]{1,18});((?:[0-9]{1,18}:-?[0-9]{1,18},?)*)", re.ASCII)
_MOST_WAITING = 64


class EventStream(Response):
    """Sends what a follower's work puts into it, and a comment when that is nothing for a while, until either side ends."""

    media_type = "text/event-stream"

    def __init__(self, work: Callable[[Put], Awaitable[None]], backend: Backend) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._work, self._backend = work, backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the interface
        """Answer the request."""
        with self._backend.streams.one():
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            stream = _Stream(send)
            await stream.put(b"retry: 1000\n\n")
            ends = (self._work(stream.put), stream.stay(), _gone(receive), self._backend.stopping.wait())
            waits = [asyncio.ensure_future(end) for end in ends]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
                for failed in await asyncio.gather(*waits, return_exceptions=True):
                    if isinstance(failed, Exception):
                        _log.error("an event stream broke off", exc_info=failed)
            await send({"type": "http.response.body", "body": b""})


class _Stream:
    def __init__(self, send: Send) -> None:
        self._send, self._sent = send, True

    async def put(self, data: bytes) -> None:
        """Send something; waits while the follower does not read."""
        self._sent = True
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def stay(self) -> None:
        """Send a comment whenever nothing else was sent for a while."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if not self._sent:
                await self.put(b": still here\n\n")
            self._sent = False


async def _gone(receive: Receive) -> None:
    """Return once the follower has gone away."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def follow_run(feeds: Feeds, run: RunId, after: int, put: Put) -> None:
    """Send the events of a run after a number, each with its number as its id."""
    async with aclosing(feeds.follow(run, after)) as groups:
        async for frames in groups:
            await put(b"".join([_field(frame, str(frame.seq)) for frame in frames]))


async def recorded_of_run(feeds: Feeds, run: RunId, after: int, put: Put) -> None:
    """Send what is recorded of a run so far, after a number."""
    async with aclosing(feeds.recorded(run, after)) as groups:
        async for frames in groups:
            await put(b"".join([_field(frame, str(frame.seq)) for frame in frames]))


class AllEvents:
    """The events of all runs, from now on or from where a follower had been.

    place: the id of the last events that it got: the number of the newest run that it knew, and how far each run had come that had not ended.
    """

    def __init__(self, backend: Backend, place: str | None) -> None:
        self._service, self._feeds = backend.service, backend.feeds
        self._newest: int | None = None
        self._at = dict[int, int]()
        if place:
            self._newest, self._at = _read_place(place)
        self._frames = asyncio.Queue[tuple[int, Sequence[SentEvent]]](_MOST_WAITING)

    async def follow(self, put: Put) -> None:
        """Send events; the last one of each chunk says where a follower may go on."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look(group))
            while True:
                await put(await self._chunk())

    async def _look(self, group: asyncio.TaskGroup) -> None:
        """Follow each run that there is or that comes."""
        for run in await self._known():
            self._begin(group, run)
        while True:
            for run in await self._service.runs(after=self._newest):
                self._begin(group, run)
            await asyncio.sleep(LOOK_SECONDS)

    async def _known(self) -> Sequence[Run]:
        """Return the runs that are to be followed from the start, and note which is the newest."""
        service = self._service
        newest = await service.runs(limit=1)
        known = list(await service.runs(states=[State.QUEUED, State.RUNNING]))
        if self._newest is None:
            self._newest = newest[-1].number if newest else 0
            return known
        numbers = {run.number for run in known}
        missed = [run for number in self._at if number not in numbers for run in await service.runs(after=number - 1, before=number + 1)]
        return [run for run in (*missed, *known) if run.number in self._at]

    def _begin(self, group: asyncio.TaskGroup, run: Run) -> None:
        assert run.number is not None
        self._newest = max(self._newest or 0, run.number)
        group.create_task(self._follow(run.id, run.number, self._at.setdefault(run.number, -1)))

    async def _follow(self, run: RunId, number: int, after: int) -> None:
        async with aclosing(self._feeds.follow(run, after)) as groups:
            async for frames in groups:
                await self._frames.put((number, frames))

    async def _chunk(self) -> bytes:
        """Return the next events, as many as there are, with an id on the last of them."""
        parts, size = [await self._frames.get()], 0
        while not self._frames.empty() and size < AT_ONCE:
            parts.append(self._frames.get_nowait())
            size += sum(len(frame.data) for frame in parts[-1][1])
        for number, frames in parts:
            self._at[number] = frames[-1].seq
            if frames[-1].last:
                del self._at[number]
        place = f"{self._newest};{','.join(f'{number}:{seq}' for number, seq in self._at.items())}"
        frames = [frame for _, group in parts for frame in group]
        return b"".join([*(_field(frame) for frame in frames[:-1]), _field(frames[-1], place)])


def _field(frame: SentEvent, place: str = "") -> bytes:
    """Return an event as fields of a stream."""
    return (f"id: {place}\n" if place else "").encode() + b"event: " + frame.kind.encode() + b"\ndata: " + frame.data + b"\n\n"


def _read_place(place: str) -> tuple[int, dict[int, int]]:
    if not (found := _PLACE.fullmatch(place)):
        raise HttpProblem(400, "last-event-id", "Last-Event-ID is no id of this stream", "leave it out, or send the last id that came")
    at = (part.partition(":") for part in found[2].split(",") if part)
    return int(found[1]), {int(number): int(seq) for number, _, seq in at}
