"""The interface to the core: everything that a user can ask for, as one class, whichever process carries it out.

`local.LocalService` carries runs out in this process, the daemon; `remote.RemoteService` sends commands to that process.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from ccterm.causes import Cause
from ccterm.draft import BatchFile, Draft, anchored, require_message
from ccterm.errors import DaemonError, UsageError
from ccterm.events import Steered, Told
from ccterm.models import Allowances, BranchState, CheckResult, ExecutionMode, Mode, Run, RunId, RunRef, State, Task
from ccterm.proof import uncommitted
from ccterm.service import commands
from ccterm.service.awaited_runs import AwaitedRuns
from ccterm.service.caller import CallerEnvironment
from ccterm.service.command_base import ServiceCommand
from ccterm.values import Decision, Terminal

if TYPE_CHECKING:  # one key of one screen needs it
    from ccterm.credentials.export import Exported
    from ccterm.settings.widen import WiderList

NO_ALLOWANCES = Allowances()
ANSWER_SECONDS = 5.0
"""How long an agent that is not busy with a tool may take to answer a message."""
GO_ON = "Claude refused the login of this session for a moment. There is another one now: go on where you stopped."
"""What an agent is told that goes on after its login was refused."""
R = TypeVar("R")


class Machine(Protocol):
    """The part of a service that concerns the caller's machine rather than runs, and so never crosses to another process."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment for programs of the user's."""
        ...

    def caller(self) -> CallerEnvironment:
        """Return what of the environment counts for what is asked from here. Blocks. Raises SettingsError."""
        ...

    def make_image(self) -> AsyncIterator[str]:
        """Build the image for boxes unless it exists and yield the build's output line by line. Raises PreflightError and SettingsError."""
        ...

    async def export_login(self) -> "Exported":
        """Copy the user's Claude login for containers again. Raises PreflightError."""
        ...


