"""What the terminal knows of one run: its document and its current activity, both folded from its events."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from ccterm.causes import Cause
from ccterm.events import Event, Finished, Held, Notice, Retrying, Said, Started, Steered, StepFinished, StepStarted, ToolCalled, Waiting
from ccterm.models import Run, State
from ccterm.record import fold, rewound
from ccterm.values import PermissionRequest


class Standing(IntEnum):
    """Where a run stands among the others: what needs the user comes first, what is done last. FAILED: or was denied something."""

    WAITING = 0
    FAILED = 1
    RUNNING = 2
    QUEUED = 3
    DONE = 4


@dataclass
class RunView:
    """One run on the screen."""

    run: Run
    step: str = ""
    """The current step."""
    activity: str = ""
    """The last thing it did, on one line."""
    last_seq: int = -1
    """Number of the last event that was applied."""
    lost: bool = False
    """Whether its daemon has died, and the next one has not told yet what became of it."""
    before: tuple[Run, ...] = ()
    """The runs that it continues, the oldest first."""
    batch: str = ""
    """What its batch is called: as the first run of it that is known."""

    @classmethod
    def of(cls, run: Run) -> "RunView":
        """Return the view of a run; unless it has ended, its events are applied from the first on."""
        return cls(run if run.state.final else rewound(run))

    def apply(self, event: Event) -> None:
        """Apply one event."""
        self.run = fold(self.run, event)
        self.last_seq = event.seq
        match event:
            case StepStarted(step=step):
                self.step, self.activity = step, ""
            case StepFinished(detail=detail):
                self.activity = detail
            case Held(reason=reason, turn=turn):
                self.activity = reason if turn else ""
            case Started() | Finished():
                self.step, self.activity = "", ""
            case Waiting() if self.run.permission_requests:
                self.activity = f"asks permission: {self.run.permission_requests[0].what}"
            case _:
                self.activity = _activity(event) or self.activity

    @property
    def thread(self) -> tuple[Run, ...]:
        """The runs of its conversation, the oldest first."""
        return (*self.before, self.run)

    @property
    def cost_usd(self) -> float:
        """What its conversation has cost, in dollars."""
        return sum(run.cost_usd for run in self.thread)

    @property
    def needs_attention(self) -> bool:
        """Whether the user should act: it waits for input or approval, or it failed or was denied something and was not reviewed."""
        ended = self.run.state is State.FAILED or self.run.awaits_apply or (self.run.state.final and bool(self.run.denied))
        return self.waiting or (ended and not self.run.reviewed)

    @property
    def standing(self) -> Standing:
        """Where it stands among the others."""
        if self.needs_attention:
            return Standing.WAITING if self.waiting or self.run.awaits_apply else Standing.FAILED
        return {State.RUNNING: Standing.RUNNING, State.QUEUED: Standing.QUEUED}.get(self.run.state, Standing.DONE)

    @property
    def waiting(self) -> bool:
        """Whether its agent waits for input."""
        return self.run.waiting_until is not None and not self.run.state.final

    @property
    def asked_for(self) -> PermissionRequest | None:
        """What its agent asks permission for, the oldest request first; None = for nothing."""
        return next(iter(self.run.permission_requests), None) if not self.run.state.final else None

    @property
    def login_failed(self) -> bool:
        """Whether a fresh login would fix it."""
        return self.run.state is State.FAILED and self.run.cause is Cause.AUTH

    def seconds(self, at: datetime) -> float | None:
        """Return how long it has been running, or took; None before it has started."""
        if self.run.state.final:
            return self.run.seconds
        return max(0.0, (at - self.run.started).total_seconds()) if self.run.started else None


def _activity(event: Event) -> str:
    """Return what an event says of the run's activity, on one line; "" when it says nothing of it."""
    match event:
        case ToolCalled(name=name, summary=summary):
            return f"{name}  {summary}"
        case Said(text=text):
            return text.strip().split("\n", 1)[0]
        case Retrying(attempt=attempt, of=of, why=why):
            return f"try {attempt} of {of}: {why}"
        case Notice(level="warn" | "error", text=text):
            return text.split("\n", 1)[0]
        case Steered(text=text, taken=True):
            return f"you: {text}"
        case _:
            return ""
