"""What a new daemon does first: bring to an end what the last one left behind when it died."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from ccterm.errors import UnknownRun
from ccterm.events import Event, Notice, Queued, cut
from ccterm.models import Run, RunId, Sync
from ccterm.output.own_text import clean_text
from ccterm.record import Recorder, caught_up, replay
from ccterm.service.environments import Environments
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import EVENTS_FILE, Transcript, read_events

OpenTranscript = Callable[[Path, RunId], Transcript]


class Recovery:
    """Ends interrupted runs, keeps their work, and rolls back interrupted applies."""

    def __init__(self, state: StateDir, store: Store, environments: Environments, transcript: OpenTranscript) -> None:
        self._state, self._store, self._environments, self._transcript = state, store, environments, transcript

    async def carry_out(self) -> None:
        """Recover everything. Raises SettingsError."""
        applier = (await self._environments.here()).applier
        notes = await asyncio.to_thread(applier.recover)
        for run in await asyncio.to_thread(self._store.unfinished):
            await self._end(run, notes.get(run.id, ""))
        for applied, files in (await asyncio.to_thread(applier.applied)).items():  # the daemon died before it could record it
            await self._record_applied(applied, files)

    async def _end(self, run: Run, note: str) -> None:
        directory = self._state.run(run.id)
        transcript = self._transcript(directory, run.id)
        known = await asyncio.to_thread(_all_events, directory / EVENTS_FILE)
        if transcript.finished:  # the daemon died between the transcript and the store
            await transcript.close()
            await asyncio.to_thread(self._store.save, replay(run, known))
            return
        recorder = Recorder(caught_up(run, known), transcript, self._store, clean_text)
        recorder.emit([] if known else [queued(run)])
        recorder.emit([Notice(level="warn", text=note)] if note else [])
        # a run is saved with its checkout before its agent may begin
        began = any(step.name == "checkout" and step.ok for step in run.steps)
        equipment = await self._environments.of_run(run.id)
        await equipment.pipelines[run.task.execution_mode].recover(recorder, began=began)

    async def _record_applied(self, run: RunId, files: int) -> None:
        try:
            known = await asyncio.to_thread(self._store.get, run)
        except UnknownRun:
            return
        if known.synced is None:
            await asyncio.to_thread(self._store.save, known.model_copy(update={"synced": Sync(files=files), "action": ""}))


def queued(run: Run) -> Queued:
    """Return the first event of a run."""
    return Queued(target=run.task.target, prompt=cut(run.task.prompt))


def _all_events(path: Path) -> list[Event]:
    return list(read_events(path))