class Service(AwaitedRuns):
    """What every frontend uses. Methods raise CctermError, and nothing else, for an expected error.

    Each verb is a method that performs the command of the same name, so that a service which only forwards commands needs nothing
    but `perform`; the service that carries them out overrides every verb.
    """

    machine: Machine

    @abstractmethod
    async def perform(self, command: ServiceCommand[R]) -> R:
        """Carry out a command, here or in the daemon, and return its result."""

    def acting_for(self, environment: CallerEnvironment | None) -> "Service":  # noqa: ARG002 - who only passes commands on has no use for it
        """Return the same service for somebody else, whose environment counts for what is asked of it.

        None: nobody's, as for programs that ask over HTTP or MCP; then runs have this process's, and ended ones the one that is stored with them.
        """
        return self

    async def submit(
        self,
        drafts: Sequence[Draft],
        *,
        max_concurrent: int | None = None,
        source: BatchFile | None = None,
        key: commands.SubmissionKey | None = None,
    ) -> list[Run]:
        """Queue tasks as one batch and return their runs at once. Raises UsageError or PreflightError before anything starts.

        source: the file that they were read from; what runs on this machine then needs its user's trust. key: names this submission: the same
        one given again, after whatever went wrong, returns the runs of the first time; other tasks under the same key are a UsageError.
        """
        return await self.perform(commands.Submit(drafts=_anchored(drafts), max_concurrent=max_concurrent, source=source, key=key))

    async def plan(self, drafts: Sequence[Draft], *, source: BatchFile | None = None) -> list[Task]:
        """Return the tasks that drafts would become, and start nothing. Raises what `submit` would."""
        return await self.perform(commands.Plan(drafts=_anchored(drafts), source=source))

    async def branches(self, drafts: Sequence[Draft]) -> list[BranchState | None]:
        """Return what is known of each draft's branch, from its remote and from earlier runs; None for a draft without one.

        A name that is made from its task is one that neither knows. Raises RemoteError and PreflightError.
        """
        return await self.perform(commands.Branches(drafts=_anchored(drafts)))

    async def cancel(self, run: RunRef, *, now: bool = False) -> None:
        """Stop a run; its work is kept unless `now`. Raises UsageError when it has ended."""
        await self.perform(commands.Cancel(run=await self._id(run), now=now))

    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop every queued and running run."""
        await self.perform(commands.CancelAll(now=now))

    async def steer(self, run: RunRef, text: str) -> None:
        """Send a message to a running agent; the answer is a `steered` event. Raises UsageError when no agent listens."""
        command = commands.Steer(run=await self._id(run), text=text)
        require_message(command.text)
        await self.perform(command)

    async def say(self, run: RunRef, text: str, *, seconds: float = ANSWER_SECONDS) -> Steered | None:
        """Send a message to a running agent and return its answer; None = it takes the message up later. Raises what `steer` does."""
        known = await self._id(run)
        before = [event async for event in self.follow(known, live=False)]
        last = max((event.seq for event in before), default=-1)
        others = {event.message for event in before if isinstance(event, Told) and event.message}
        await self.steer(known, text)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for event in self.follow(known, after=last):
                    if isinstance(event, Steered) and event.message not in others:  # an earlier message may be answered meanwhile
                        return event
        return None

    async def hold(self, run: RunRef) -> None:
        """Make a running agent wait for input when its turn ends. Raises UsageError when no agent listens."""
        await self.perform(commands.Hold(run=await self._id(run)))

    async def release(self, run: RunRef) -> None:
        """Let a waiting agent finish. Raises UsageError when no agent listens."""
        await self.perform(commands.Release(run=await self._id(run)))

    async def decide(self, run: RunRef, request: str, decision: Decision, text: str = "") -> None:
        """Answer an agent that asks for permission, by the request's id; `always` allows the like until the run ends, too.

        text: what the agent is told with a no. Raises UsageError when it no longer asks for that.
        """
        command = commands.Decide(run=await self._id(run), request=request, decision=decision, text=text)
        require_message(command.text, may_be_empty=True)
        await self.perform(command)

    async def retry(self, run: RunRef) -> Run:
        """Queue the same task again and return the new run. Raises UsageError while the run has not ended."""
        return await self.perform(commands.Retry(run=await self._id(run)))

    async def continue_(self, run: RunRef, text: str, *, branch: str | None = None, fresh: bool = False) -> Run:
        """Go on with an ended run and return the new one: the same conversation, on the tip of the same branch, or in the same working copy.

        Work that was not delivered goes along. branch: a new one instead, which begins where the run began. fresh: begin a new conversation,
        which is told what came of the earlier one. Raises UsageError while the run has not ended, or when it has no conversation.
        """
        command = commands.Continue(run=await self._id(run), text=text, branch=branch, fresh=fresh)
        require_message(command.text)
        return await self.perform(command)

    async def shell(self, run: RunRef, terminal: Terminal) -> Run:
        """Open a shell where an ended run's agent was, and return the new run that keeps what comes of it: nothing is pushed.

        Its tree is as `continue_` would find it; the conversation is in its HOME, if it was kept. Raises UsageError while the run has not ended,
        and for one that worked on this machine.
        """
        return await self.perform(commands.Shell(run=await self._id(run), terminal=terminal))

    async def push(self, run: RunRef, *, allow: Allowances = NO_ALLOWANCES) -> Run:
        """Push a run's salvaged commit. Raises StepError(push or policy) when that fails, UsageError when there is nothing to push."""
        return await self.perform(commands.Push(run=await self._id(run), allow=allow))

    async def apply(self, run: RunRef, *, allow: Allowances = NO_ALLOWANCES, only: Sequence[str] = ()) -> Run:
        """Bring a testing run's kept changes, or those of some paths, into its working copy: all, or none.

        Raises StepError(conflict or policy), and UsageError when there is nothing to apply.
        """
        return await self.perform(commands.Apply(run=await self._id(run), allow=allow, only=tuple(only)))

    async def undo(self, run: RunRef) -> Run:
        """Restore what a run's changes replaced. Raises StepError(conflict), and UsageError when there is nothing to undo."""
        return await self.perform(commands.Undo(run=await self._id(run)))

    async def commit(self, run: RunRef) -> Run:
        """Commit the tree that was kept of a run, and judge it. Raises StepError, and UsageError when there is none."""
        return await self.perform(commands.Commit(run=await self._id(run)))

    async def clean(self, run: RunRef) -> Run:
        """Remove what is kept of a run, delivered or not. Raises UsageError when nothing is."""
        return await self.perform(commands.Clean(run=await self._id(run)))

    async def patch(self, run: RunRef) -> bytes | None:
        """Return what a run changed as a patch: up to now, of an agent that works. What was kept as a tree alone is committed first.

        Raises StepError.
        """
        known = await self._committed(run)
        if known.state is State.RUNNING:
            with suppress(UsageError):  # no agent works now
                await self.refresh_patch(known.id)
        return await super().patch(known.id)

    async def refresh_patch(self, run: RunRef) -> None:
        """Bring the patch of what a running agent has changed up to date. Raises StepError, and UsageError when none works now."""
        await self.perform(commands.RefreshPatch(run=await self._id(run)))

    async def _committed(self, run: RunRef) -> Run:
        known = await self.find(run)
        if not (known.state.final and uncommitted(known)):
            return known
        try:
            return await self.commit(known.id)
        except UsageError:
            if uncommitted(known := await self.find(known.id)):
                raise
            return known  # it was made meanwhile, for somebody else

    async def review(self, run: RunRef) -> Run:
        """Mark a run as reviewed. Raises UsageError when it has not ended."""
        return await self.perform(commands.Review(run=await self._id(run)))

    async def allow_hosts(self, run: RunRef, hosts: Sequence[str]) -> Run:
        """Let the runs that go on with a run, or repeat it, reach more hosts than its list. Raises UsageError where it has none, or for no host.

        The settings stay as they are: `wider_list` returns what to write into them.
        """
        return await self.perform(commands.AllowHosts(run=await self._id(run), hosts=tuple(hosts)))

    async def wider_list(self, run: RunRef, hosts: Sequence[str]) -> "WiderList | None":
        """Return the list of a run's repository in the caller's settings file with more hosts; None where there is none. Raises SettingsError."""
        from ccterm.settings.load import load_settings  # deferred: few need it
        from ccterm.settings.widen import wider_list
        from ccterm.state_dir import settings_path
        from ccterm.workspace.repository import settings_key

        environ, known = self.machine.environ, await self.find(run)
        key = await asyncio.to_thread(settings_key, known.task, environ)
        return wider_list(load_settings(None, environ), settings_path(), key, tuple(hosts))

    async def fetch(self, run: RunRef, repo: Path) -> str:
        """Bring a run's commit into a repository of the caller's and return the ref that names it there. Raises UsageError."""
        from ccterm.workspace.fetch import fetch  # deferred: few need it

        return await asyncio.to_thread(fetch, await self._committed(run), self.state, repo, self.machine.environ)

    async def check_out(self, run: RunRef, repo: Path, ref: str, worktree: Path) -> Sequence[str]:
        """Check a fetched ref out in a new directory, to be looked at; return what of the work git obeys there. Raises UsageError."""
        from ccterm.workspace.worktree import check_out  # deferred: few need it

        known = await self.find(run)
        base = known.base_sha if known.task.mode is Mode.PIPELINE else None
        return await asyncio.to_thread(check_out, repo, ref, base, worktree, self.machine.environ)

    @abstractmethod
    def checks(
        self, execution_mode: ExecutionMode | None = None, *, repo: str | None = None, branch: str | None = None, here: str | None = None
    ) -> AsyncIterator[CheckResult]:
        """Ask the preflight questions in the process that would carry runs out, and yield each answer as it comes.

        execution_mode: None = as configured. repo, branch: their remote is asked, too. here: a directory or URL whose network is told where
        no repo is named; None = the current directory. Raises PreflightError, SettingsError and BranchError.
        """

    async def renewed(self) -> list[RunId]:
        """Return the runs that Claude refused and that could be retried now, because there is another login; none while there is not."""
        return await self.perform(commands.Renewed())

    async def refused(self) -> list[Run]:
        """Return the runs that ended because Claude refused their login, and that were neither reviewed nor started again since."""
        found = [run for run in await self.runs(states=[State.FAILED]) if run.cause is Cause.AUTH and not run.reviewed]
        later = await self.runs(since=found[0].created) if found else []
        again = {earlier for run in later for earlier in run.attempts[:-1]}
        return [run for run in found if run.id not in again]

    async def restart(self, run: RunRef) -> Run:
        """Start a refused run again with the login that there is now, and return the new one: it goes on where the agent stopped, if it had begun.

        Raises what `retry` does.
        """
        known = await self.find(run)
        if known.turns and known.session_id:
            with suppress(UsageError):  # something of it is no longer there
                return await self.continue_(run, GO_ON)
        return await self.retry(run)

    async def look_again(self) -> None:
        """Look at once whether there is another login, for the runs that wait for one."""
        await self.perform(commands.LookAgain())

    async def make_way(self) -> bool:
        """End if there is nothing to do for anybody, and return whether that is so."""
        return await self.perform(commands.MakeWay())

    def make_image(self) -> AsyncIterator[str]:
        """Build the image for boxes, as `Machine.make_image`."""
        return self.machine.make_image()

    async def export_login(self) -> "Exported":
        """Copy the user's Claude login for containers, as `Machine.export_login`; runs that wait for a login get it at once."""
        exported = await self.machine.export_login()
        with suppress(DaemonError):  # the daemon would look within a minute anyway
            await self.look_again()
        return exported


def _anchored(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """A path in a draft is relative to the caller's directory, which the daemon does not share."""
    return tuple(anchored(draft) for draft in drafts)
