"""One run as a pane: a title with its status, its transcript, and the keys that help when it needs attention."""

from datetime import datetime

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from ccterm.models import RunId
from ccterm.tui.app_base import AppBase
from ccterm.tui.pane import EventPane, FrameClock
from ccterm.tui.pane.source import ByteStore
from ccterm.tui.run_text import BETWEEN_KEYS, cost, elapsed, hint, name, short_status, shortened, styled_sign
from ccterm.tui.run_view import RunView
from ccterm.tui.widgets.header import SplitLine


class KeyStrip(SplitLine):
    """A line whose left end offers keys, each with what it does; a click presses one."""

    ALLOW_SELECT = False

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        event.stop()
        begin = self.styles.padding.left
        for part in self.left.plain.split(BETWEEN_KEYS):
            if begin <= event.x < begin + cell_len(part):
                self.app.simulate_key(part.split(" ", 1)[0])
            begin += cell_len(part + BETWEEN_KEYS)


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
        &:ansi #title { text-style: underline; }
        &.-focused:ansi #title, &.-waiting.-focused:ansi #title, &.-failed.-focused:ansi #title { color: ansi_black; text-style: bold; }
    }
    """

    focused: reactive[bool] = reactive(False, toggle_class="-focused")
    """Whether actions apply to this run."""

    class Chosen(Message):
        """The user clicked this run."""

        def __init__(self, run: RunId) -> None:
            super().__init__()
            self.run = run

    def __init__(self, view: RunView, transcript: ByteStore, clock: FrameClock) -> None:
        super().__init__()
        self.run = view.run.id
        self._state: tuple[RunView, datetime, bool, bool] | None = None
        self._title = SplitLine(id="title")
        self.transcript = EventPane(transcript, run=self.run, clock=clock)
        self._hint = KeyStrip(id="hint")

    def compose(self) -> ComposeResult:
        """Lay out title, transcript and hint."""
        yield self._title
        yield self.transcript
        yield self._hint

    def show(self, view: RunView, at: datetime, *, pinned: bool = False, selected: bool = False) -> None:
        """Show the state of the run."""
        self._state = (view, at, pinned, selected)
        self._show_title(*self._state)
        run = view.run
        self.set_class(view.waiting, "-waiting")
        self.set_class(run.state.final and run.cause is not None, "-failed")
        shown = hint(view, self.app.key if isinstance(self.app, AppBase) else str)
        self.set_class(shown is not None, "-hinting")
        if shown is not None:
            self._hint.show(*shown)

    def _show_title(self, view: RunView, at: datetime, pinned: bool, selected: bool) -> None:
        run = view.run
        facts = [
            ("pinned" if pinned else ""),
            ("" if run.task.egress.mode == "open" else run.task.egress.text),
            ("hold" if run.holds and not view.waiting else ""),
            short_status(view),
            elapsed(view, at),
            cost(run),
        ]
        right = Content("  ".join(fact for fact in facts if fact))
        sign = styled_sign(run).plain if self.focused else styled_sign(run)
        edge = Content.assemble("▌" if self.focused else " ", "*" if selected else "", f"{run.label} ", sign, " ")
        usual = self.app.settings.agent if isinstance(self.app, AppBase) else ""
        agent = " ".join(part for part in ("" if run.task.agent == usual else run.task.agent, run.task.model or "") if part)
        room = self.size.width - edge.cell_length - right.cell_length - 4  # what SplitLine keeps free
        shown = shortened(name(run), room) if room > 0 else name(run)
        self._title.show(Content.assemble(edge, shown, f"  {agent}" if agent else ""), right)

    def on_resize(self) -> None:
        """Use the room that the title has now."""
        if self._state:
            self._show_title(*self._state)

    def on_mouse_down(self) -> None:
        """Ask for the focus."""
        self.post_message(self.Chosen(self.run))
