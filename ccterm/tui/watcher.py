"""Keeps the list of runs up to date: finds new runs and follows each to its end, whichever process started it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ccterm.causes import Cause
from ccterm.errors import CctermError
from ccterm.events import Event, Limited
from ccterm.models import Run, State
from ccterm.tui.pane.thread import EARLIER_RUNS
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service

POLL_SECONDS = 1.0
RECENT = timedelta(hours=24)
RECENT_RUNS = 500

Changed = Callable[[RunView, Event | None], None]
"""Called with each event that was applied, and with None for each run that appeared or was recorded again."""


class Watcher:
    """Watches all runs of a service. changed: called for every change, looked: once the runs that were there are known; must not block."""

    def __init__(self, service: "Service", runs: Runs, changed: Changed, looked: Callable[[], None], *, opened: datetime) -> None:
        self._service = service
        self._runs = runs
        self._changed = changed
        self._looked = looked
        self._newest = opened
        self._opened = opened
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Look for new runs at once."""
        self._nudged.set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for run in await self._initial_runs():
                await self._adopt(run, group)
            self._runs.known = True
            self._looked()
            while True:
                with suppress(CctermError):  # what cannot be read now may be readable in a second; actions report the error
                    for run in await self._service.runs(since=self._newest):
                        await self._adopt(run, group)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._nudged.wait(), POLL_SECONDS)
                self._nudged.clear()

    async def _initial_runs(self) -> list[Run]:
        """Return what a user wants to see first: active runs, and recent ones that were not reviewed."""
        active = await self._service.runs(states=[State.QUEUED, State.RUNNING])
        recent = await self._service.runs(since=self._opened - RECENT, limit=RECENT_RUNS)
        known = {run.id: run for run in [*active, *(run for run in recent if not run.reviewed)]}
        return sorted(known.values(), key=lambda run: run.id)

    async def _adopt(self, run: Run, group: asyncio.TaskGroup) -> None:
        self._newest = max(self._newest, run.created)
        if run.id in self._runs or run.reviewed:
            return
        before = await self._continued_by(run)
        for earlier in before:
            if earlier.reviewed:  # its row becomes that of the run that goes on with it
                self._runs.remove(earlier.id)
        view = self._runs.add(run)
        view.before = before
        self._changed(view, None)
        if not run.state.final:
            group.create_task(self._follow(view))
        elif run.cause is Cause.USAGE_LIMIT:
            group.create_task(self._recall_limits(view))

    async def _continued_by(self, run: Run) -> tuple[Run, ...]:
        """Return the runs that a run continues, the oldest first."""
        found: list[Run] = []
        with suppress(CctermError):  # what is gone is not shown
            while run.continues and len(found) < EARLIER_RUNS:
                run = await self._service.find(run.continues)
                found.append(run)
        return tuple(found[::-1])

    async def _recall_limits(self, view: RunView) -> None:
        """Read what a run was told about the usage windows before it was watched."""
        with suppress(CctermError):
            async for event in self._service.follow(view.run.id, live=False):
                if isinstance(event, Limited):
                    self._runs.note_limit(event)
        self._changed(view, None)

    async def _follow(self, view: RunView) -> None:
        """Follow a run to its end, even when the daemon dies: the next one finishes the record."""
        run = view.run.id
        while run in self._runs:
            with suppress(CctermError):
                async for event in self._service.follow(run, after=view.last_seq):
                    if run in self._runs:
                        self._changed(self._runs.apply(event), event)
                recorded = await self._service.find(run)
                if recorded.state.final:
                    self._runs.update(recorded)
                    self._changed(view, None)
                    return
            await asyncio.sleep(POLL_SECONDS)
