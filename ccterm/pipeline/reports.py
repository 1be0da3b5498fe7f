"""What step programs report, as the host reads it: boxes are not trusted, so every field is checked. The box's side is box.protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ccterm.box import COMMIT_REPORT
from ccterm.git.bounded_json import read_json

Sha = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
Count = Annotated[int, Field(ge=0)]


class StepReport(BaseModel):
    """Base of the reports of steps that succeeded."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class ResolveResult(StepReport):
    """resolve: what the run starts from."""

    base: Sha | None = None
    ref: str | None = None
    tip: Sha | None = None
    default_branch: str | None = None
    default_tip: Sha | None = None


class CheckoutResult(StepReport):
    """checkout: how the tree was made."""

    notes: tuple[str, ...] = ()
    fetched: bool = False


class MergeResult(StepReport):
    """merge: only that there was no conflict."""


class ShellResult(StepReport):
    """setup and verify: only that they succeeded."""


class ReportedRefusal(StepReport):
    """A path that was left out of the commit."""

    rule: str
    path: str
    detail: str = ""


class ReportedSideRef(StepReport):
    """A ref of the side bundle."""

    name: Annotated[str, Field(max_length=1000)]
    sha: Sha
    commits: Count = 0
    changes: bool = False


class CommitResult(StepReport):
    """commit: the commit, None if nothing changed, and its numbers; what is kept beside the tree, and what only the tree itself holds."""

    commit: Sha | None = None
    files: Count = 0
    added: Count = 0
    removed: Count = 0
    deleted: Count = 0
    tracked_lines: Count | None = None
    refusals: tuple[ReportedRefusal, ...] = ()
    notes: tuple[str, ...] = ()
    side: tuple[ReportedSideRef, ...] = Field(default=(), max_length=1000)
    unread: tuple[str, ...] = Field(default=(), max_length=100)


class PushResult(StepReport):
    """push: what the remote said when asked afterwards."""

    remote_sha: Sha | None = None
    verified: bool = False


def report_in_box(directory: Path, body: str) -> Mapping[str, JsonValue] | None:
    """Take the report of a commit that was made in the agent's box out of its outputs. body: what its message must have below the subject.

    Returns None if there is no such commit: then the step has to make it. Blocks.
    """
    file = directory / COMMIT_REPORT
    try:
        made = read_json(file.read_bytes())
        file.unlink()
    except (OSError, ValueError):
        return None
    fits = isinstance(made, dict) and made.get("body") == body and isinstance(made.get("report"), dict) and made["report"].get("ok") is True
    return made["report"] if fits else None
