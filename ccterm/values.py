"""The base of all values, and the values that a run document is made of. Frozen; a change is a copy."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ccterm.causes import FORMER_NAMES

HostStep = Literal["policy", "snapshot", "apply", "recovering"]
StepName = Literal["resolve", "checkout", "merge", "setup", "agent", "commit", "verify", "push"] | HostStep


class Value(BaseModel):
    """Base of all values: frozen, and an unknown field is an error. Validators are built when the first value is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


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


class Tokens(Value):
    """Tokens that an agent used."""

    input: int = 0
    output: int = 0
    cache: int = 0
