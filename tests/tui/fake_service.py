"""A service for tests of the terminal: the same interface, real transcripts on disk, and runs whose events a test emits one by one.

Time stands still at `NOON` unless a test moves it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar, Unpack

from ccterm.credentials.export import Exported
from ccterm.draft import BatchFile, Draft
from ccterm.errors import CctermError, UnknownRun, UsageError
from ccterm.events import Event, Finished, PermissionAnswered, Queued, Waiting
from ccterm.models import Allowances, BatchId, BranchState, BranchUse, CheckResult, ExecutionMode, Mode, Run, RunId, RunRef, State, Task
from ccterm.record import Recorder
from ccterm.remotes.branch_names import EACH, branch_for
from ccterm.service.command_base import ServiceCommand
from ccterm.service.protocol import NO_ALLOWANCES, Service
from ccterm.settings import Settings
from ccterm.settings.egress import login_place, resolved
from ccterm.settings.widen import WiderList, wider_list
from ccterm.state_dir import StateDir
from ccterm.store import RunFilter
from ccterm.transcript import Transcript
from ccterm.values import Answer, Decision, PendingChange, Sync

R = TypeVar("R")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SESSION = "5f0c4b9e-2f2a-4b38-9d57-2a8e1b1f6f10"
REMOTE = "https://github.com/acme/shop"


@dataclass
class Clock:
    """A clock that only a test moves."""

    at: datetime = NOON

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at

    def forward(self, **by: float) -> None:
        """Move the clock."""
        self.at += timedelta(**by)


@dataclass
class FakeService(Service):
    """A service whose runs do what a test says. calls: what it was asked to do. refusal: the error that answers every call, if set."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    check_results: list[CheckResult] = field(default_factory=list)
    remote_results: list[CheckResult] = field(default_factory=list)
    patches: dict[RunId, bytes] = field(default_factory=dict)
    changes: list[PendingChange] = field(default_factory=list)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    refusal: CctermError | None = None
    at_once: int | None = None
    """How many runs of the last batch may run at once."""
    remote_branches: dict[str, BranchState] = field(default_factory=dict)
    """The branches that the remote has."""
    image_log: list[str] = field(default_factory=list)
    """The output of an image build."""
    image_built: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to finish an image build."""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while it takes long to say what a run has changed, or to queue runs."""
    with_another_login: list[RunId] = field(default_factory=list)
    """Refused runs that could be started again."""
    exported: dict[str, object] = field(default_factory=dict)
    """What an export of the login came to, beside where and until when."""

    def __post_init__(self) -> None:
        self._state = StateDir(self.directory).prepare()
        self._recorders: dict[RunId, Recorder] = {}
        self.user_settings, self.settings_file = Settings(), Path("/home/ann/.config/ccterm/config.toml")
        """What the lists of hosts are taken from, and written to."""
        self._reviewed: set[RunId] = set()
        self.answering.set()

    @property
    def state(self) -> StateDir:
        """The state directory, with the transcripts."""
        return self._state

    def add_run(self, branch: str, *, prompt: str = "Do it", number: int | None = None, **task: object) -> Run:
        """Queue a run, as another process might."""
        number = number if number is not None else len(self._recorders)
        run = RunId(f"01FAKE0{number:019}")
        given = {"prompt": prompt, "repo": REMOTE, "remote": REMOTE, "branch": branch, "execution_mode": ExecutionMode.LOCAL} | task
        fresh = Run(
            id=run,
            number=number + 1,
            batch=BatchId(run),
            task=Task.model_validate(given),
            created=self.clock(),
            attempts=(run,),
            session_id=SESSION,
        )
        self._recorders[run] = Recorder(fresh, Transcript(self._state.run(run), run), None)
        self.emit(run, Queued(target=branch, prompt=prompt))
        return fresh

    def emit(self, run: RunId, *events: Event) -> None:
        """Emit events of a run."""
        self._recorders[run].emit([event.model_copy(update={"at": self.clock()}) for event in events])

    def change(self, run: RunId, **fields: object) -> None:
        """Change a part of a run's document that no event carries."""
        self._recorders[run].change(**fields)

    @property
    def all_runs(self) -> list[Run]:
        """All runs as they are now, the oldest first."""
        return [recorder.run for recorder in self._recorders.values()]

    @property
    def continued(self) -> set[RunId]:
        """The runs that another one goes on with."""
        return {run.continues for run in self.all_runs if run.continues}

    async def settle(self) -> None:
        """Wait until all events are in the transcripts."""
        for recorder in self._recorders.values():
            await recorder.save()

    async def close(self) -> None:
        """Close the transcripts."""
        for recorder in self._recorders.values():
            await recorder.close()

    def _called(self, *call: str) -> None:
        self.calls.append(call)
        if self.refusal:
            raise self.refusal

    async def perform(self, command: ServiceCommand[R]) -> R:
        """Carry out a command with the method of the same name."""
        return await command.execute(self)

    async def submit(
        self, drafts: Sequence[Draft], *, max_concurrent: int | None = None, source: BatchFile | None = None, key: str | None = None
    ) -> list[Run]:
        """Queue tasks."""
        await self.answering.wait()
        self.at_once = max_concurrent
        if any(EACH in (draft.branch or "") for draft in drafts):
            named = zip(drafts, await self.branches(drafts), strict=True)
            drafts = [draft.model_copy(update={"branch": state.branch}) if state else draft for draft, state in named]
        for draft in drafts:
            self._called("submit", draft.branch or "", draft.task)
        return [
            self.add_run(draft.branch or "", prompt=draft.task, model=draft.model, mode=Mode.PIPELINE if draft.branch else Mode.TESTING)
            for draft in drafts
        ]

    async def allow_hosts(self, run: RunRef, hosts: Sequence[str]) -> Run:
        """Note which hosts further runs may reach."""
        recorder = self._recorders[RunId(str(run))]
        recorder.change(allowed_hosts=(*recorder.run.allowed_hosts, *hosts))
        return recorder.run

    async def wider_list(self, run: RunRef, hosts: Sequence[str]) -> WiderList | None:
        """Return what the test has set up, made longer."""
        return wider_list(self.user_settings, self.settings_file, "github.com/acme/shop", tuple(hosts))

    async def plan(self, drafts: Sequence[Draft], *, source: BatchFile | None = None) -> list[Task]:
        """Return the tasks that drafts would become."""
        if self.refusal:
            raise self.refusal
        modes = {draft.execution_mode or ExecutionMode.LOCAL for draft in drafts}
        notes = ["local mode has no isolation: the agent runs on this machine as you"] if ExecutionMode.LOCAL in modes else []
        if any(draft.skip_permissions for draft in drafts):
            notes.append("permissions are skipped: the agent may do everything that you may do")
        given = {"remote": REMOTE, "notes": notes}
        return [
            Task.model_validate(
                {
                    "prompt": draft.task,
                    "repo": draft.repo or ".",
                    "branch": draft.branch,
                    "execution_mode": draft.execution_mode or ExecutionMode.LOCAL,
                    "mode": "pipeline" if draft.branch else "testing",
                    "egress": (egress := resolved(draft.egress)),
                    "login": login_place(draft.login, egress, draft.execution_mode),
                }
                | given
            )
            for draft in drafts
        ]

    async def branches(self, drafts: Sequence[Draft]) -> list[BranchState | None]:
        """Return what the test has set, and for other branches that they are new, unless a run has them."""
        if self.refusal:
            raise self.refusal
        used = {recorder.run.task.branch: recorder.run for recorder in self._recorders.values()}
        found: list[BranchState | None] = []
        for draft in drafts:
            branch, taken = draft.branch or "", ""
            if EACH in branch:
                known = {*used, *self.remote_branches, *(state.branch for state in found if state)}
                branch, taken = branch_for(branch, draft.task, self.clock().date(), known.__contains__)
            last = used.get(taken or branch)
            use = BranchUse(run=last.id, label=last.label, at=last.created, active=not last.state.final) if last else None
            state = self.remote_branches.get(branch) or BranchState(branch=branch, taken=taken, last=use, start="main")
            found.append(state if branch else None)
        return found

    async def find(self, ref: RunRef) -> Run:
        """Return a run by its id."""
        if str(ref) not in self._recorders:
            raise UnknownRun(f"there is no run {ref}", "ccterm runs lists them")
        return self._recorders[RunId(str(ref))].run

    async def runs(self, **which: Unpack[RunFilter]) -> list[Run]:
        """Return runs, oldest first."""
        found = [recorder.run for recorder in self._recorders.values()]
        states, since, limit = which.get("states"), which.get("since"), which.get("limit")
        found = [run for run in found if (not states or run.state in states) and (since is None or run.created >= since)]
        return found[-limit:] if limit else found

    async def follow(self, run: RunRef, *, after: int = -1, live: bool = True) -> AsyncIterator[Event]:
        """Yield a run's events as they are emitted."""
        run = await self._id(run)
        async for batch in self._recorders[run].follow(after):
            for event in batch:
                yield event

    async def cancel(self, run: RunRef, *, now: bool = False) -> None:
        """Stop a run."""
        run = await self._id(run)
        self._called("cancel", run, "now" if now else "keep")
        self.emit(run, Finished(state=State.CANCELLED, summary="cancelled by the user"))

    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop all runs."""
        self.calls.append(("cancel_all", "now" if now else "keep"))
        for run, recorder in self._recorders.items():
            if not recorder.run.state.final:
                await self.cancel(run, now=now)

    async def steer(self, run: RunRef, text: str) -> None:
        """Send a message to the agent."""
        run = await self._id(run)
        self._called("steer", run, text)

    async def hold(self, run: RunRef) -> None:
        """Hold the agent."""
        run = await self._id(run)
        self._called("hold", run)

    async def release(self, run: RunRef) -> None:
        """Let the agent finish."""
        run = await self._id(run)
        self._called("release", run)

    async def decide(self, run: RunRef, request: str, decision: Decision, text: str = "") -> None:
        """Answer a request for permission."""
        run = await self._id(run)
        self._called("decide", run, request, decision, text)
        answer: Mapping[Decision, Answer] = {"allow": "allowed", "always": "always", "deny": "denied"}
        self.emit(run, PermissionAnswered(id=request, answer=answer[decision], text=text), Waiting(until=None))

    async def retry(self, run: RunRef) -> Run:
        """Queue the same task again."""
        run = await self._id(run)
        self._called("retry", run)
        old = await self.find(run)
        return self.add_run(old.task.branch or "", prompt=old.task.prompt)

    async def continue_(self, run: RunRef, text: str, *, branch: str | None = None, fresh: bool = False) -> Run:
        """Go on with a run."""
        run = await self._id(run)
        self._called("continue", run, text, *([branch] if branch else []), *(["fresh"] if fresh else []))
        await self.review(run)
        return self.add_run((await self.find(run)).task.branch or "", prompt=text)

    async def push(self, run: RunRef, *, allow: Allowances = NO_ALLOWANCES) -> Run:
        """Push kept work."""
        run = await self._id(run)
        self._called("push", run)
        return await self.find(run)

    async def apply(self, run: RunRef, *, allow: Allowances = NO_ALLOWANCES, only: Sequence[str] = ()) -> Run:
        """Apply kept changes to the working copy."""
        run = await self._id(run)
        self._called("apply", run, *only)
        self.change(run, synced=Sync(files=len(only) or 1))
        return await self.find(run)

    async def pending(self, run: RunRef) -> list[PendingChange]:
        """Return the changes that the test has set."""
        return self.changes

    async def undo(self, run: RunRef) -> Run:
        """Undo the changes."""
        run = await self._id(run)
        self._called("undo", run)
        return await self.find(run)

    async def renewed(self) -> list[RunId]:
        """Return the runs that the test has set."""
        return self.with_another_login

    async def look_again(self) -> None:
        """Look for another login."""

    async def review(self, run: RunRef) -> Run:
        """Mark the run as reviewed."""
        run = await self._id(run)
        self._called("review", run)
        if not (await self.find(run)).state.final:
            raise UsageError(f"run {run} has not ended yet")
        self.change(run, reviewed=True)
        return await self.find(run)

    async def checks(
        self, execution_mode: ExecutionMode | None = None, *, repo: str | None = None, branch: str | None = None, here: str | None = None
    ) -> AsyncIterator[CheckResult]:
        """Yield the results that the test has set."""
        self.calls.append(("checks", execution_mode or ""))
        for result in list(self.check_results):
            yield result
        if repo or branch:
            self.calls.append(("checks of", repo or "", branch or ""))
            for result in list(self.remote_results):
                yield result

    async def patch(self, run: RunRef) -> bytes | None:
        """Return the patch that the test has set."""
        run = await self._id(run)
        await self.answering.wait()
        return self.patches.get(run)

    async def fetch(self, run: RunRef, repo: Path, worktree: Path | None = None) -> str:
        """Fetch the commit into a repository."""
        run = await self._id(run)
        self._called("fetch", run, str(repo))
        return f"refs/ccterm/{run}"

    async def export_login(self) -> Exported:
        """Export the login."""
        self._called("export")
        return Exported.model_validate({"path": Path("/login.json"), "until": self.clock() + timedelta(hours=8), **self.exported})

    async def make_image(self) -> AsyncIterator[str]:
        """Yield the output that the test has set, and wait for the end."""
        self._called("make_image")
        for line in self.image_log:
            yield line
        await self.image_built.wait()
