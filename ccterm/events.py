"""The events of a run as one discriminated union: what the transcript contains and every frontend follows.

An event is made bare (`Said(text="…")`); the transcript stamps it with its number, time and run.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, computed_field, field_validator

from ccterm.causes import FORMER_NAMES, Cause
from ccterm.event_lines import upgraded
from ccterm.kept_refs import KeptRef
from ccterm.models import RunId, State
from ccterm.values import Answer, Changes, StepName, Verdict, linked_sentence, to_json

__all__ = [
    "Event", "Fact", "Queued", "Held", "Started", "StepStarted", "StepFinished", "Said", "Typing", "Thought", "ToolCalled", "ToolReturned",
    "Printed", "Notice", "Limited", "Retrying", "Spent", "Steered", "Waiting", "Judged", "Pushed", "Synced", "Salvaged", "SideKept",
    "BoxesKept", "PermissionAsked", "PermissionAnswered", "Told", "HoldChanged", "HostAsked",
    "Finished",
]  # fmt: skip
"""What the Python API promises; the rest is for ccterm itself."""


class Fact(BaseModel):
    """Base of all events: the stamp."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    seq: int = -1
    """Number within the run, from 0 without gaps; -1 = not stamped yet."""
    at: datetime | None = None
    run: RunId = RunId("")

    def stamped(self, *, seq: int, at: datetime, run: RunId) -> Self:
        """Return this event with number, time and run."""
        return self.model_copy(update={"seq": seq, "at": at, "run": run})


class Queued(Fact):
    """The run was accepted. Always the first event."""

    kind: Literal["queued"] = "queued"
    target: str = ""
    prompt: str = ""


class Held(Fact):
    """The run does not start yet, and why; an empty reason lifts the hold."""

    kind: Literal["held"] = "held"
    reason: str
    turn: bool = False
    """It merely waits for its turn, and counts as queued."""


class Started(Fact):
    """The run left the queue."""

    kind: Literal["started"] = "started"


class StepStarted(Fact):
    """A step began."""

    kind: Literal["step_started"] = "step_started"
    step: StepName


class StepFinished(Fact):
    """A step ended; seconds of wall-clock time."""

    kind: Literal["step_finished"] = "step_finished"
    step: StepName
    ok: bool
    seconds: float
    detail: str = ""


class Said(Fact):
    """A complete text block of the agent; `agent` names a sub-agent."""

    kind: Literal["said"] = "said"
    text: str
    agent: str = ""


class Typing(Fact):
    """Text typed so far; superseded by the next `typing` or `said`."""

    kind: Literal["typing"] = "typing"
    text: str


class Thought(Fact):
    """The agent is thinking; tokens: estimate so far for this block."""

    kind: Literal["thought"] = "thought"
    tokens: int


class ToolCalled(Fact):
    """The agent called a tool; `summary` is one line for people."""

    kind: Literal["tool_called"] = "tool_called"
    id: str
    name: str
    summary: str
    input: dict[str, JsonValue] = {}
    agent: str = ""


class ToolReturned(Fact):
    """A tool returned."""

    kind: Literal["tool_returned"] = "tool_returned"
    id: str
    ok: bool
    text: str


class Printed(Fact):
    """Lines outside the agent's protocol: stderr, output of setup, verify and git."""

    kind: Literal["printed"] = "printed"
    stream: Literal["stdout", "stderr"]
    text: str


NoticeLevel = Literal["info", "warn", "error"]


class Notice(Fact):
    """Something that the user should know."""

    kind: Literal["notice"] = "notice"
    level: NoticeLevel
    text: str


class Limited(Fact):
    """What the Claude service says about a usage window; utilization 0-1, resets_at in UTC."""

    kind: Literal["limited"] = "limited"
    limit: str
    """The window: five_hour, seven_day, …"""
    status: str
    """allowed, allowed_warning or rejected."""
    utilization: float | None = None
    resets_at: datetime | None = None


class Retrying(Fact):
    """The agent's program retries a request; wait in seconds."""

    kind: Literal["retrying"] = "retrying"
    attempt: int
    of: int
    wait: float
    why: str


class Spent(Fact):
    """What the run has used so far. cost_usd: what results told; about_usd: with what came since, at the last one's cost per token.

    requests, throttled: how often the gateway asked the Claude API for the run, and how often that answered "too many requests" (429).
    """

    kind: Literal["spent"] = "spent"
    cost_usd: float
    about_usd: float | None = None
    input: int = 0
    output: int = 0
    cache: int = 0
    turns: int = 0
    requests: int = 0
    throttled: int = 0


