"""Keeps the roster true: finds new runs and follows each to its end, whoever started it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ccterm.causes import Cause
from ccterm.errors import CctermError
from ccterm.events import Event, Limited
from ccterm.models import Run, State
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs

if TYPE_CHECKING:  # the service brings all that carries runs out; the first frame does without
    from ccterm.service.protocol import Service

POLL_SECONDS = 1.0
RECENT = timedelta(hours=24)
RECENT_RUNS = 50

Changed = Callable[[RunView, Event | None], None]
"""Told of each event that was taken, and with None of each run that appeared or was recorded anew."""


class Watcher:
    """Watches all runs of a service. changed: told of whatever happens; must not wait."""

    def __init__(self, service: "Service", roster: Runs, changed: Changed, *, opened: datetime) -> None:
        self._service = service
        self._roster = roster
        self._changed = changed
        self._newest = opened
        self._opened = opened
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Look for new runs at once."""
        self._nudged.set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for run in await self._first():
                self._adopt(run, group)
            while True:
                with suppress(CctermError):  # a record that cannot be read now may be read in a second; orders say what is wrong
                    for run in await self._service.runs(since=self._newest):
                        self._adopt(run, group)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._nudged.wait(), POLL_SECONDS)
                self._nudged.clear()

    async def _first(self) -> list[Run]:
        """Return what a user wants to see first: what is under way, and what lately ended without being reviewed."""
        live = await self._service.runs(states=[State.QUEUED, State.RUNNING])
        recent = await self._service.runs(since=self._opened - RECENT, limit=RECENT_RUNS)
        known = {run.id: run for run in [*live, *(run for run in recent if not run.reviewed)]}
        return sorted(known.values(), key=lambda run: run.id)

    def _adopt(self, run: Run, group: asyncio.TaskGroup) -> None:
        self._newest = max(self._newest, run.created)
        if run.id in self._roster or run.reviewed:
            return
        sight = self._roster.add(run)
        self._changed(sight, None)
        if not run.state.final:
            group.create_task(self._follow(sight))
        elif run.cause is Cause.USAGE_LIMIT:
            group.create_task(self._recall_limits(sight))

    async def _recall_limits(self, sight: RunView) -> None:
        """Read what a run was told of the usage windows before anybody watched it."""
        with suppress(CctermError):
            async for event in self._service.follow(sight.run.id, live=False):
                if isinstance(event, Limited):
                    self._roster.note_limit(event)
        self._changed(sight, None)

    async def _follow(self, sight: RunView) -> None:
        """Follow a run to its end, over the death of its owner: the next one finishes the record."""
        run = sight.run.id
        while run in self._roster:
            with suppress(CctermError):
                async for event in self._service.follow(run, after=sight.seen):
                    if run in self._roster:
                        self._changed(self._roster.take(event), event)
                recorded = await self._service.find(run)
                if recorded.state.final:
                    self._roster.put(recorded)
                    self._changed(sight, None)
                    return
            await asyncio.sleep(POLL_SECONDS)
