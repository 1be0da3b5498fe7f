"""The first and the last but one line of every screen: where we are, and how everything stands. Always true."""

from datetime import datetime

from textual.content import Content

from ccterm.tui.runs import Runs
from ccterm.tui.widgets.split_line import SplitLine
from ccterm.tui.words import SIGNS, TONES, window


def heading(title: str, more: str = "") -> Content:
    """Return the left end of the first line."""
    tail = [(f"  {more}", "$text-accent")] if more else []
    return Content.assemble(("ccterm", "bold $text-primary"), "  ", title, *tail)


def tally(roster: Runs) -> Content:
    """Return how many runs stand how: 3 ● 1 ? 1 ✗ 2 ○."""
    counts = roster.counts()
    parts = [Content.styled(f"{counts[sign]} {sign}", TONES[sign]) for sign in SIGNS if counts[sign]]
    return Content("  ").join(parts) if parts else Content.styled("no runs", "dim")


class StatusLine(SplitLine):
    """In words how runs stand, how full the usage windows are, and what today cost."""

    DEFAULT_CSS = """
    StatusLine { background: $surface; color: $text-muted; }
    """

    def __init__(self, roster: Runs) -> None:
        super().__init__()
        self._roster = roster

    def say(self, at: datetime) -> None:
        """Say how things stand at this time."""
        counts = self._roster.counts()
        running, failed = self._roster.running, counts["✗"] + counts["!"]
        text = f"{running} running · {counts['○']} queued · {counts['‖']} held · {failed} failed"
        limits = self._roster.limits(at)
        full = [Content.styled(window(limit), "bold $text-error") for limit in limits if limit.status == "rejected"]
        open_ = [Content(window(limit)) for limit in limits if limit.status != "rejected"]
        midnight = at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        self.show(Content("   ").join([*full, Content(text), *open_]), f"${self._roster.spent(midnight):.2f} today")