class Steered(Fact):
    """The answer to a message that the user sent to the running agent. A long text is cut; `message` is that of the `told` before it, if any."""

    kind: Literal["steered"] = "steered"
    text: str
    taken: bool
    detail: str = ""
    message: str = ""


class Told(Fact):
    """A message of the user is on its way to the agent, which takes it up when the running tool ends; `steered` says what became of it.

    A long text is cut: the agent gets all of it.
    """

    kind: Literal["told"] = "told"
    text: str
    message: str = ""


class HoldChanged(Fact):
    """From now on the agent waits for input at the end of its turns, or no longer does."""

    kind: Literal["hold_changed"] = "hold_changed"
    on: bool


class Waiting(Fact):
    """The agent waits until this time, for input at the end of its turn or for permission; None = no longer. begins: which of the two."""

    kind: Literal["waiting"] = "waiting"
    until: datetime | None

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def begins(self) -> bool:
        """Whether the wait begins; else it ends."""
        return self.until is not None


class PermissionAsked(Fact):
    """The agent may not use a tool by itself and waits for permission. summary: what it would do, on one line."""

    kind: Literal["permission_asked"] = "permission_asked"
    id: str
    tool: str
    summary: str
    input: dict[str, JsonValue] = {}
    reason: str = ""
    """Why its program asks, in that program's words."""
    always: str = ""
    """What `always` would allow for the rest of the run."""


class PermissionAnswered(Fact):
    """What became of a request for permission. text: what the user told the agent with it."""

    kind: Literal["permission_answered"] = "permission_answered"
    id: str
    answer: Answer
    text: str = ""


class HostAsked(Fact):
    """A host that programs of the box asked for. count: how often so far, in this step; more: since it was last told, at first all; why: it was refused."""

    kind: Literal["host_asked"] = "host_asked"
    host: str
    port: int
    allowed: bool
    count: int
    more: int
    why: str = ""


class Judged(Fact):
    """The policy's verdict on the commit."""

    kind: Literal["verdict"] = "verdict"
    verdict: Verdict
    changes: Changes


class Pushed(Fact):
    """The commit is on the remote; verified = the remote was asked afterwards."""

    kind: Literal["pushed"] = "pushed"
    remote: str
    ref: str
    sha: str
    verified: bool


class Synced(Fact):
    """The changes are in the working copy. linked: how many of the files have other names (hard links), which show the changes too."""

    kind: Literal["synced"] = "synced"
    files: int
    linked: int = 0

    def sentence(self) -> str:
        """Say it."""
        return f"{self.files} file{'' if self.files == 1 else 's'} changed in the working copy{linked_sentence(self.linked)}"


class Salvaged(Fact):
    """Work that was not delivered is kept in this directory."""

    kind: Literal["salvaged"] = "salvaged"
    directory: str
    commit: str | None
    tree: bool = False
    """Whether it holds the agent's tree, of which a commit can still be made."""
    checkpoint: datetime | None = None
    """When the agent's work was as it is kept here; None = at its end."""


class SideKept(Fact):
    """Work that the agent left beside its tree is kept: branches, stashes, worktrees. It replaces what was told before."""

    kind: Literal["side_kept"] = "side_kept"
    refs: tuple[KeptRef, ...]


class BoxesKept(Fact):
    """The run's boxes stay, because its work is nowhere else; directory "": they are gone."""

    kind: Literal["boxes_kept"] = "boxes_kept"
    directory: str


class Finished(Fact):
    """The run ended. Always the last event, and exactly one."""

    kind: Literal["finished"] = "finished"
    state: State
    cause: Cause | None = None
    reason: str = ""
    summary: str = ""

    @field_validator("reason")
    @classmethod
    def _by_current_name(cls, reason: str) -> str:
        return FORMER_NAMES.get(reason, reason)


AnyEvent = (
    Queued | Held | Started | StepStarted | StepFinished | Said | Typing | Thought | ToolCalled | ToolReturned | Printed | Notice
    | Limited | Retrying | Spent | Told | Steered | HoldChanged | Waiting | PermissionAsked | PermissionAnswered
    | HostAsked | Judged | Pushed | Synced | Salvaged | SideKept | BoxesKept | Finished
)  # fmt: skip
Event = Annotated[AnyEvent, Field(discriminator="kind")]
"""Any event of a run: one of the classes of `ccterm.events`."""
_EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))


def to_line(event: Event) -> bytes:
    """Return the event as one line of JSON in UTF-8, with its line break."""
    return to_json(event) + b"\n"


def from_line(line: bytes) -> Event:
    """Read one line of a transcript, of any version. Raises pydantic.ValidationError when it is not an event."""
    try:
        return _EVENT.validate_json(line)
    except ValidationError:
        if (current := upgraded(line)) is None:
            raise
        return _EVENT.validate_python(current)
