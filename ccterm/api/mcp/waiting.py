"""Waiting for runs while telling what happens."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ccterm import render
from ccterm.events import (
    Event,
    Finished,
    Held,
    Notice,
    PermissionAsked,
    Pushed,
    Retrying,
    Said,
    Started,
    Steered,
    Synced,
    ToolCalled,
    Waiting,
)
from ccterm.models import Run
from ccterm.service.protocol import Service

_BEAT_SECONDS = 2.0
"""How often progress is told: a client that hears nothing for long gives up."""
_TOLD = (Held, Started, Said, ToolCalled, Retrying, Steered, Waiting, PermissionAsked, Pushed, Synced, Finished, Notice)
_LONGEST = 200


class _News:
    """The last line about any of some runs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.line = ""

    async def until_ended(self, run: Run) -> None:
        """Follow a run to its end."""
        while not (known := await self._service.find(run.id)).state.final:  # when its daemon died, another one goes on
            seen = -1
            async for event in self._service.follow(run.id, live=False):  # what has happened last may be the last for long
                seen = event.seq
                self._note(known, event)
            async for event in self._service.follow(run.id, after=seen):
                self._note(known, event)
            await asyncio.sleep(0)

    def _note(self, run: Run, event: Event) -> None:
        if isinstance(event, _TOLD) and (lines := render.lines(event)):
            self.line = f"{run.label} {lines[0]}"[:_LONGEST]


async def ended_or_after(
    service: Service, runs: Sequence[Run], seconds: float, *, first: bool, tell: Callable[[str], Awaitable[None]]
) -> list[Run]:
    """Return runs once all have ended, or the first, or after so many seconds. tell: is given a line every two seconds."""
    news, loop = _News(service), asyncio.get_running_loop()
    waits = [asyncio.ensure_future(news.until_ended(run)) for run in runs]
    end = loop.time() + seconds
    try:
        pending = set(waits)
        while pending and (left := end - loop.time()) > 0 and not (first and len(pending) < len(waits)):
            when = asyncio.FIRST_COMPLETED if first else asyncio.ALL_COMPLETED
            _, pending = await asyncio.wait(pending, timeout=min(left, _BEAT_SECONDS), return_when=when)
            await tell(f"{len(waits) - len(pending)} of {len(waits)} ended; {news.line}".rstrip("; "))
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return [await service.find(run.id) for run in runs]
