"""One run as a pane: a title with its status, its transcript, and the keys that help when it needs attention."""

from datetime import datetime
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from ccterm.models import RunId
from ccterm.tui.pane import EventPane, FrameClock
from ccterm.tui.run_text import cost, elapsed, hint, short_status, styled_sign
from ccterm.tui.run_view import RunView
from ccterm.tui.widgets.header import SplitLine


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
        &.-waiting #title { background: $warning-muted; color: $text; }
        &.-waiting.-focused #title { background: $warning; color: $text; text-style: bold; }
        &.-failed #title { background: $error-muted; color: $text; }
        &.-failed.-focused #title { background: $error; color: $text; text-style: bold; }
    }
    """

    focused: reactive[bool] = reactive(False, toggle_class="-focused")
    """Whether actions apply to this run."""

    class Chosen(Message):
        """The user clicked this run."""

        def __init__(self, run: RunId) -> None:
            super().__init__()
            self.run = run

    def __init__(self, view: RunView, transcript: Path, clock: FrameClock) -> None:
        super().__init__()
        self.run = view.run.id
        self._title = SplitLine(id="title")
        self.transcript = EventPane(transcript, run=self.run, clock=clock)
        self._hint = SplitLine(id="hint")

    def compose(self) -> ComposeResult:
        """Lay out title, transcript and hint."""
        yield self._title
        yield self.transcript
        yield self._hint

    def show(self, view: RunView, number: int, at: datetime, *, pinned: bool = False) -> None:
        """Show the state of the run."""
        run = view.run
        edge = Content("▌" if self.focused else " ")
        sign = styled_sign(run).plain if self.focused else styled_sign(run)
        agent = " ".join(part for part in ("" if run.task.agent == "claude" else run.task.agent, run.task.model or "") if part)
        left = Content.assemble(edge, f"{number} ", sign, " ", run.task.target, f"  {agent}" if agent else "")
        facts = [("pinned" if pinned else ""), short_status(view), elapsed(view, at), cost(run)]
        self._title.show(left, "  ".join(fact for fact in facts if fact))
        self.set_class(view.waiting, "-waiting")
        self.set_class(run.state.final and run.cause is not None, "-failed")
        shown = hint(view)
        self.set_class(shown is not None, "-hinting")
        if shown is not None:
            self._hint.show(*shown)

    def on_mouse_down(self) -> None:
        """Ask for the focus."""
        self.post_message(self.Chosen(self.run))
