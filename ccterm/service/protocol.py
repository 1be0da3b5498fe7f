"""The front door to the core: everything that a user can ask for, one Protocol whoever carries it out.

`agent_service.AgentService` carries runs out in this process and owns the state directory; `owner.remote.RemoteService` asks the process
that does.
"""

import asyncio
import os
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Unpack

from ccterm.draft import Draft, DraftFields, draft
from ccterm.models import Allowances, CheckResult, ExecutionMode, Run, RunId, Task
from ccterm.service.reader import Reader

if TYPE_CHECKING:
    from ccterm.credentials.export import Exported

NO_ALLOWANCES = Allowances()


class Service(Reader):
    """What every front door speaks to. Every method raises CctermError and nothing else for an expected fault."""

    @abstractmethod
    async def submit(self, drafts: Sequence[Draft], *, max_concurrent: int | None = None) -> list[Run]:
        """Queue tasks as one batch and return their runs at once. Raises UsageError or PreflightError before anything starts."""

    @abstractmethod
    async def plan(self, drafts: Sequence[Draft]) -> list[Task]:
        """Return the tasks that drafts would become, and start nothing. Raises what `submit` would."""

    @abstractmethod
    async def cancel(self, run: RunId, *, now: bool = False) -> None:
        """Stop a run; its work is kept unless `now`. Raises UsageError when it has ended."""

    @abstractmethod
    async def cancel_all(self, *, now: bool = False) -> None:
        """Stop every queued and running run."""

    @abstractmethod
    async def steer(self, run: RunId, text: str) -> None:
        """Say something to a running agent; the answer is a `steered` event. Raises UsageError when no agent listens."""

    @abstractmethod
    async def hold(self, run: RunId) -> None:
        """Let a running agent wait for a word when its turn ends."""

    @abstractmethod
    async def release(self, run: RunId) -> None:
        """Let a waiting agent end."""

    @abstractmethod
    async def retry(self, run: RunId) -> Run:
        """Queue the same task again."""

    @abstractmethod
    async def push(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES) -> Run:
        """Deliver a run's salvaged commit. Raises StepError(push or policy) when that fails, UsageError when there is nothing to deliver."""

    @abstractmethod
    async def apply(self, run: RunId, *, allow: Allowances = NO_ALLOWANCES, only: Sequence[str] = ()) -> Run:
        """Bring a testing run's kept changes, or those of some paths, into its working copy: all, or none.

        Raises StepError(conflict or policy), and UsageError when there is nothing to apply.
        """

    @abstractmethod
    async def undo(self, run: RunId) -> Run:
        """Put back what a run's changes replaced. Raises StepError(conflict), and UsageError when there is nothing to undo."""

    @abstractmethod
    async def review(self, run: RunId) -> Run:
        """Note that the user has seen how a run ended. Raises UsageError when it has not ended."""

    @abstractmethod
    def checks(self, mode: ExecutionMode) -> AsyncIterator[CheckResult]:
        """Ask all preflight questions of a place to run and yield each answer when it is there. Raises PreflightError and SettingsError."""

    async def export_login(self) -> "Exported":
        """Copy the user's Claude login for containers, anew. Raises PreflightError."""
        from ccterm.credentials.export import export_login  # deferred: one key of one screen needs it

        return await asyncio.to_thread(export_login, os.environ)

    def make_image(self) -> AsyncIterator[str]:
        """Make the image for boxes unless it is there, and yield what that says, line by line. Raises PreflightError and SettingsError."""
        from ccterm.daemon.image import making  # deferred: it brings the executors, which only this needs

        return making(self.state, os.environ)

    async def run(self, **given: Unpack[DraftFields]) -> Run:
        """Run one task to its end."""
        return (await self.run_parallel([given]))[0]

    async def run_parallel(self, drafts: Sequence[DraftFields], *, max_concurrent: int | None = None) -> list[Run]:
        """Run tasks side by side to their ends, in the order given."""
        queued = await self.submit([draft(given) for given in drafts], max_concurrent=max_concurrent)
        return [await self.wait(run.id) for run in queued]
