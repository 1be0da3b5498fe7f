"""Keeps the list of runs up to date: finds new runs and follows each to its end, whichever process started it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
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
ENDED_SECONDS, ENDED_MOST_SECONDS, ENDED_SHARE = 5.0, 20.0, 200
"""How many seconds lie between two looks at runs that have ended, at least and at most, and between these how many times as long as a look took:
with hundreds of runs a look takes a twentieth of a second, and a terminal that shows nothing new is to cost next to nothing."""
TOLD_AFTER = 3
"""After so many looks in a row that failed, the user is told."""
_ENDED = [state for state in State if state.final]
RECENT = timedelta(hours=24)
RECENT_RUNS = 500

Changed = Callable[[RunView, Event | None], None]
"""Called with each event that was applied, and with None for each run that appeared or was recorded again."""


class Watcher:
    """Watches all runs of a service.

    changed: called for every change. looked: called once the runs that were there are known. failed: called when runs cannot be read for
    some time. None of them may block.
    """

    def __init__(
        self,
        service: "Service",
        runs: Runs,
        changed: Changed,
        looked: Callable[[], None],
        failed: Callable[[CctermError], None],
        *,
        opened: datetime,
    ) -> None:
        self._service = service
        self._runs = runs
        self._changed = changed
        self._looked = looked
        self._failed = failed
        self._newest = opened
        self._opened = opened
        self._nudged = asyncio.Event()
        self._next_look_at_ended = 0.0

    def nudge(self) -> None:
        """Look for new runs at once, and at those that have ended."""
        self._next_look_at_ended = 0.0
        self._nudged.set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        failures = 0
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._look(group)
                    failures = 0
                except CctermError as error:  # what cannot be read now may be readable in a second
                    failures += 1
                    if failures == TOLD_AFTER:
                        self._failed(error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._nudged.wait(), POLL_SECONDS)
                self._nudged.clear()

    async def _look(self, group: asyncio.TaskGroup) -> None:
        for run in await (self._service.runs(since=self._newest) if self._runs.known else self._initial_runs()):
            await self._adopt(run, group)
        if not self._runs.known:
            self._runs.known = True
            self._looked()
        elif monotonic() >= self._next_look_at_ended:
            await self._look_at_ended()

    async def _look_at_ended(self) -> None:
        """Show what has been done elsewhere with runs that have ended: in another terminal, by a command, by the daemon."""
        known = {view.run.id: view.run for view in self._runs if view.run.state.final}
        if not known:
            return
        began = monotonic()
        since = min(run.created for run in known.values())
        for run in await self._service.runs(states=_ENDED, since=since, limit=RECENT_RUNS):
            view = self._runs.get(run.id)
            if view and view.run is known.get(run.id) and run != view.run:  # else it was changed here meanwhile
                self._take_over(run, view)
        ended = monotonic()
        self._next_look_at_ended = ended + min(ENDED_MOST_SECONDS, max(ENDED_SECONDS, ENDED_SHARE * (ended - began)))

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

    def _take_over(self, recorded: Run, view: RunView) -> None:
        """Show an ended run as it is recorded; no longer where it has been reviewed."""
        self._runs.update(recorded)
        if recorded.reviewed:
            self._runs.remove(recorded.id)
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
                    self._take_over(recorded, view)
                    return
            await asyncio.sleep(POLL_SECONDS)
