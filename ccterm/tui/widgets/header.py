"""Lines with text at both ends: the header at the top of every screen, and the status line near its bottom."""

from datetime import datetime

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from ccterm.tui.run_text import BETWEEN_KEYS, SIGNS, TONES, limit_text
from ccterm.tui.runs import Runs

WIDE_TALLY = 100
"""From this width on, states are named by words."""
_WORDS = {sign: text.removesuffix(" for you").removesuffix(" by policy") for sign, text in SIGNS.items()}
_SEVERITIES = {"information": "", "warning": "$text-warning", "error": "bold $text-error"}


class SplitLine(Widget):
    """A line with a left and a right end; what does not fit is cut from the left part."""

    DEFAULT_CSS = """
    SplitLine { height: 1; width: 1fr; padding: 0 1; }
    """

    left: reactive[Content] = reactive(Content(""))
    """The text at the left end."""
    right: reactive[Content] = reactive(Content(""))
    """The text at the right end, cut only when it alone is too long."""

    def __init__(self, left: Content | str = "", right: Content | str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(SplitLine.left, _content(left))
        self.set_reactive(SplitLine.right, _content(right))

    def show(self, left: Content | str, right: Content | str = "") -> None:
        """Show other texts; repaints only when they differ."""
        self.left, self.right = _content(left), _content(right)

    def render(self) -> Content:
        """Spread both ends over the width."""
        return split_line(self.left, self.right, self.content_size.width)


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


def split_line(left: Content, right: Content, width: int) -> Content:
    """Return both ends as one line of `width` cells."""
    right = right.truncate(max(0, width), ellipsis=True) if right.cell_length > width else right
    room = width - right.cell_length - (2 if right.cell_length else 0)
    left = left.truncate(max(0, room), ellipsis=True) if left.cell_length > room else left
    gap = width - left.cell_length - right.cell_length
    return Content.assemble(left, " " * max(0, gap), right)


def _content(text: Content | str) -> Content:
    return text if isinstance(text, Content) else Content(text)


def heading(title: str, more: str = "") -> Content:
    """Return the left end of a screen's header."""
    tail = [(f"  {more}", "$text-accent")] if more else []
    return Content.assemble(("ccterm", "bold $text-primary"), "  ", title, *tail)


def tally(runs: Runs, *, words: bool = False) -> Content:
    """Return how many runs are in which state: 3 ● 1 ? 1 ✗ 2 ○. words: 3 running  1 waiting; those that are done have a line of their own."""
    counts = runs.counts()
    shown = [sign for sign in SIGNS if counts[sign] and not (words and sign in "✓–")]
    parts = [Content.styled(f"{counts[sign]} {_WORDS[sign] if words else sign}", TONES[sign]) for sign in shown]
    return Content("  ").join(parts) if parts else Content.styled("" if counts else "no runs", "dim")


class StatusLine(SplitLine):
    """What happened last, how full the usage windows are, and what today has cost."""

    DEFAULT_CSS = """
    StatusLine { background: $surface; color: $text-muted; }
    """

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._runs = runs

    def show_state(self, at: datetime) -> None:
        """Show the state at this time."""
        limits = self._runs.limits(at)[: None if self.app.size.width >= WIDE_TALLY else 1]  # a used up one is the first
        told = [Content.styled(limit_text(limit), "bold $text-error" if limit.status == "rejected" else "") for limit in limits]
        midnight = at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        today = Content(f"${self._runs.spent(midnight):.2f} today")
        self.show(self._last(), Content("   ").join([*told, today]))

    def _last(self) -> Content:
        last = self._runs.last
        if last is None:
            return Content("")
        return Content.assemble((f"{last.at.astimezone():%H:%M:%S}  ", "dim"), (last.text, _SEVERITIES[last.severity]))
