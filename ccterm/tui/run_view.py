"""What the terminal knows of one run: its document and what it does right now, both folded from its events."""

from dataclasses import dataclass
from datetime import datetime

from ccterm.causes import Cause
from ccterm.events import Event, Finished, Notice, Retrying, Said, Started, Steered, StepFinished, StepStarted, ToolCalled, Waiting
from ccterm.models import Run, State
from ccterm.record import fold


@dataclass
class RunView:
    """One run on the screen."""

    run: Run
    step: str = ""
    """The step that runs now."""
    doing: str = ""
    """The last thing it did, on one line."""
    seen: int = -1
    """Number of the last event that was taken."""

    @classmethod
    def of(cls, run: Run) -> "RunView":
        """Return the sight of a run whose events are taken from the first on, unless it has ended."""
        return cls(run if run.state.final else run.model_copy(update={"steps": ()}))

    def take(self, event: Event) -> None:
        """Take one event in."""
        self.run = fold(self.run, event)
        self.seen = event.seq
        match event:
            case StepStarted(step=step):
                self.step, self.doing = step, ""
            case StepFinished(detail=detail):
                self.doing = detail
            case Started() | Finished():
                self.step, self.doing = "", ""
            case _:
                self.doing = _deed(event) or self.doing

    @property
    def wants(self) -> bool:
        """Whether it wants its user: it waits for a word or a yes, or it failed, and nobody has said that they saw it."""
        return self.waits or ((self.run.state is State.FAILED or self.run.awaits_apply) and not self.run.reviewed)

    @property
    def waits(self) -> bool:
        """Whether its agent waits for a word."""
        return self.run.waiting_until is not None and not self.run.state.final

    @property
    def login_failed(self) -> bool:
        """Whether a fresh login would mend it."""
        return self.run.state is State.FAILED and self.run.cause is Cause.AUTH

    def seconds(self, at: datetime) -> float | None:
        """Return how long it has run, or took."""
        if self.run.state.final:
            return self.run.seconds
        return max(0.0, (at - self.run.started).total_seconds()) if self.run.started else None


def _deed(event: Event) -> str:
    """Return what an event does as one line, or "" when it says nothing of the kind."""
    match event:
        case ToolCalled(name=name, summary=summary):
            return f"{name}  {summary}"
        case Said(text=text):
            return text.strip().split("\n", 1)[0]
        case Retrying(attempt=attempt, of=of, why=why):
            return f"try {attempt} of {of}: {why}"
        case Notice(level="warn" | "error", text=text):
            return text.split("\n", 1)[0]
        case Waiting(until=until) if until:
            return "waits for a word"
        case Steered(text=text, taken=True):
            return f"told: {text}"
        case _:
            return ""
