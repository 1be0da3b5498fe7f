"""The service that carries runs out in this process: queues, starts, steers and delivers them, and keeps their record."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, Unpack
from weakref import WeakValueDictionary

from ccterm.credentials.login import TOKEN_NAME
from ccterm.draft import BatchFile, Draft, anchored
from ccterm.errors import CctermError, DaemonError, UsageError
from ccterm.events import Event, Held, Notice
from ccterm.models import BatchId, BranchState, CheckResult, ExecutionMode, Run, RunId, RunRef, State, Task, new_id
from ccterm.output.own_text import clean_text
from ccterm.pipeline.branch_planner import after_task
from ccterm.pipeline.continuation import Earlier
from ccterm.pipeline.run_control import RunControl
from ccterm.preflight import run_checks
from ccterm.proof import is_recovering
from ccterm.record import Recorder
from ccterm.service.active import Active, Submissions, fresh_run, login_of, prepare, submission_of, tasks_of
from ccterm.service.caller import CallerEnvironment
from ccterm.service.command_base import ServiceCommand
from ccterm.service.commands import SubmissionKey
from ccterm.service.credential_gate import CredentialGate
from ccterm.service.environments import Environments
from ccterm.service.equipment import Equip, Equipment
from ccterm.service.further_runs import FurtherRuns
from ccterm.service.gates import Gate, RecoveryGate, UnderWay, WaitingRuns
from ccterm.service.login_keeper import LoginKeeper
from ccterm.service.protocol import Machine
from ccterm.service.recovery import Recovery, keeping, queued
from ccterm.service.running_agents import RunningAgents
from ccterm.service.scheduler import Scheduler
from ccterm.state_dir import StateDir
from ccterm.store import RunFilter, Store, Submission
from ccterm.transcript import Transcript, follow

R = TypeVar("R")
_log = logging.getLogger(__name__)


class LocalService(RunningAgents, FurtherRuns):
    """Carries runs out in this process, which must hold the daemon lock of the state directory."""

    def __init__(
        self,
        *,
        state: StateDir,
        store: Store,
        equip: Equip,
        machine: Machine,
        under_way: UnderWay,
        recovering: RecoveryGate,
        gates: Sequence[Gate],
        credentials: CredentialGate,
        keeper: LoginKeeper,
        writers: Executor | None = None,
        retire: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take what runs need. writers: threads for transcripts; None = the loop's own. retire: ends this process when nobody else uses it."""
        self.machine = machine
        self._state = state
        self._store = store
        self._environments = Environments(state, equip)
        self._credentials = credentials
        self._keeper = keeper
        self._writers = writers
        self._retire, self._retired = retire, asyncio.Event()
        self._asked_here = True
        self._caller: CallerEnvironment | None = None
        self._scheduler = Scheduler(under_way, gates, start=self._carry_out, hold=self._note_hold)
        self._active: dict[RunId, Active] = {}
        self._documents = WeakValueDictionary()
        self._waiting = WaitingRuns(under_way)
        self._recovering = recovering
        self._submissions = Submissions(store)
        self._naming = asyncio.Lock()

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

    def acting_for(self, environment: CallerEnvironment | None) -> "LocalService":
        """Return the same service for somebody in another process."""
        other = copy(self)
        other._asked_here, other._caller = False, environment
        return other

    async def _equipment(self, run: RunId | None = None) -> Equipment:
        """Return what counts for whoever asks; where nobody's environment does, what a run was submitted with."""
        if self._caller is None and run and not self._asked_here:
            return await self._environments.of_run(run)
        equipment = await (self._environments.of_caller(self._caller) if self._caller else self._environments.here())
        await self._hand_out(equipment.caller)
        return equipment

    async def _hand_out(self, caller: CallerEnvironment) -> None:
        """Give the secrets of a caller to the queued runs that lost theirs, or whose login was refused."""
        self._environments.take(caller)
        for run, active in list(self._active.items()):
            refused = active.login is not None and self._credentials.refuses(active.login)
            if self._scheduler.waits(run) and (active.equipment.caller.missing or refused):
                await active.supply(self._environments, self._scheduler, refused=refused)
        if TOKEN_NAME in caller.secrets:
            await self._keeper.brought(caller.secrets[TOKEN_NAME])
            self._credentials.brought(caller.secrets[TOKEN_NAME])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["LocalService"]:
        """Recover what an earlier daemon left, then carry out runs. Leaving waits for them; leaving by an exception stops them first.

        The work of lost runs is kept beside that; what leaving cuts short is the next start's.
        """
        lost = await Recovery(self._state, self._store, self._environments, self._transcript).begin()
        for each in lost:
            self._active[each.run.id] = Active(each.recorder, each.control, each.equipment)
            self._recovering.hold(each.equipment.entry(each.run, BatchId(each.run.id)))
        async with self._scheduler.running(), keeping(lost, self._recovered):
            try:
                yield self
            except BaseException:
                await self.cancel_all()
                raise
            await self.idle()

    async def idle(self) -> None:
        """Return once no run is queued or under way."""
        await self._scheduler.idle()

    def _recovered(self, run: RunId) -> None:
        self._active.pop(run).closed.set()
        self._recovering.release(run)

    async def submit(
        self,
        drafts: Sequence[Draft],
        *,
        max_concurrent: int | None = None,
        source: BatchFile | None = None,
        key: SubmissionKey | None = None,
    ) -> list[Run]:
        """Queue tasks as one batch, once for each key."""
        if max_concurrent is not None and max_concurrent < 1:
            raise UsageError(f"max_concurrent is {max_concurrent}", "give at least 1, or leave it out")
        batch = BatchId(new_id())
        submission = submission_of(key, drafts, max_concurrent, batch)

        async def carry_out() -> list[Run]:
            equipment = await self._equipment()
            async with self._naming if after_task(drafts) else nullcontext():  # a name is taken once its run is saved
                tasks = await tasks_of(equipment, await self._named(equipment, drafts), source)
                await prepare(equipment, tasks)
                return await self._enqueue([fresh_run(task, batch) for task in tasks], equipment, max_concurrent, submission)

        if submission is None:
            return await carry_out()
        return [await self._current(run) for run in await self._submissions.once(submission, carry_out)]

    async def plan(self, drafts: Sequence[Draft], *, source: BatchFile | None = None) -> list[Task]:
        """Return the tasks that drafts would become."""
        equipment = await self._equipment()
        return await tasks_of(equipment, await self._named(equipment, drafts), source)

    async def branches(self, drafts: Sequence[Draft]) -> list[BranchState | None]:
        """Return what is known of each draft's branch."""
        return await (await self._equipment()).branches.states([anchored(draft) for draft in drafts], self._store.of_branch)

    async def _named(self, equipment: Equipment, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """Return the drafts with the names of their branches."""
        return await equipment.branches.named([anchored(draft) for draft in drafts], self._store.of_branch)

    async def _enqueue(
        self, runs: Sequence[Run], equipment: Equipment, at_once: int | None = None, submission: Submission | None = None
    ) -> list[Run]:
        """Queue runs and return them with their numbers."""
        if self._retired.is_set():
            raise DaemonError("the daemon is about to end", "try again")
        for run in runs:
            await asyncio.to_thread(self._environments.store, run.id, equipment.caller)
        # before the transcripts: one without a document would be lost
        saved = await asyncio.to_thread(self._store.submit, runs, submission)
        for run in saved:
            await self._queue(run, equipment, at_once)
        return saved

    async def _queue(self, run: Run, equipment: Equipment, at_once: int | None) -> None:
        control = RunControl()
        transcript = self._transcript(self._state.run(run.id), run.id, control.record_failed.set)
        recorder = Recorder(run, transcript, self._store, clean_text, heard=self._waiting.heard)
        recorder.emit([queued(run), *(Notice(level="info", text=note) for note in run.task.notes)])
        await recorder.save()
        active = self._active[run.id] = Active(recorder, control, equipment)
        login = await login_of(equipment, run.task)
        active.entry = replace(equipment.entry(run, run.batch or BatchId(run.id), at_once), credential=login)
        self._scheduler.submit(active.entry)

    def _note_hold(self, run: RunId, reason: str, turn: bool) -> None:
        self._active[run].recorder.emit([Held(reason=reason, turn=turn)])

    async def _carry_out(self, run: RunId) -> Run:
        recorder, control, equipment = self._active[run].recorder, self._active[run].control, self._active[run].equipment
        try:
            before = await asyncio.to_thread(Earlier.of, recorder.run, self._store.get)
            await equipment.pipelines[recorder.run.task.execution_mode].carry_out(recorder, control, before)
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

    async def find(self, ref: RunRef) -> Run:
        """Return the run of a number, `last`, a branch, or an id or its beginning."""
        return await self._current(await asyncio.to_thread(self._store.find, str(ref)))

    async def runs(self, **which: Unpack[RunFilter]) -> list[Run]:
        """Return runs, oldest first."""
        return [await self._current(run) for run in await asyncio.to_thread(self._store.list, **which)]

    async def follow(self, run: RunRef, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events as they happen."""
        run = await self._id(run)
        recorder = self._active[run].recorder if live and run in self._active else None
        batches = recorder.follow(after) if recorder else follow(self._state.run(run), after, alive=lambda: False)
        async for batch in batches:
            for event in batch:
                yield event

    async def cancel(self, run: RunRef, *, now: bool = False) -> None:
        """Stop a run."""
        run = await self._id(run)
        if self._scheduler.withdraw(run):
            self._credentials.forget(run)
            try:
                await self._active[run].recorder.finish(State.CANCELLED, summary="cancelled before it started")
            finally:  # until then the store has it as queued
                self._active.pop(run).closed.set()
        elif run in self._active and not self._active[run].recorder.run.state.final:
            await self._active[run].control.cancel(now=now)
        else:
            known = await self.find(run)
            raise UsageError(f"run {known.label} has ended already ({known.state})", f"ccterm show {known.ref}")

    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop every queued and running run; what lost runs left is kept at the next start."""
        for run in list(reversed(self._active)):  # the queued ones first, or each that ends would start the next
            known = self._active[run].recorder.run if run in self._active else None
            if known and not known.state.final and not is_recovering(known):
                await self.cancel(run, now=now)

    async def renewed(self) -> list[RunId]:
        """Return the refused runs that could be retried now."""
        return self._credentials.renewed()

    async def look_again(self) -> None:
        """Look at once whether there is another login."""
        (await self._equipment()).forget_logins()
        await self._keeper.look_again()
        await self._credentials.look_again()

    def refuse_runs(self) -> None:
        """Take no further runs: this process is about to end."""
        self._retired.set()

    async def make_way(self) -> bool:
        """End if nothing is queued or under way, and nobody else is connected."""
        if not self.busy and self._retire():
            self._retired.set()
        return self._retired.is_set()

    async def checks(
        self, execution_mode: ExecutionMode | None = None, *, repo: str | None = None, branch: str | None = None, here: str | None = None
    ) -> AsyncGenerator[CheckResult, None]:
        """Ask the preflight questions, of the executors that would carry runs out."""
        equipment = await self._equipment()
        async for result in run_checks(await asyncio.to_thread(equipment.questions, execution_mode, repo, branch, here)):
            yield result
