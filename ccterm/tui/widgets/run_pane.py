"""One run as a pane: a line that says what it is and how it stands, its transcript, and what its user can do when it wants them."""

from datetime import datetime
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from ccterm.models import RunId
from ccterm.tui.pane import EventPane, FrameClock
from ccterm.tui.run_view import RunView
from ccterm.tui.widgets.split_line import SplitLine
from ccterm.tui.words import cost, elapsed, hint, signed, standing_shortly


class RunPane(Vertical):
    """A run beside others."""

    DEFAULT_CSS = """
    RunPane {
        height: 1fr;
        width: 1fr;
        #title { background: $panel; color: $text-muted; }
        #hint { display: none; }
        &.-hinting #hint { display: block; }
        &.-focused #title { background: $primary; color: $text; text-style: bold; }
        &.-wanting #title { background: $warning-muted; color: $text; }
        &.-wanting.-focused #title { background: $warning; color: $text; text-style: bold; }
        &.-failed #title { background: $error-muted; color: $text; }
        &.-failed.-focused #title { background: $error; color: $text; text-style: bold; }
    }
    """

    focused: reactive[bool] = reactive(False, toggle_class="-focused")
    """Whether orders go to this run."""

    class Chosen(Message):
        """The user pointed at this run."""

        def __init__(self, run: RunId) -> None:
            super().__init__()
            self.run = run

    def __init__(self, sight: RunView, transcript: Path, clock: FrameClock) -> None:
        super().__init__()
        self.run = sight.run.id
        self.title_line = SplitLine(id="title")
        self.transcript = EventPane(transcript, run=self.run, clock=clock)
        self._hint = SplitLine(id="hint")

    def compose(self) -> ComposeResult:
        """Lay out title, transcript and hint."""
        yield self.title_line
        yield self.transcript
        yield self._hint

    def show(self, sight: RunView, number: int, at: datetime, *, pinned: bool = False) -> None:
        """Say how the run stands."""
        run = sight.run
        mark = Content("▌" if self.focused else " ")
        agent = " ".join(part for part in ("" if run.task.agent == "claude" else run.task.agent, run.task.model or "") if part)
        left = Content.assemble(
            mark, f"{number} ", signed(run) if not self.focused else signed(run).plain, " ", run.task.target, f"  {agent}" if agent else ""
        )
        facts = [("pinned" if pinned else ""), standing_shortly(sight), elapsed(sight, at), cost(run)]
        self.title_line.show(left, "  ".join(fact for fact in facts if fact))
        self.set_class(sight.waits, "-wanting")
        self.set_class(run.state.final and run.cause is not None, "-failed")
        said = hint(sight)
        self.set_class(said is not None, "-hinting")
        if said is not None:
            self._hint.show(*said)

    def on_mouse_down(self) -> None:
        """Take orders from now on."""
        self.post_message(self.Chosen(self.run))
