"""Lines with text at both ends: the header at the top of every screen, and the status line near its bottom."""

from datetime import datetime

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from ccterm.tui.run_text import SIGNS, TONES, limit_text
from ccterm.tui.runs import Runs


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


def tally(runs: Runs) -> Content:
    """Return how many runs are in which state: 3 ● 1 ? 1 ✗ 2 ○."""
    counts = runs.counts()
    parts = [Content.styled(f"{counts[sign]} {sign}", TONES[sign]) for sign in SIGNS if counts[sign]]
    return Content("  ").join(parts) if parts else Content.styled("no runs", "dim")


class StatusLine(SplitLine):
    """How many runs are in which state, how full the usage windows are, and what today has cost."""

    DEFAULT_CSS = """
    StatusLine { background: $surface; color: $text-muted; }
    """

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._runs = runs

    def show_state(self, at: datetime) -> None:
        """Show the state at this time."""
        counts = self._runs.counts()
        running, failed = self._runs.running, counts["✗"] + counts["!"]
        text = f"{running} running · {counts['○']} queued · {counts['‖']} held · {failed} failed"
        limits = self._runs.limits(at)
        used_up = [Content.styled(limit_text(limit), "bold $text-error") for limit in limits if limit.status == "rejected"]
        others = [Content(limit_text(limit)) for limit in limits if limit.status != "rejected"]
        midnight = at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        self.show(Content("   ").join([*used_up, Content(text), *others]), f"${self._runs.spent(midnight):.2f} today")
