"""What one run is carried out with, and how far it has come."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ccterm.agents.base import Agent, Command
from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome
from ccterm.executors.base import Artifact
from ccterm.models import Changes, Manifest, Task
from ccterm.output.pipeline import OutputPipeline
from ccterm.pipeline.step_specs import Access, Surroundings
from ccterm.pipeline.working_copy import WorkingCopy
from ccterm.policy.rules import PolicyLimits, Refusal
from ccterm.workspace.work import Work


@dataclass(frozen=True)
class RunContext:
    """What one run is carried out with."""

    task: Task
    access: Access
    around: Surroundings
    agent: Agent
    command: Command
    author: str
    sockets: Path
    """A short private directory for the control socket."""
    door: Callable[[StreamParser | None], OutputPipeline]
    start_gate: Callable[[], AbstractAsyncContextManager[Callable[[], None]]]
    """Limits how many agents start up at once; calling what it yields says that this one is up."""
    secret_names: Callable[[Path], frozenset[str]]
    """Which registered secrets stand in a file of added bytes."""
    measures: PolicyLimits
    """How much is too much for the policy."""
    caps: tuple[int, int]
    """The largest file and the largest sum of new files that commit takes, in bytes."""
    keep_session: Callable[[Path, Path], None]
    """ChangeApplier a collected conversation, cleaned, and removes the raw one."""
    manifest: Manifest
    agent_reaches: tuple[tuple[str, int], ...] = ()
    home: Callable[[Path], bool] = lambda _: False
    """Fills a fresh directory with what the agent's private HOME holds from the start; returns whether there is anything."""
    copy: WorkingCopy | None = None
    """The working copy of a testing run."""


@dataclass
class Progress:
    """What the line has reached so far; what is None was not reached."""

    base: str | None = None
    tip: str | None = None
    clean: Artifact | None = None
    tree: Artifact | None = None
    """The checked-out tree, before the agent."""
    work: Artifact | None = None
    """The agent's tree."""
    kept: Work | None = None
    """The commit on the host: bundle, patch, numbers."""
    refusals: Sequence[Refusal] = ()
    ignored: Sequence[str] = ()
    """New paths that the working copy ignores."""
    tracked_lines: int | None = None
    committed: Artifact | None = None
    outcome: Outcome | None = None
    changes: Changes = field(default_factory=Changes)
