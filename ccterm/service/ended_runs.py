"""What can be done with a run that has ended: deliver, commit, remove and review what it left."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from ccterm.errors import UsageError
from ccterm.models import Allowances, BatchId, Run, RunId, RunRef, new_id
from ccterm.output.own_text import clean_text
from ccterm.proof import is_recovering, require_kept, uncommitted
from ccterm.record import Recorder
from ccterm.service.active import Active
from ccterm.service.credential_gate import CredentialGate
from ccterm.service.equipment import Equipment
from ccterm.service.gates import Key, RecoveryGate
from ccterm.service.protocol import NO_ALLOWANCES, Service
from ccterm.service.scheduler import Scheduler
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import Transcript

_Work = Callable[[Run, Recorder, Equipment], Awaitable[Run]]
"""What is done with an ended run; returns its document."""


class EndedRuns(Service):
    """The part of the service that carries this out in the process of the runs."""

    _state: StateDir
    _store: Store
    _scheduler: Scheduler
    _credentials: CredentialGate
    _recovering: RecoveryGate
    _active: dict[RunId, Active]
    _documents: WeakValueDictionary[RunId, asyncio.Lock]

    @abstractmethod
    async def _equipment(self, run: RunId | None = None) -> Equipment:
        """Return what counts for whoever asks; where nobody's environment does, what a run was submitted with."""

    @abstractmethod
    def _transcript(self, directory: Path, run: RunId, on_fault: Callable[[], None] = lambda: None) -> Transcript:
        """Return a transcript of a run in a directory."""

    async def push(self, run: RunRef, *, allow: Allowances = NO_ALLOWANCES) -> Run:
        """Push a run's salvaged commit."""
        run = await self._id(run)
        await self._ready(run)

        async def work(known: Run, recorder: Recorder, equipment: Equipment) -> Run:
            return await equipment.pipelines[known.task.execution_mode].deliver(known, recorder, allow)

        return await self._afterwards(run, work)

    async def apply(self, run: RunRef, *, allow: Allowances = NO_ALLOWANCES, only: Sequence[str] = ()) -> Run:
        """Bring a testing run's kept changes into its working copy."""
        run = await self._id(run)
        await self._ready(run)
        return await self._afterwards(run, lambda known, recorder, equipment: equipment.applier.apply(known, recorder, allow, only))

    async def undo(self, run: RunRef) -> Run:
        """Restore what a run's changes replaced."""
        run = await self._id(run)
        await self._refuse_while_changing(run)
        return await self._afterwards(run, lambda known, recorder, equipment: equipment.applier.undo(known, recorder))

    async def commit(self, run: RunRef) -> Run:
        """Commit the tree that was kept of a run."""
        run = await self._id(run)

        async def work(known: Run, recorder: Recorder, equipment: Equipment) -> Run:
            if not uncommitted(known):
                raise UsageError(f"nothing that run {known.label} left is without a commit", f"ccterm show {known.ref}")
            return await equipment.pipelines[known.task.execution_mode].commit(recorder)

        return await self._afterwards(run, work, stored=True)

    async def _ready(self, run: RunId) -> None:
        """Make sure that the work of a run can be delivered: it is committed, and was searched for all secrets."""

        async def scan(known: Run, recorder: Recorder, equipment: Equipment) -> Run:
            return await equipment.pipelines[known.task.execution_mode].scan(recorder)

        known = await self._committed(run)
        if known.verdict and any(finding.rule == "unscanned" for finding in known.verdict.findings):
            await self._afterwards(run, scan, stored=True)

    async def clean(self, run: RunRef) -> Run:
        """Remove what is kept of a run."""
        run = await self._id(run)
        await self._refuse_while_changing(run)

        async def work(known: Run, recorder: Recorder, equipment: Equipment) -> Run:  # noqa: ARG001 - there is nothing to record
            require_kept(known)
            return await equipment.pipelines[known.task.execution_mode].clean(known)

        return await self._afterwards(run, work)

    async def _afterwards(self, run: RunId, work: "_Work", *, stored: bool = False) -> Run:
        """Do something with an ended run while nothing else uses its branch or working copy; the events go into a transcript of their own.

        stored: the document is saved while it changes, not only at the end.
        """
        async with self._changing(run):
            known = await self._ended(run)
            equipment = await self._equipment(run)
            entry = equipment.entry(known, BatchId(run))
            await self._unoccupied(entry.key, known)
            async with self._scheduler.alone(entry):
                recorder = Recorder(
                    known, self._transcript(self._state.run(run) / f"delivery-{new_id()}", run), self._store if stored else None, clean_text
                )
                try:
                    changed = await work(known, recorder, equipment)
                finally:
                    await recorder.close()
                await asyncio.to_thread(self._store.save, changed)  # before this process may be idle, and end
            return changed

    async def _refuse_while_changing(self, run: RunId) -> None:
        """Raise UsageError while something is done with an ended run: what takes work away must not follow a delivery unseen, which may fail."""
        if self._changing(run).locked():
            known = await self.find(run)
            raise UsageError(f"something else is done with run {known.label} now", "try again when it has ended")

    async def _unoccupied(self, key: Key, known: Run) -> None:
        """Return once nothing uses a branch or working copy. Raises UsageError unless what does is about to end."""
        while rival := self._scheduler.busy(key) or self._recovering.on(key):
            closing = self._active.get(rival.run)
            if closing is None or not closing.recorder.run.state.final:
                raise UsageError(f"{rival.label} works on {known.task.target} now", "try again when it has ended")
            await closing.closed.wait()  # whoever waited for it may be told of its end before its boxes are gone

    def _changing(self, run: RunId) -> asyncio.Lock:
        """Return the lock under which the document of an ended run is read, changed and saved: else one change would take another back."""
        return self._documents.setdefault(run, asyncio.Lock())

    async def _ended(self, run: RunId) -> Run:
        """Return a run that has ended, once its boxes are gone and its document is written. Raises UsageError when it has not."""
        known = await self._settled(run)
        if not known.state.final:
            raise UsageError(f"run {known.label} has not ended yet ({known.state})", f"ccterm cancel {known.ref} first, or wait")
        return known

    async def _settled(self, run: RunId) -> Run:
        """Return a run; one whose last event is out once its record is closed, one whose daemon died once what it left is kept."""
        known = await self.find(run)
        if run in self._active and (known.state.final or is_recovering(known)):
            await self._active[run].closed.wait()
            return await self.find(run)
        return known

    async def review(self, run: RunRef) -> Run:
        """Mark a run as reviewed."""
        run = await self._id(run)
        async with self._changing(run):
            reviewed = (await self._ended(run)).model_copy(update={"reviewed": True})
            self._credentials.forget(run)
            await asyncio.to_thread(self._store.save, reviewed)
        return reviewed
