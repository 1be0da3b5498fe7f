"""What a user may ask of a service, one class per verb: its arguments, its wire form, and how a service carries it out.

A frontend builds a command and passes it to `Service.perform`, or calls the method of the same name, which does that.
"""

from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter

from ccterm.draft import BatchFile, Draft
from ccterm.git.bounded_json import require_bounded
from ccterm.models import Allowances, Run, RunId, Task, Value
from ccterm.service.wire import LINE_VALUES

if TYPE_CHECKING:  # the service builds commands
    from ccterm.service.protocol import Service

R = TypeVar("R")


class ServiceCommand(Value, Generic[R]):
    """Base of all commands. `do` names the verb on the wire and the service's method; R is what carrying it out returns."""

    do: str

    @abstractmethod
    async def execute(self, service: "Service") -> R:
        """Carry the command out. Raises CctermError for an expected error."""

    async def answer(self, service: "Service") -> JsonValue:
        """Carry the command out and return its result as JSON values. Raises CctermError for an expected error."""
        packed: JsonValue = self._results().dump_python(await self.execute(service), mode="json")
        return packed

    @classmethod
    def unpack(cls, answer: JsonValue) -> R:
        """Return the result that an answer holds. Raises ValidationError."""
        return cls._results().validate_python(answer)

    @classmethod
    @cache
    def _results(cls) -> TypeAdapter[R]:
        return TypeAdapter(cls.execute.__annotations__["return"])


class Submit(ServiceCommand[list[Run]]):
    """Queue tasks as one batch."""

    do: Literal["submit"] = "submit"
    drafts: tuple[Draft, ...]
    max_concurrent: int | None = None
    source: BatchFile | None = None

    async def execute(self, service: "Service") -> list[Run]:
        """Return the queued runs."""
        return await service.submit(self.drafts, max_concurrent=self.max_concurrent, source=self.source)


class Plan(ServiceCommand[list[Task]]):
    """Resolve drafts without starting anything."""

    do: Literal["plan"] = "plan"
    drafts: tuple[Draft, ...]

    async def execute(self, service: "Service") -> list[Task]:
        """Return the tasks that the drafts would become."""
        return await service.plan(self.drafts)


class Cancel(ServiceCommand[None]):
    """Stop one run."""

    do: Literal["cancel"] = "cancel"
    run: RunId
    now: bool = False

    async def execute(self, service: "Service") -> None:
        """Stop it."""
        await service.cancel(self.run, now=self.now)


class CancelAll(ServiceCommand[None]):
    """Stop every run."""

    do: Literal["cancel_all"] = "cancel_all"
    now: bool = False

    async def execute(self, service: "Service") -> None:
        """Stop them."""
        await service.cancel_all(now=self.now)


class Steer(ServiceCommand[None]):
    """Send a message to a running agent."""

    do: Literal["steer"] = "steer"
    run: RunId
    text: str

    async def execute(self, service: "Service") -> None:
        """Send it."""
        await service.steer(self.run, self.text)


class Hold(ServiceCommand[None]):
    """Make a running agent wait for input after its turn."""

    do: Literal["hold"] = "hold"
    run: RunId

    async def execute(self, service: "Service") -> None:
        """Hold it."""
        await service.hold(self.run)


class Release(ServiceCommand[None]):
    """Let a waiting agent finish."""

    do: Literal["release"] = "release"
    run: RunId

    async def execute(self, service: "Service") -> None:
        """Release it."""
        await service.release(self.run)


class Retry(ServiceCommand[Run]):
    """Queue the same task again."""

    do: Literal["retry"] = "retry"
    run: RunId

    async def execute(self, service: "Service") -> Run:
        """Return the new run."""
        return await service.retry(self.run)


class Continue(ServiceCommand[Run]):
    """Go on with an ended run: the same conversation, on the same branch or working copy."""

    do: Literal["continue_"] = "continue_"
    run: RunId
    text: str
    branch: str | None = None
    fresh: bool = False

    async def execute(self, service: "Service") -> Run:
        """Return the new run."""
        return await service.continue_(self.run, self.text, branch=self.branch, fresh=self.fresh)


class Push(ServiceCommand[Run]):
    """Push salvaged work."""

    do: Literal["push"] = "push"
    run: RunId
    allow: Allowances = Field(default_factory=Allowances)

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.push(self.run, allow=self.allow)


class Apply(ServiceCommand[Run]):
    """Bring kept changes into the working copy."""

    do: Literal["apply"] = "apply"
    run: RunId
    allow: Allowances = Field(default_factory=Allowances)
    only: tuple[str, ...] = ()

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.apply(self.run, allow=self.allow, only=self.only)


class Undo(ServiceCommand[Run]):
    """Restore what a run's changes replaced."""

    do: Literal["undo"] = "undo"
    run: RunId

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.undo(self.run)


class Commit(ServiceCommand[Run]):
    """Commit the tree that was kept of a run."""

    do: Literal["commit"] = "commit"
    run: RunId

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.commit(self.run)


class Clean(ServiceCommand[Run]):
    """Remove what is kept of a run."""

    do: Literal["clean"] = "clean"
    run: RunId

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.clean(self.run)


class Review(ServiceCommand[Run]):
    """Mark an ended run as reviewed."""

    do: Literal["review"] = "review"
    run: RunId

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.review(self.run)


AnyCommand = Submit | Plan | Cancel | CancelAll | Steer | Hold | Release | Retry | Continue | Push | Apply | Undo | Commit | Clean | Review
_COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="do")], config=ConfigDict(defer_build=True))


def from_line(line: bytes) -> AnyCommand:
    """Read a command from its line of JSON. Raises ValidationError and OutOfBounds."""
    return _COMMAND.validate_json(require_bounded(line, values=LINE_VALUES))
