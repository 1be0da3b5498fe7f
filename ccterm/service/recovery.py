"""What a new daemon does first: bring to an end what the last one left behind when it died. Keeping the work of lost runs follows beside all else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ccterm.errors import CctermError, UnknownRun
from ccterm.event_lines import cut
from ccterm.events import Event, Held, Notice, Queued, Steered, StepStarted, Told
from ccterm.models import Run, RunId, State
from ccterm.output.own_text import clean_text
from ccterm.pipeline.run_control import RunControl
from ccterm.record import Recorder, caught_up, replay
from ccterm.service.environments import Environments
from ccterm.service.equipment import Equipment
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import EVENTS_FILE, Transcript, read_events
from ccterm.values import Sync

OpenTranscript = Callable[[Path, RunId, Callable[[], None]], Transcript]
RECOVERING = "its daemon died, and what it left is being kept"
MOMENT = 3.0
"""Seconds that a start gives the work of lost runs to be kept before it serves others: nearly always it is kept by then."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LostRun:
    """A run whose daemon died when its agent may have begun."""

    recorder: Recorder
    control: RunControl
    equipment: Equipment

    @property
    def run(self) -> Run:
        """Its document."""
        return self.recorder.run


class Recovery:
    """Ends interrupted runs without work, finds those with work, and rolls back interrupted applies."""

    def __init__(self, state: StateDir, store: Store, environments: Environments, transcript: OpenTranscript) -> None:
        self._state, self._store, self._environments, self._transcript = state, store, environments, transcript

    async def begin(self) -> list[LostRun]:
        """Bring applies and the record to an end, which takes little; return the runs whose work is still to be kept. Raises SettingsError."""
        applier = (await self._environments.here()).applier
        notes = await asyncio.to_thread(applier.recover)
        found = [await self._lost(run, notes.get(run.id, "")) for run in await asyncio.to_thread(self._store.unfinished)]
        for applied, files in (await asyncio.to_thread(applier.applied)).items():  # the daemon died before it could record it
            await self._record_applied(applied, files)
        return [each for each in found if each]

    async def _lost(self, run: Run, note: str) -> LostRun | None:
        """Return a run that may have left work; end any other one."""
        directory, control = self._state.run(run.id), RunControl()
        transcript = self._transcript(directory, run.id, control.record_failed.set)
        known = await asyncio.to_thread(_all_events, directory / EVENTS_FILE)
        if transcript.finished:  # the daemon died between the transcript and the store
            await transcript.close()
            await asyncio.to_thread(self._store.save, replay(run, known))
            return None
        recorder = Recorder(caught_up(run, known), transcript, self._store, clean_text)
        recorder.emit([] if known else [queued(run)])
        recorder.emit([Notice(level="warn", text=note)] if note else [])
        equipment = await self._environments.of_run(run.id)
        # a run is saved with its checkout before its agent may begin
        if run.state is State.QUEUED or not any(step.name == "checkout" and step.ok for step in run.steps):
            await equipment.pipelines[run.task.execution_mode].recover(recorder, control, began=False)
            return None
        recorder.emit(
            [Steered(text=told.text, taken=False, detail="the daemon died first", message=told.message) for told in undelivered(known)]
        )
        recorder.emit([Held(reason=RECOVERING), StepStarted(step="recovering")])
        await recorder.save()
        return LostRun(recorder, control, equipment)

    async def _record_applied(self, run: RunId, files: int) -> None:
        try:
            known = await asyncio.to_thread(self._store.get, run)
        except UnknownRun:
            return
        if known.synced is None:
            await asyncio.to_thread(self._store.save, known.model_copy(update={"synced": Sync(files=files), "action": ""}))


@asynccontextmanager
async def keeping(lost: Sequence[LostRun], ended: Callable[[RunId], None]) -> AsyncIterator[None]:
    """Keep the work of lost runs while the block lasts, one at a time; leaving leaves the rest to the next start. ended: is told of each."""
    work = asyncio.ensure_future(_keep(lost, ended))
    await asyncio.wait([work], timeout=MOMENT if lost else None)
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])
        for each in lost:
            await each.recorder.close()


async def _keep(lost: Sequence[LostRun], ended: Callable[[RunId], None]) -> None:
    for each in lost:
        try:
            await each.equipment.pipelines[each.run.task.execution_mode].recover(each.recorder, each.control)
        except (CctermError, OSError):  # the record itself could not be written; the next start finds the run unfinished
            _log.exception("record of run %s", each.run.id)
        ended(each.run.id)


def queued(run: Run) -> Queued:
    """Return the first event of a run."""
    return Queued(target=run.task.target, prompt=cut(run.task.prompt, where=""))


def undelivered(events: Iterable[Event]) -> list[Told]:
    """Return the messages for an agent of which nothing was heard any more. Those of earlier versions have no keys: their texts tell."""
    waiting = list[Told]()
    for event in events:
        if isinstance(event, Told):
            waiting.append(event)
        elif isinstance(event, Steered):
            found = next((told for told in waiting if told.message == event.message and (told.message or told.text == event.text)), None)
            waiting = [told for told in waiting if told is not found]
    return waiting


def _all_events(path: Path) -> list[Event]:
    return list(read_events(path))
