"""The base of all values, and the values that a run document is made of. Frozen; a change is a copy."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Literal, ParamSpec

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticSerializationError

from ccterm.causes import FORMER_NAMES
from ccterm.problems import usage_error

P = ParamSpec("P")

HostStep = Literal["policy", "snapshot", "apply", "recovering"]
StepName = Literal["resolve", "checkout", "merge", "setup", "agent", "commit", "verify", "push"] | HostStep


NO_ISOLATION = "local mode has no isolation: the agent runs on this machine as you"
NOT_PASSED_ON = "not passed on from your environment: "
"""Notes of every run on this machine, the second by how it begins. Screens with several runs say such things once, and not in each transcript."""


class Value(BaseModel):
    """Base of all values: frozen, and an unknown field is an error. Validators are built when the first value is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def raising_usage_errors(init: Callable[P, None]) -> Callable[P, None]:
    """Decorate the `__init__` of a value that users of the Python API make: what does not fit raises UsageError.

    Only their own call does. Values that are validated as parts of others, or from JSON, raise pydantic's error, which knows where they are.
    """

    @wraps(init)
    def checked(*args: P.args, **fields: P.kwargs) -> None:
        try:
            init(*args, **fields)
        except ValidationError as error:
            made = args[0]
            raise usage_error(error, type(made)) if isinstance(made, BaseModel) else error from error

    vars(checked)["__pydantic_base_init__"] = True  # else pydantic would validate parts of others by a call, too
    return checked


