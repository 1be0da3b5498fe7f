"""What the runs of one environment are planned, carried out and delivered with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from ccterm.draft import BatchFile, Draft
from ccterm.executors.base import Check
from ccterm.models import BatchId, ExecutionMode, Run, Task
from ccterm.pipeline.branch_planner import BranchPlanner
from ccterm.pipeline.change_applier import ChangeApplier
from ccterm.pipeline.pipeline import Pipeline
from ccterm.service.caller import CallerEnvironment
from ccterm.service.credential_gate import AgentLogin
from ccterm.service.gates import Availability, QueueEntry
from ccterm.settings import Settings


@dataclass(frozen=True)
class Equipment:
    """Everything that settings and environment of a caller come to. The settings are read again for each submission."""

    caller: CallerEnvironment
    settings: Settings
    resolve: Callable[[Draft, BatchFile | None], Task]
    """Makes a task of a draft and the file that it is from."""
    require_able: Callable[[Task], None]
    """Makes sure that this machine has what the agent of a task takes. Raises PreflightError and UsageError."""
    branches: BranchPlanner
    executors: Mapping[ExecutionMode, Availability]
    pipelines: Mapping[ExecutionMode, Pipeline]
    applier: ChangeApplier
    login: Callable[[Task], AgentLogin | None]
    """Returns the login that the agent of a task would get; None = it needs none, and no secret was lost."""
    forget_logins: Callable[[], None]
    """Has every login looked up again that was found a moment ago: there may be another one."""
    questions: Callable[[ExecutionMode | None, str | None, str | None, str | None], Sequence[Check]]
    """Returns the preflight checks of an execution mode, of a repository and of a branch."""

    def entry(self, run: Run, batch: BatchId, at_once: int | None = None) -> QueueEntry:
        """Return what the scheduler knows of a run. at_once: how many of its batch may run at once."""
        task = run.task
        key = (task.remote_key or task.repo, task.branch or "")
        return QueueEntry(
            run.id,
            batch,
            key,
            task.execution_mode,
            at_once,
            executor=self.executors[task.execution_mode],
            pool=self.settings.max_concurrent,
            idle_after=self.settings.waiting_frees_slot.total_seconds(),
            on_remote=self.settings.for_repo(key[0]).max_concurrent,
            label=run.label,
        )


Equip = Callable[[CallerEnvironment | None], Awaitable[Equipment]]
"""Makes the equipment for an environment; None = that of this process as it is now. Raises SettingsError."""
