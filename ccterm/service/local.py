"""The service that carries runs out: submits, starts, steers and delivers them, and keeps their record."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ccterm.draft import Draft, anchored
from ccterm.errors import CctermError, UsageError
from ccterm.events import Event, Held, Notice
from ccterm.executors.base import Check
from ccterm.models import Allowances, BatchId, CheckResult, ExecutionMode, Run, RunId, State, Task, new_id, now
from ccterm.pipeline.change_applier import ChangeApplier
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.run_control import RunControl
from ccterm.preflight import run_checks
from ccterm.record import Recorder
from ccterm.service.protocol import NO_ALLOWANCES, Service
from ccterm.service.recovery import Recovery, queued
from ccterm.service.scheduler import Entry, Scheduler
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import Transcript, follow

_log = logging.getLogger(__name__)


class AgentService(Service):
    """Carries runs out in this process, which owns the state directory for as long."""

    def __init__(
        self,
        *,
        state: StateDir,
        store: Store,
        pipelines: Mapping[ExecutionMode, Pipeline],
        plan: Callable[[Draft], Task],
        checks: Callable[[ExecutionMode], Sequence[Check]] = lambda _: (),
        writers: Executor | None = None,
        max_concurrent: int = 4,
        copies: ChangeApplier,
    ) -> None:
        """Take what runs need. copies: brings changes into working copies. writers: threads for transcripts; None = the loop's own."""
        self._state = state
        self._store = store
        self._pipelines = pipelines
        self._plan = plan
        self._copies = copies
        self._checks = checks
        self._writers = writers
        self._scheduler = Scheduler(cap=max_concurrent, start=self._carry_out, hold=self._hold_reason, trouble=self._trouble)
        self._open: dict[RunId, _Open] = {}
        for pipeline in pipelines.values():
            pipeline.watch(self._scheduler.pump)

    @property
    def state(self) -> StateDir:
        """The state directory."""
        return self._state

    @property
    def busy(self) -> bool:
        """Whether a run is queued or under way."""
        return bool(self._open)

    @staticmethod
    def open(state_dir: Path | None = None) -> AbstractAsyncContextManager[Service]:
        """Own the state directory, or attach to the process that does: the same Service either way."""
        from ccterm.daemon import open_service

        return open_service(state_dir)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["AgentService"]:
        """Recover what an earlier owner left, then carry out runs. Leaving waits for them; leaving by an exception stops them first."""
        await Recovery(self._state, self._store, self._pipelines, self._copies, self._transcript).carry_out()
        async with self._scheduler.running():
            try:
                yield self
            except BaseException:
                await self.cancel_all()
                raise
            await self._scheduler.idle()

    async def submit(self, drafts: Sequence[Draft], *, max_concurrent: int | None = None) -> list[Run]:
        """Queue tasks as one batch."""
        tasks = await self.plan(drafts)
        await self._prepare(tasks)
        batch = BatchId(new_id())
        runs = [_fresh(task, batch) for task in tasks]
        for run in runs:
            await self._enqueue(run, max_concurrent)
        return runs

    async def plan(self, drafts: Sequence[Draft]) -> list[Task]:
        """Return the tasks that drafts would become."""
        return await asyncio.gather(*(asyncio.to_thread(self._plan, anchored(draft, Path.cwd())) for draft in drafts))

    async def _prepare(self, tasks: Sequence[Task]) -> None:
        """Make sure that all tasks can run where they are to run, before any of them is recorded."""
        for place, task in {(task.execution_mode, task.image): task for task in tasks}.items():
            await self._pipelines[place[0]].prepare(task)

    def _trouble(self, run: RunId) -> str:
        return self._pipelines[self._open[run].recorder.run.task.execution_mode].trouble()

    async def _enqueue(self, run: Run, cap: int | None = None) -> None:
        live = RunControl()
        recorder = Recorder(run, self._transcript(self._state.run(run.id), run.id, live.alarm.set), self._store)
        await asyncio.to_thread(self._store.save, run)  # first the document: a transcript that nobody knows of would be lost
        recorder.emit([queued(run), *(Notice(level="info", text=note) for note in run.task.notes)])
        await recorder.save()
        self._open[run.id] = _Open(recorder, live)
        self._scheduler.submit(Entry(run.id, run.batch or BatchId(run.id), _key(run.task)), cap=cap)

    def _hold_reason(self, run: RunId, reason: str) -> None:
        self._open[run].recorder.emit([Held(reason=reason)])

    async def _carry_out(self, run: RunId) -> None:
        recorder, live = self._open[run].recorder, self._open[run].live
        try:
            await self._pipelines[recorder.run.task.execution_mode].carry_out(recorder, live)
        except (CctermError, OSError):  # the record itself could not be written; the next start finds the run unfinished
            _log.exception("record of run %s", run)
        finally:
            self._open.pop(run).closed.set()

    def _transcript(self, place: Path, run: RunId, on_fault: Callable[[], None] = lambda: None) -> Transcript:
        return Transcript(place, run, reserve=self._state.reserve, pool=self._writers, on_fault=lambda _: on_fault())

    async def find(self, ref: str) -> Run:
        """Return the run of an id, a unique prefix or `last`."""
        run = await asyncio.to_thread(self._store.find, ref)
        return self._open[run.id].recorder.run if run.id in self._open else run

    async def runs(self, *, states: Sequence[State] = (), since: datetime | None = None, limit: int | None = None) -> list[Run]:
        """Return runs, oldest first."""
        found = await asyncio.to_thread(self._store.list, states=states, since=since, limit=limit)
        return [self._open[run.id].recorder.run if run.id in self._open else run for run in found]

    async def follow(self, run: RunId, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events as they happen."""
        batches = (
            self._open[run].recorder.follow(after)
            if live and run in self._open
            else follow(self._state.run(run), after, alive=lambda: False)
        )
        async for batch in batches:
            for event in batch:
                yield event

    async def cancel(self, run: RunId, *, now: bool = False) -> None:
        """Stop a run."""
        if self._scheduler.withdraw(run):
            await self._open.pop(run).recorder.finish(State.CANCELLED, summary="cancelled before it started")
        elif run in self._open:
            await self._open[run].live.cancel(now=now)
        else:
            raise UsageError(f"run {run} has ended already ({(await self.find(run)).state})", f"ccterm show {run}")

    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop every queued and running run."""
        for run in list(reversed(self._open)):  # the queue first, or each end would start the next
            if run in self._open:
                await self.cancel(run, now=now)

    async def steer(self, run: RunId, text: str) -> None:
        """Say something to a running agent."""
        if not text.strip():
            raise UsageError("there is nothing to say", "give some text")
        await self._reach(run, lambda live: live.say(text))

    async def hold(self, run: RunId) -> None:
        """Let a running agent wait for a word when its turn ends."""
        await self._reach(run, RunControl.hold)

    async def release(self, run: RunId) -> None:
        """Let a waiting agent end."""
        await self._reach(run, RunControl.release)

    async def _reach(self, run: RunId, order: Callable[[RunControl], Awaitable[bool]]) -> None:
        if run in self._open and await order(self._open[run].live):
            return
        known = await self.find(run)
        if known.state.final:
            raise UsageError(f"run {run} has ended already ({known.state})", f"ccterm retry {run} starts it anew")
        raise UsageError(f"the agent of run {run} takes no words now", f"ccterm show {run} says where it is")

    async def retry(self, run: RunId) -> Run:
        """Queue the same task again."""
        old = await self.find(run)
        if not old.state.final:
            raise UsageError(f"run {run} has not ended yet ({old.state})", f"ccterm cancel {run} first")
        await self._prepare([old.task])
        fresh = _fresh(old.task, BatchId(new_id()), before=old.attempts or (old.id,))
        await self._enqueue(fresh)
        return fresh

    async def push(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES) -> Run:
        """Deliver a run's salvaged commit."""

        async def work(known: Run, recorder: Recorder) -> Run:
            return await self._pipelines[known.task.execution_mode].deliver(known, recorder, allow)

        return await self._afterwards(run, work)

    async def apply(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES, only: Sequence[str] = ()) -> Run:
        """Bring a testing run's kept changes into its working copy."""
        return await self._afterwards(run, lambda known, recorder: self._copies.apply(known, recorder, allow, only))

    async def undo(self, run: RunId) -> Run:
        """Put back what a run's changes replaced."""
        return await self._afterwards(run, self._copies.undo)

    async def _afterwards(self, run: RunId, work: Callable[[Run, Recorder], Awaitable[Run]]) -> Run:
        """Do something with a run that has ended, alone with what it works on; its events go into a transcript of their own."""
        known = await self._ended(run)
        key = _key(known.task)
        if rival := self._scheduler.busy(key):
            raise UsageError(f"run {rival} works on {known.task.target} now", "try again when it has ended")
        async with self._scheduler.alone(Entry(run, BatchId(run), key)):
            place = self._state.run(run) / f"delivery-{new_id()}"
            recorder = Recorder(known, self._transcript(place, run), None)
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
        if run in self._open:  # its last event is out
            await self._open[run].closed.wait()
        return await self.find(run)

    async def review(self, run: RunId) -> Run:
        """Note that the user has seen how a run ended."""
        seen = (await self._ended(run)).model_copy(update={"reviewed": True})
        await asyncio.to_thread(self._store.save, seen)
        return seen

    async def checks(self, mode: ExecutionMode) -> AsyncIterator[CheckResult]:
        """Ask all preflight questions of a place to run."""
        async for result in run_checks(self._checks(mode)):
            yield result


@dataclass(frozen=True)
class _Open:
    """A run that is queued or under way here."""

    recorder: Recorder
    live: RunControl
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its last step, its boxes and its record are done with."""


def _fresh(task: Task, batch: BatchId, *, before: tuple[RunId, ...] = ()) -> Run:
    run = RunId(new_id())
    return Run(id=run, batch=batch, task=task, created=now(), attempts=(*before, run))


def _key(task: Task) -> tuple[str, str]:
    return (task.remote_key or task.repo, task.branch or "")