def to_json(value: BaseModel) -> bytes:
    """Return a value as one line of JSON in UTF-8, without a line break.

    What UTF-8 cannot encode becomes "?": a lone surrogate, such as stands for a foreign byte in a file name.
    """
    try:
        return value.model_dump_json().encode()
    except PydanticSerializationError:
        return json.dumps(value.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


class StepRecord(Value):
    """One step of a run that ended."""

    name: StepName
    ok: bool
    seconds: float
    detail: str = ""


class Changes(Value):
    """How much a commit changes against its base."""

    files: int = 0
    added: int = 0
    removed: int = 0
    """Lines added and removed; binary files count none."""
    deleted: int = 0  # files


class Finding(Value):
    """One clause of a verdict: the rule, its severity, and the paths concerned."""

    rule: str
    severity: Literal["refuse", "warn"]
    text: str
    paths: tuple[str, ...] = ()

    @field_validator("rule")
    @classmethod
    def _current_name(cls, rule: str) -> str:
        return FORMER_NAMES.get(rule, rule)


class Numbers(Value):
    """How much a commit destroys; a path whose content lives on elsewhere is renamed, not deleted."""

    files: int = 0
    deleted: int = 0
    retyped: int = 0
    """Files that became links, or the other way round."""
    gutted: int = 0
    """Files that lost nine tenths of their bytes or lines, or became binary; and as many as others lost together, in parts."""
    renamed: int = 0
    removed: int = 0
    """Lines removed."""

    @property
    def destroyed(self) -> int:
        """How many files lost their content."""
        return self.deleted + self.retyped + self.gutted


class Verdict(Value):
    """What the policy says about a commit."""

    ok: bool
    findings: tuple[Finding, ...] = ()
    numbers: Numbers = Field(default_factory=Numbers)


class PushedBranch(Value):
    """A branch on a remote; verified: the remote itself was asked afterwards."""

    remote: str
    ref: str
    sha: str
    verified: bool


class Salvage(Value):
    """Work kept on the host because it was not delivered. checkpoint: when it was as it is kept, if the agent went on after that."""

    directory: str
    commit: str | None
    """None when no commit could be made; the directory then holds the files."""
    delivered: bool = False
    tree: bool = False
    """Whether the directory holds the agent's tree, of which a commit can still be made."""
    checkpoint: datetime | None = None


class Sync(Value):
    """Changes that came into the working copy. linked: how many of the files have other names (hard links), which show the changes too."""

    files: int
    linked: int = 0
    undone: bool = False


class PendingChange(Value):
    """One path that a run would change in the working copy. retyped: a file becomes a link, or the other way round."""

    path: str
    status: Literal["added", "modified", "retyped", "deleted"]


Decision = Literal["allow", "always", "deny"]
"""What a user says to a request for permission; always: yes, and to the like until the run ends."""


Answer = Literal["allowed", "always", "denied", "expired", "withdrawn"]
"""What became of a request. expired: nobody answered, and it counts as denied. withdrawn: the agent no longer waits for the answer."""


class PermissionRequest(Value):
    """A tool that the agent may not use by itself, and what it would do with it, on one line."""

    id: str
    tool: str
    summary: str
    always: str = ""
    """What a permission for the rest of the run would allow."""

    @property
    def what(self) -> str:
        """The tool and what it would do."""
        return f"{self.tool} {self.summary}".rstrip()


class Limits(Value):
    """How much one run may use."""

    wall_seconds: float = Field(default=3600.0, gt=0)
    """Wall-clock time of the agent, in seconds."""
    silence_seconds: float = Field(default=900.0, gt=0)
    """Longest time without output from the agent, in seconds."""
    budget_usd: float | None = Field(default=None, gt=0)
    """What the agent may spend, in dollars at list prices; None = no limit."""
    max_turns: int | None = Field(default=None, gt=0)
    """How many turns the agent may take; None = no limit."""
    max_tokens: int | None = Field(default=None, gt=0)
    """How many tokens the agent may use: read, written and from the cache; None = no limit. The gateway counts them."""


class CheckoutOptions(Value):
    """How much of a repository is fetched."""

    depth: int | None = Field(default=None, gt=0)
    filter: str | None = Field(default=None, pattern=r"^(blob:none|blob:limit=\d+[kmg]?|tree:0)$")
    submodules: bool = False
    submodule_paths: tuple[str, ...] = ()
    """Other repositories on the remote's host, as paths or DIRECTORY/*, that are fetched with its credential when they are submodules."""
    lfs: bool = False


class ImageChoice(Value):
    """The user's own image for setup, agent and verify; neither = ccterm's own."""

    reference: str | None = None
    """A name in a registry, or the path of a tarball."""
    dockerfile: str | None = None
    """Path of a Dockerfile; its directory is the build context."""


class Terminal(Value):
    """A person's terminal, where a shell is in place of the agent. socket: the path on which the person's program listens; kind: TERM."""

    socket: str
    rows: int = Field(default=24, gt=0, le=9999)
    columns: int = Field(default=80, gt=0, le=9999)
    kind: str = Field(default="xterm-256color", pattern=r"^[\w.+-]+$")


LoginPlace = Literal["gateway", "secret"]
"""Where the Claude login of a run is: outside of its box, with the gateway, or a secret in it."""


class Egress(Value):
    """Which hosts the programs of a run may reach: all, all with a record of them, or those of a list."""

    mode: Literal["open", "record", "list"] = "open"
    hosts: tuple[str, ...] = ()
    """Of a list: HOST or *.HOST, in lower-case ASCII, with :PORT if it is one port, else for 443 and 80."""

    @property
    def text(self) -> str:
        """The same for people: open, recorded, 7 hosts."""
        if self.mode == "list":
            return f"{len(self.hosts)} host{'' if len(self.hosts) == 1 else 's'}"
        return "recorded" if self.mode == "record" else self.mode


class UsageWindow(Value):
    """What the Claude service says about one usage window of a login; utilization 0-1, resets_at in UTC."""

    limit: str
    """The window: five_hour, seven_day, …"""
    status: str
    """allowed, allowed_warning or rejected."""
    utilization: float | None = None
    resets_at: datetime | None = None


class RefusedHost(Value):
    """A host that programs of a box asked for in vain. host: HOST:PORT."""

    host: str
    count: int
    why: str = ""


class Tokens(Value):
    """Tokens that an agent used."""

    input: int = 0
    output: int = 0
    cache: int = 0


def linked_sentence(files: int) -> str:
    """Return what is to be said of changed files with hard links, as the end of a sentence; "" for none."""
    return f"; {files} file{' has' if files == 1 else 's have'} other names (hard links), which show the changes too" if files else ""
