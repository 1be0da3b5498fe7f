"""The service that carries runs out in this process: queues, starts, steers and delivers them, and keeps their record."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ccterm.draft import BatchFile, Draft, anchored
from ccterm.errors import CctermError, UsageError
from ccterm.events import Event, Held, Notice
from ccterm.models import Allowances, BatchId, ExecutionMode, Run, RunId, State, Task, new_id, now
from ccterm.output.own_text import clean_text
from ccterm.pipeline.change_applier import ChangeApplier
from ccterm.pipeline.continuation import Earlier, began, continued_task, undelivered
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.run_control import RunControl
from ccterm.proof import uncommitted
from ccterm.record import Recorder
from ccterm.service.commands import ServiceCommand
from ccterm.service.gates import Gate, QueueEntry, UnderWay
from ccterm.service.protocol import NO_ALLOWANCES, Machine, Service
from ccterm.service.recovery import Recovery, queued
from ccterm.service.scheduler import Scheduler
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import Transcript, follow

R = TypeVar("R")
_log = logging.getLogger(__name__)


class LocalService(Service):
    """Carries runs out in this process, which must hold the daemon lock of the state directory."""

    def __init__(
        self,
        *,
        state: StateDir,
        store: Store,
        pipelines: Mapping[ExecutionMode, Pipeline],
        resolve: Callable[[Draft, BatchFile | None], Task],
        machine: Machine,
        under_way: UnderWay,
        gates: Sequence[Gate],
        applier: ChangeApplier,
        writers: Executor | None = None,
    ) -> None:
        """Take what runs need. resolve: makes a task of a draft and the file that it is from. writers: threads for transcripts; None = the loop's own."""
        self.machine = machine
        self._state = state
        self._store = store
        self._pipelines = pipelines
        self._resolve = resolve
        self._applier = applier
        self._writers = writers
        self._scheduler = Scheduler(under_way, gates, start=self._carry_out, hold=self._note_hold)
        self._active: dict[RunId, _Active] = {}

    @property
    def state(self) -> StateDir:
        """The state directory."""
        return self._state

    @property
    def busy(self) -> bool:
        """Whether a run is queued or under way."""
        return bool(self._active)

    async def perform(self, command: ServiceCommand[R]) -> R:
        """Carry out a command with the method of the same name."""
        return await command.execute(self)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["LocalService"]:
        """Recover what an earlier daemon left, then carry out runs. Leaving waits for them; leaving by an exception stops them first."""
        await Recovery(self._state, self._store, self._pipelines, self._applier, self._transcript).carry_out()
        async with self._scheduler.running():
            try:
                yield self
            except BaseException:
                await self.cancel_all()
                raise
            await self._scheduler.idle()

    async def submit(self, drafts: Sequence[Draft], *, max_concurrent: int | None = None, source: BatchFile | None = None) -> list[Run]:
        """Queue tasks as one batch."""
        tasks = await self._tasks(drafts, source)
        await self._prepare(tasks)
        batch = BatchId(new_id())
        runs = [_fresh(task, batch) for task in tasks]
        for run in runs:
            await self._enqueue(run, max_concurrent)
        return runs

    async def plan(self, drafts: Sequence[Draft]) -> list[Task]:
        """Return the tasks that drafts would become."""
        return await self._tasks(drafts)

    async def _tasks(self, drafts: Sequence[Draft], source: BatchFile | None = None) -> list[Task]:
        return await asyncio.gather(*(asyncio.to_thread(self._resolve, anchored(draft), source) for draft in drafts))

    async def _prepare(self, tasks: Sequence[Task]) -> None:
        """Make sure that all tasks can run in their execution mode before any of them is recorded."""
        for task in {(task.execution_mode, task.image): task for task in tasks}.values():
            await self._pipelines[task.execution_mode].prepare(task)

    async def _enqueue(self, run: Run, at_once: int | None = None) -> None:
        control = RunControl()
        recorder = Recorder(run, self._transcript(self._state.run(run.id), run.id, control.record_failed.set), self._store, clean_text)
        await asyncio.to_thread(self._store.save, run)  # before the transcript: one without a document would be lost
        recorder.emit([queued(run), *(Notice(level="info", text=note) for note in run.task.notes)])
        await recorder.save()
        self._active[run.id] = _Active(recorder, control)
        self._scheduler.submit(_entry(run, run.batch or BatchId(run.id), at_once))

    def _note_hold(self, run: RunId, reason: str, turn: bool) -> None:
        self._active[run].recorder.emit([Held(reason=reason, turn=turn)])

    async def _carry_out(self, run: RunId) -> Run:
        recorder, control = self._active[run].recorder, self._active[run].control
        try:
            before = await asyncio.to_thread(Earlier.of, recorder.run, self._store.get)
            await self._pipelines[recorder.run.task.execution_mode].carry_out(recorder, control, before)
        except (CctermError, OSError):  # the record itself could not be written; the next start finds the run unfinished
            _log.exception("record of run %s", run)
        finally:
            self._active.pop(run).closed.set()
        return recorder.run

    def _transcript(self, directory: Path, run: RunId, on_fault: Callable[[], None] = lambda: None) -> Transcript:
        return Transcript(
            directory, run, reserve=self._state.reserve, pool=self._writers, storage=self._state.storage, on_fault=lambda _: on_fault()
        )

    async def _current(self, run: Run) -> Run:
        """Return the document that a run's recorder has: the store is a little behind. It may have ended since it was read."""
        if active := self._active.get(run.id):
            return active.recorder.run
        return run if run.state.final else await asyncio.to_thread(self._store.get, run.id)

    async def find(self, ref: str) -> Run:
        """Return the run of an id, a unique prefix or `last`."""
        return await self._current(await asyncio.to_thread(self._store.find, ref))

    async def runs(self, *, states: Sequence[State] = (), since: datetime | None = None, limit: int | None = None) -> list[Run]:
        """Return runs, oldest first."""
        return [await self._current(run) for run in await asyncio.to_thread(self._store.list, states=states, since=since, limit=limit)]

    async def follow(self, run: RunId, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events as they happen."""
        recorder = self._active[run].recorder if live and run in self._active else None
        batches = recorder.follow(after) if recorder else follow(self._state.run(run), after, alive=lambda: False)
        async for batch in batches:
            for event in batch:
                yield event

    async def cancel(self, run: RunId, *, now: bool = False) -> None:
        """Stop a run."""
        if self._scheduler.withdraw(run):
            await self._active.pop(run).recorder.finish(State.CANCELLED, summary="cancelled before it started")
        elif run in self._active:
            await self._active[run].control.cancel(now=now)
        else:
            raise UsageError(f"run {run} has ended already ({(await self.find(run)).state})", f"ccterm show {run}")

    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop every queued and running run."""
        for run in list(reversed(self._active)):  # the queued ones first, or each that ends would start the next
            if run in self._active:
                await self.cancel(run, now=now)

    async def steer(self, run: RunId, text: str) -> None:
        """Send a message to a running agent."""
        if not text.strip():
            raise UsageError("the message is empty", "give some text")
        await self._control(run, lambda control: control.say(text))

    async def hold(self, run: RunId) -> None:
        """Make a running agent wait for input when its turn ends."""
        await self._control(run, RunControl.hold)

    async def release(self, run: RunId) -> None:
        """Let a waiting agent finish."""
        await self._control(run, RunControl.release)

    async def _control(self, run: RunId, send: Callable[[RunControl], Awaitable[bool]]) -> None:
        if run in self._active and await send(self._active[run].control):
            return
        known = await self.find(run)
        if known.state.final:
            raise UsageError(f"run {run} has ended already ({known.state})", f"ccterm continue {run} TEXT goes on with it")
        raise UsageError(f"the agent of run {run} takes no messages now", f"ccterm show {run} shows its state")

    async def retry(self, run: RunId) -> Run:
        """Queue the same task again."""
        old = await self.find(run)
        if not old.state.final:
            raise UsageError(f"run {run} has not ended yet ({old.state})", f"ccterm cancel {run} first")
        before = await asyncio.to_thread(self._store.get, old.continues) if old.continues else None
        session = old.session_id if before and before.session_id == old.session_id else None
        return await self._again(old, old.task, continues=old.continues, session_id=session)

    async def continue_(self, run: RunId, text: str, *, branch: str | None = None, fresh: bool = False) -> Run:
        """Go on with an ended run."""
        known = await self.find(run)
        if not known.state.final:
            raise UsageError(f"run {run} has not ended yet ({known.state})", f"ccterm steer {run} sends its agent the message")
        known = await self._committed(run)
        while known.continues and not began(known):  # it left nothing to go on with
            known = await self._committed(known.continues)
        task = continued_task(known, text, branch, fresh=fresh)
        undelivered(known)  # it must still be there
        started = await self._again(known, task, continues=known.id, session_id=None if fresh else known.session_id)
        await self.review(run)  # the user has seen it
        return started

    async def _again(self, old: Run, task: Task, *, continues: RunId | None, session_id: str | None = None) -> Run:
        """Queue a task as a further attempt."""
        await self._prepare([task])
        fresh = _fresh(task, BatchId(new_id()), before=old.attempts or (old.id,))
        fresh = fresh.model_copy(update={"continues": continues, "session_id": session_id})
        await self._enqueue(fresh)
        return fresh

    async def push(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES) -> Run:
        """Push a run's salvaged commit."""

        await self._ready(run)

        async def work(known: Run, recorder: Recorder) -> Run:
            return await self._pipelines[known.task.execution_mode].deliver(known, recorder, allow)

        return await self._afterwards(run, work)

    async def apply(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES, only: Sequence[str] = ()) -> Run:
        """Bring a testing run's kept changes into its working copy."""
        await self._ready(run)
        return await self._afterwards(run, lambda known, recorder: self._applier.apply(known, recorder, allow, only))

    async def undo(self, run: RunId) -> Run:
        """Restore what a run's changes replaced."""
        return await self._afterwards(run, self._applier.undo)

    async def commit(self, run: RunId) -> Run:
        """Commit the tree that was kept of a run."""

        async def work(known: Run, recorder: Recorder) -> Run:
            if not uncommitted(known):
                raise UsageError(f"nothing that run {run} left is without a commit", f"ccterm show {run}")
            return await self._pipelines[known.task.execution_mode].commit(recorder)

        return await self._afterwards(run, work, stored=True)

    async def _ready(self, run: RunId) -> None:
        """Make sure that the work of a run can be delivered: it is committed, and was searched for all secrets."""
        known = await self._committed(run)
        if known.verdict and any(finding.rule == "unscanned" for finding in known.verdict.findings):
            await self._afterwards(run, lambda known, recorder: self._pipelines[known.task.execution_mode].scan(recorder), stored=True)

    async def clean(self, run: RunId) -> Run:
        """Remove what is kept of a run."""

        async def work(known: Run, recorder: Recorder) -> Run:  # noqa: ARG001 - there is nothing to record
            if known.salvage is None and known.kept_in is None:
                raise UsageError(f"nothing is kept of run {run}", "ccterm runs lists what is")
            return await self._pipelines[known.task.execution_mode].clean(known)

        return await self._afterwards(run, work)

    async def _afterwards(self, run: RunId, work: Callable[[Run, Recorder], Awaitable[Run]], *, stored: bool = False) -> Run:
        """Do something with an ended run while nothing else uses its branch or working copy; the events go into a transcript of their own.

        stored: the document is saved while it changes, not only at the end.
        """
        known = await self._ended(run)
        entry = _entry(known, BatchId(run))
        if rival := self._scheduler.busy(entry.key):
            raise UsageError(f"run {rival} works on {known.task.target} now", "try again when it has ended")
        async with self._scheduler.alone(entry):
            recorder = Recorder(
                known, self._transcript(self._state.run(run) / f"delivery-{new_id()}", run), self._store if stored else None, clean_text
            )
            try:
                changed = await work(known, recorder)
            finally:
                await recorder.close()
        await asyncio.to_thread(self._store.save, changed)
        return changed

    async def _ended(self, run: RunId) -> Run:
        """Return a run that has ended, once its boxes are gone and its document is written. Raises UsageError when it has not."""
        known = await self.find(run)
        if not known.state.final:
            raise UsageError(f"run {run} has not ended yet ({known.state})", f"ccterm cancel {run} first, or wait")
        if run in self._active:  # its last event is out
            await self._active[run].closed.wait()
        return await self.find(run)

    async def review(self, run: RunId) -> Run:
        """Mark a run as reviewed."""
        reviewed = (await self._ended(run)).model_copy(update={"reviewed": True})
        await asyncio.to_thread(self._store.save, reviewed)
        return reviewed


@dataclass(frozen=True)
class _Active:
    """A run that is queued or under way here."""

    recorder: Recorder
    control: RunControl
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its last step, its boxes and its record are closed."""


def _fresh(task: Task, batch: BatchId, *, before: tuple[RunId, ...] = ()) -> Run:
    run = RunId(new_id())
    return Run(id=run, batch=batch, task=task, created=now(), attempts=(*before, run))


def _entry(run: Run, batch: BatchId, at_once: int | None = None) -> QueueEntry:
    task = run.task
    return QueueEntry(run.id, batch, (task.remote_key or task.repo, task.branch or ""), task.execution_mode, at_once)
