"""What another process may ask of the owner, and what it answers: JSON lines over a unix socket, one order a connection."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from ccterm import errors
from ccterm.causes import Cause
from ccterm.draft import Draft
from ccterm.errors import CctermError, DaemonError, StepError
from ccterm.models import Allowances, Run, RunId, Task, Value

PROTOCOL = 1
"""Version of this conversation; both sides must speak the same."""
LINE_LIMIT = 64 * 1024 * 1024


class Hello(Value):
    """The owner's first line on every connection."""

    hello: Literal["ccterm"] = "ccterm"
    protocol: int = PROTOCOL
    pid: int


class Submit(Value):
    """Queue tasks as one batch."""

    do: Literal["submit"] = "submit"
    drafts: tuple[Draft, ...]
    max_concurrent: int | None = None


class Cancel(Value):
    """Stop one run."""

    do: Literal["cancel"] = "cancel"
    run: RunId
    now: bool = False


class CancelAll(Value):
    """Stop every run."""

    do: Literal["cancel_all"] = "cancel_all"
    now: bool = False


class Steer(Value):
    """Say something to a running agent."""

    do: Literal["steer"] = "steer"
    run: RunId
    text: str


class Hold(Value):
    """Let a running agent wait after its turn."""

    do: Literal["hold"] = "hold"
    run: RunId


class Release(Value):
    """Let a waiting agent end."""

    do: Literal["release"] = "release"
    run: RunId


class Retry(Value):
    """Queue the same task again."""

    do: Literal["retry"] = "retry"
    run: RunId


class Push(Value):
    """Deliver salvaged work."""

    do: Literal["push"] = "push"
    run: RunId
    allow: Allowances = Field(default_factory=Allowances)


class Apply(Value):
    """Bring kept changes into the working copy."""

    do: Literal["apply"] = "apply"
    run: RunId
    allow: Allowances = Field(default_factory=Allowances)
    only: tuple[str, ...] = ()


class Undo(Value):
    """Put back what a run's changes replaced."""

    do: Literal["undo"] = "undo"
    run: RunId


class Review(Value):
    """Note that the user has seen how a run ended."""

    do: Literal["review"] = "review"
    run: RunId


class Plan(Value):
    """Say what tasks drafts would become."""

    do: Literal["plan"] = "plan"
    drafts: tuple[Draft, ...]


Order = Annotated[
    Submit | Plan | Cancel | CancelAll | Steer | Hold | Release | Retry | Push | Apply | Undo | Review, Field(discriminator="do")
]
ORDER: TypeAdapter[Order] = TypeAdapter(Order, config=ConfigDict(defer_build=True))


class Fault(Value):
    """An expected error, on its way to the process that gave the order."""

    kind: str
    message: str
    fix: str = ""
    cause: Cause | None = None
    reason: str = ""

    @classmethod
    def of(cls, error: CctermError) -> "Fault":
        """Pack an error."""
        cause, reason = (error.cause, error.reason) if isinstance(error, StepError) else (None, "")
        return cls(kind=type(error).__name__, message=error.message, fix=error.fix, cause=cause, reason=reason)

    def error(self) -> CctermError:
        """Unpack it again as the same kind of error."""
        if self.cause is not None:
            return StepError(self.cause, self.message, self.fix, reason=self.reason)
        kind = getattr(errors, self.kind, DaemonError)
        return (
            kind(self.message, self.fix)
            if isinstance(kind, type) and issubclass(kind, CctermError)
            else DaemonError(self.message, self.fix)
        )


class Reply(Value):
    """The answer to an order: the runs that it made or changed, the tasks it asked for, or why it was refused."""

    runs: tuple[Run, ...] = ()
    tasks: tuple[Task, ...] = ()
    fault: Fault | None = None
