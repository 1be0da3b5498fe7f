"""What a user may ask of a service, one class per verb: its arguments, its wire form, and how a service carries it out.

A frontend builds a command and passes it to `Service.perform`, or calls the method of the same name, which does that.
"""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import Field

from ccterm.draft import BatchFile, Draft
from ccterm.git.bounded_json import require_bounded
from ccterm.models import Allowances, BranchState, CheckResult, ExecutionMode, Run, RunId, Task
from ccterm.service.caller import CallerEnvironment
from ccterm.service.command_base import ServiceCommand, StreamCommand
from ccterm.service.wire import LINE_VALUES
from ccterm.values import Decision, Terminal, Value, to_json

if TYPE_CHECKING:  # the service builds commands
    from ccterm.service.protocol import Service

R = TypeVar("R")
SubmissionKey = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]
"""Names one submission, by the choice of whoever submits: printable ASCII."""


class Submit(ServiceCommand[list[Run]]):
    """Queue tasks as one batch."""

    from_caller = True
    do: Literal["submit"] = "submit"
    drafts: tuple[Draft, ...]
    max_concurrent: int | None = None
    source: BatchFile | None = None
    key: SubmissionKey | None = None

    async def execute(self, service: "Service") -> list[Run]:
        """Return the queued runs."""
        return await service.submit(self.drafts, max_concurrent=self.max_concurrent, source=self.source, key=self.key)


class Plan(ServiceCommand[list[Task]]):
    """Resolve drafts without starting anything."""

    from_caller = True
    do: Literal["plan"] = "plan"
    drafts: tuple[Draft, ...]
    source: BatchFile | None = None

    async def execute(self, service: "Service") -> list[Task]:
        """Return the tasks that the drafts would become."""
        return await service.plan(self.drafts, source=self.source)


class Branches(ServiceCommand[list[BranchState | None]]):
    """Ask what is known of the branches of drafts."""

    from_caller = True
    do: Literal["branches"] = "branches"
    drafts: tuple[Draft, ...]

    async def execute(self, service: "Service") -> list[BranchState | None]:
        """Return it, draft by draft."""
        return await service.branches(self.drafts)


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


class Decide(ServiceCommand[None]):
    """Answer an agent that asks for permission."""

    do: Literal["decide"] = "decide"
    run: RunId
    request: str
    decision: Decision
    text: str = ""

    async def execute(self, service: "Service") -> None:
        """Answer it."""
        await service.decide(self.run, self.request, self.decision, self.text)


class RefreshPatch(ServiceCommand[None]):
    """Bring the patch of what a running agent has changed up to date."""

    do: Literal["refresh_patch"] = "refresh_patch"
    run: RunId

    async def execute(self, service: "Service") -> None:
        """Bring it up to date."""
        await service.refresh_patch(self.run)


class Retry(ServiceCommand[Run]):
    """Queue the same task again."""

    from_caller = True
    do: Literal["retry"] = "retry"
    run: RunId

    async def execute(self, service: "Service") -> Run:
        """Return the new run."""
        return await service.retry(self.run)


class Continue(ServiceCommand[Run]):
    """Go on with an ended run: the same conversation, on the same branch or working copy."""

    from_caller = True
    do: Literal["continue_"] = "continue_"
    run: RunId
    text: str
    branch: str | None = None
    fresh: bool = False

    async def execute(self, service: "Service") -> Run:
        """Return the new run."""
        return await service.continue_(self.run, self.text, branch=self.branch, fresh=self.fresh)


class Shell(ServiceCommand[Run]):
    """Open a shell where an ended run's agent was."""

    from_caller = True
    do: Literal["shell"] = "shell"
    run: RunId
    terminal: Terminal

    async def execute(self, service: "Service") -> Run:
        """Return the new run."""
        return await service.shell(self.run, self.terminal)


class Push(ServiceCommand[Run]):
    """Push salvaged work."""

    from_caller = True
    do: Literal["push"] = "push"
    run: RunId
    allow: Allowances = Field(default_factory=Allowances)

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.push(self.run, allow=self.allow)


class Apply(ServiceCommand[Run]):
    """Bring kept changes into the working copy."""

    from_caller = True
    do: Literal["apply"] = "apply"
    run: RunId
    allow: Allowances = Field(default_factory=Allowances)
    only: tuple[str, ...] = ()

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.apply(self.run, allow=self.allow, only=self.only)


class Undo(ServiceCommand[Run]):
    """Restore what a run's changes replaced."""

    from_caller = True
    do: Literal["undo"] = "undo"
    run: RunId

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.undo(self.run)


class Commit(ServiceCommand[Run]):
    """Commit the tree that was kept of a run."""

    from_caller = True
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


class AllowHosts(ServiceCommand[Run]):
    """Let the runs that go on with a run, or repeat it, reach more hosts."""

    do: Literal["allow_hosts"] = "allow_hosts"
    run: RunId
    hosts: tuple[str, ...]

    async def execute(self, service: "Service") -> Run:
        """Return the run as it is afterwards."""
        return await service.allow_hosts(self.run, self.hosts)


class Checks(StreamCommand[CheckResult]):
    """Ask the preflight questions of an execution mode."""

    from_caller = True
    do: Literal["checks"] = "checks"
    execution_mode: ExecutionMode | None = None
    repo: str | None = None
    branch: str | None = None
    here: str | None = None

    def pieces(self, service: "Service") -> AsyncIterator[CheckResult]:
        """Yield each answer as it comes."""
        return service.checks(self.execution_mode, repo=self.repo, branch=self.branch, here=self.here)


class Renewed(ServiceCommand[list[RunId]]):
    """Ask which refused runs could be retried with another login."""

    do: Literal["renewed"] = "renewed"

    async def execute(self, service: "Service") -> list[RunId]:
        """Return them."""
        return await service.renewed()


class LookAgain(ServiceCommand[None]):
    """Look at the logins again."""

    from_caller = True
    do: Literal["look_again"] = "look_again"

    async def execute(self, service: "Service") -> None:
        """Look."""
        await service.look_again()


class MakeWay(ServiceCommand[bool]):
    """Ask an idle daemon to end, so that another one can take its place. Every version understands it."""

    do: Literal["make_way"] = "make_way"

    async def execute(self, service: "Service") -> bool:
        """Return whether it ends."""
        return await service.make_way()


AnyCommand = (
    Submit | Plan | Branches | Cancel | CancelAll | Steer | Hold | Release | Decide | RefreshPatch | Retry | Continue | Shell | Push | Apply | Undo
    | Commit | Clean | Review | AllowHosts | Checks | Renewed | LookAgain | MakeWay
)  # fmt: skip


class Request(Value):
    """The line that asks a daemon for something. environment: that of the caller, where it counts; doors for programs carry none."""

    command: Annotated[AnyCommand, Field(discriminator="do")]
    environment: CallerEnvironment | None = None


def request_line(command: ServiceCommand[R], environment: CallerEnvironment | None = None) -> bytes:
    """Return a command as the line that is sent: the only place where a secret of a caller is written, and only to the private socket."""
    more = b',"environment":' + json.dumps(environment.for_socket()).encode() if environment else b""
    return b'{"command":' + to_json(command) + more + b"}\n"


def from_line(line: bytes) -> Request:
    """Read such a line. Raises ValidationError and OutOfBounds."""
    return Request.model_validate_json(require_bounded(line, values=LINE_VALUES))
