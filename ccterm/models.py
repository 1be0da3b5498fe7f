"""The values that every layer uses: task, run and what belongs to them. Frozen; a change is a copy."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Literal, NewType

from pydantic import BaseModel, Field

from ccterm.causes import AWAITS_APPLY, Cause
from ccterm.kept_refs import KeptRef
from ccterm.values import (
    Changes,
    CheckoutOptions,
    Egress,
    ImageChoice,
    Limits,
    LoginPlace,
    PermissionRequest,
    PushedBranch,
    RefusedHost,
    Salvage,
    StepRecord,
    Sync,
    Terminal,
    Tokens,
    UsageWindow,
    Value,
    Verdict,
    raising_usage_errors,
)

RunId = NewType("RunId", str)
"""A run's id, for type checkers: 26 characters that sort by time."""
BatchId = NewType("BatchId", str)
RunRef = str | int
"""How a caller names a run: its id or the beginning of it, its number, its branch, or "last"."""
_ID = re.compile("[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)


class Mode(StrEnum):
    """Where the work goes: to a pushed branch, or into the working copy."""

    PIPELINE = "pipeline"
    TESTING = "testing"

    @property
    def delivery(self) -> str:
        """The command that delivers kept work."""
        return "push" if self is Mode.PIPELINE else "apply"


class ExecutionMode(StrEnum):
    """Where the steps run."""

    LOCAL = "local"
    DAGGER = "dagger"


class State(StrEnum):
    """Where a run is in its life cycle."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a run in this state has ended."""
        return self not in (State.QUEUED, State.RUNNING)


class Allowances(Value):
    """How far the user lets one run exceed the rules; each field raises one limit."""

    deletions: int | None = Field(default=None, ge=0)
    lines: int | None = Field(default=None, ge=0)
    files: int | None = Field(default=None, ge=0)
    paths: tuple[str, ...] = ()
    """Globs of protected paths that may be changed."""

    @raising_usage_errors
    def __init__(
        self, *, deletions: int | None = None, lines: int | None = None, files: int | None = None, paths: Sequence[str] = ()
    ) -> None:
        """Take the limits that are raised. Raises UsageError for a value that does not fit."""
        BaseModel.__init__(self, deletions=deletions, lines=lines, files=files, paths=paths)

    def beyond(self, other: "Allowances") -> "Allowances":
        """Return these allowances, with those of `other` where these say nothing."""
        given = {name: value for name, value in self if value is not None}
        return other.model_copy(update={**given, "paths": (*other.paths, *self.paths)})


class Task(Value):
    """What the user asks for, with everything filled in."""

    prompt: str
    repo: str
    """A URL, or the absolute path of a working copy or of a bare repository."""
    remote: str | None = None
    """The URL or path that is fetched and pushed, derived from `repo` when the task is submitted."""
    remote_key: str | None = None
    """Identity of the remote, the same for all spellings of its URL: the key of branch locks and mirrors."""
    branch: str | None = None
    base: str | None = None
    base_given: bool = False
    """The user gave the base for this very task; it is refused when the branch already exists."""
    mode: Mode = Mode.PIPELINE
    execution_mode: ExecutionMode = ExecutionMode.DAGGER
    agent: str = "claude"
    model: str | None = None
    agent_args: tuple[str, ...] = ()
    message: str | None = None
    """The commit's subject; None = the subject of the agent's own last commit, else the prompt's first line."""
    limits: Limits = Field(default_factory=Limits)
    setup: str | None = None
    setup_inputs: tuple[str, ...] = ()
    """Globs; setup runs again before verify when the commit touches one."""
    verify: str | None = None
    checkout: CheckoutOptions = Field(default_factory=CheckoutOptions)
    image: ImageChoice = Field(default_factory=ImageChoice)
    hold: bool = False
    terminal: Terminal | None = None
    """Where a shell runs in place of the agent; what comes of it is kept and not delivered. None = the agent itself."""
    skip_permissions: bool = False
    ask_permission: bool = False
    """Local mode: the user is asked for what the agent may not do by itself; else it is denied."""
    allow_default_branch: bool = False
    allow: Allowances = Field(default_factory=Allowances)
    login: LoginPlace = "secret"
    """Whether the Claude login stays outside of the box, with the gateway, or is a secret in it."""
    egress: Egress = Field(default_factory=Egress)
    """Which hosts its programs may reach."""
    git_read: tuple[str, ...] = ()
    """Repositories, as HOST/PATH without .git, that its agent reads by git through the gateway, with the user's access."""
    yes: bool = False
    """Testing mode: changes come into the working copy without asking, unless a rule refuses them."""
    include: tuple[str, ...] = ()
    """Patterns of ignored files that a snapshot includes; only trusted files of the working copy add some."""
    obeyed_settings: str = ""
    """Which agent settings of the repository act: "" = none; "*" = all; else all, if the digest of their files is this one."""
    notes: tuple[str, ...] = ()
    """What the user should know before it starts."""

    @property
    def target(self) -> str:
        """What this task works on, for people: the branch, else the directory."""
        return self.branch or PurePath(self.repo).name


class Manifest(Value):
    """What a run was carried out with, for the record."""

    executor: ExecutionMode = ExecutionMode.LOCAL
    image: str | None = None
    cli_version: str | None = None
    settings_hash: str = ""
    egress: str = "open"
    """Which hosts its programs could reach, for people: open, recorded, 7 hosts."""
    login: LoginPlace = "secret"
    credential: str = "none"
    """Where the Claude login was, and its kind, never its value."""
    masked: tuple[str, ...] = ()
    """Names of the secrets that were known when it began."""
    skip_permissions: bool = False


class Run(Value):
    """One attempt at one task: the run document of `--json`, HTTP and `show`."""

    id: RunId
    number: int | None = None
    """Counts up per state directory; None = not in the store yet."""
    batch: BatchId | None = None
    """What was submitted together has one."""
    task: Task
    state: State = State.QUEUED
    held: str | None = None
    """Why a queued run does not start yet, or what is still done for one whose daemon died; else None."""
    cause: Cause | None = None
    """Why it failed; None unless it did."""
    reason: str = ""
    """A finer code under the cause, or beside success, such as `nothing_to_push`."""
    summary: str = ""
    """How it ended, in words."""
    action: str = ""
    """What a user can do next; empty when there is nothing to do."""
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    seconds: float | None = None
    """Wall-clock time from start to end."""
    steps: tuple[StepRecord, ...] = ()
    """The steps that ended."""
    base_sha: str | None = None
    """The commit that it began on."""
    commit: str | None = None
    """The commit that was made of its work."""
    pushed: PushedBranch | None = None
    """Where the work is on the remote."""
    synced: Sync | None = None
    """What came into the working copy."""
    changes: Changes | None = None
    verdict: Verdict | None = None
    cost_usd: float = 0.0
    about_usd: float | None = None
    """At list prices, as results told; and about what it is with what came after the last one, None while that is nothing or unknown."""
    tokens: Tokens = Field(default_factory=Tokens)
    turns: int = 0
    requests: int = 0
    """How often the gateway asked the Claude API for it; 0 where the login is in its box."""
    throttled: int = 0
    """How often that answered that there were too many requests (429)."""
    usage_windows: tuple[UsageWindow, ...] = ()
    """What the Claude service last said of its login's usage windows."""
    session_id: str | None = None
    """The agent's conversation."""
    salvage: Salvage | None = None
    """Work that is kept because it was not delivered."""
    side: tuple[KeptRef, ...] = ()
    """Work beside its tree that is kept: branches, stashes, worktrees."""
    kept_in: str | None = None
    """The directory in which the run's boxes stay because their work is nowhere else; None = they are gone."""
    waiting_until: datetime | None = None
    """The agent waits until then, for input or for permission; None = it does not wait."""
    holding: bool | None = None
    """Whether its agent waits for input at the end of each turn, as was last ordered; None = as its task says."""
    permission_requests: tuple[PermissionRequest, ...] = ()
    """What it waits for permission for, the oldest first."""
    denied: tuple[str, ...] = ()
    """What the agent was not allowed to do, each call on one line; the first of them."""
    asked: bool = False
    """The agent's last message ends in a question."""
    refused_hosts: tuple[RefusedHost, ...] = ()
    """Hosts that its programs asked for and could not reach; the first of them."""
    allowed_hosts: tuple[str, ...] = ()
    """What of these the user has allowed since: for the runs that go on with it, or repeat it."""
    secret_seen: bool = False
    """A secret was in the output, and was masked."""
    secrets_seen: tuple[str, ...] = ()
    """The names of the registered secrets that were masked in the output; `secret_seen` tells whether any was."""
    reviewed: bool = False
    """The user has looked at it."""
    pr: None = None
    continues: RunId | None = None
    """The run that it goes on with."""
    attempts: tuple[RunId, ...] = ()
    """The runs of the same task, the oldest first, with this one."""
    manifest: Manifest = Field(default_factory=Manifest)
    """What it was carried out with."""

    @property
    def ref(self) -> str:
        """What a user types for it in a command."""
        return self.id if self.number is None else str(self.number)

    @property
    def label(self) -> str:
        """What it is called on screens and in messages."""
        return self.id if self.number is None else f"#{self.number}"

    @property
    def holds(self) -> bool:
        """Whether its agent waits for input at the end of each turn."""
        return not self.state.final and (self.task.hold if self.holding is None else self.holding)

    @property
    def awaits_apply(self) -> bool:
        """Whether its changes await the user's approval to come into the working copy."""
        return self.reason == AWAITS_APPLY and self.synced is None

    def document(self) -> dict[str, object]:
        """Return the run as JSON values, as every frontend shows it."""
        return self.model_dump(mode="json")


class CheckResult(Value):
    """The result of one preflight check."""

    name: str
    """What was asked about: claude, git, docker, ...; several results may have one."""
    group: str
    """What it belongs to; a result of one group does not wait for those of another."""
    status: Literal["pass", "warn", "fail"]
    """Whether a run can start: yes, yes with a drawback, or no."""
    text: str
    """What was found, in one sentence."""
    fix: str = ""
    """What to do about it; empty when there is nothing to do."""
    seconds: float = 0.0


class BranchUse(Value):
    """The last run on a branch."""

    run: RunId
    label: str
    """What the run is called on screens."""
    at: datetime
    """When it ended, or else was queued."""
    active: bool
    """Whether it has not ended: another run on the branch would wait for it."""
    pushed_tip: bool = False
    """Whether the branch is as it pushed it."""


class BranchState(Value):
    """What is known of the branch of a task before it starts."""

    branch: str
    """Its name; made from the task, if that is what was asked for."""
    taken: str = ""
    """The name that the task would have given, when that is a branch already or a run is to push it."""
    tip: str | None = None
    """Sha; None = it does not exist yet."""
    changed: datetime | None = None
    """When its tip was committed or pushed, as far as this machine knows."""
    start: str = ""
    """The name of what a new branch starts from."""
    is_default: bool = False
    last: BranchUse | None = None
    """The last run on it, or else on the one that is taken."""
    problem: str = ""
    """Why no run could start or push."""
    concerns: Literal["branch", "base"] = "branch"
    """What the problem is about."""
    unknown: str = ""
    """Why the remote did not tell."""


def is_id(text: str) -> bool:
    """Return whether a text is a whole id of a run."""
    return bool(_ID.fullmatch(text))


def now() -> datetime:
    """Return the current time in UTC, truncated to milliseconds."""
    return (moment := datetime.now(UTC)).replace(microsecond=moment.microsecond // 1000 * 1000)


def new_id() -> str:
    """Return a fresh ULID: 26 characters, sorted by time."""
    from ulid import ULID  # deferred: commands that only read make no ids

    return str(ULID())
