"""What every screen says of all runs: how many are in which state, what happened last, and what today has cost."""

from datetime import datetime

from textual.content import Content

from ccterm.tui.run_text import SIGNS, TONES, limit_text
from ccterm.tui.runs import Runs
from ccterm.tui.widgets.header import SplitLine

WIDE_TALLY = 100
"""From this width on, states are named by words."""
_WORDS = {sign: text.removesuffix(" for you").removesuffix(" by policy") for sign, text in SIGNS.items()}
_SEVERITIES = {"information": "", "warning": "$text-warning", "error": "bold $text-error"}


def tally(runs: Runs, *, words: bool = False) -> Content:
    """Return how many runs are in which state: 3 ● 1 ? 1 ✗ 2 ○. words: 3 running  1 waiting; those that are done have a line of their own."""
    counts = runs.counts()
    shown = [sign for sign in SIGNS if counts[sign] and not (words and sign in "✓–")]
    parts = [Content.styled(f"{counts[sign]} {_WORDS[sign] if words else sign}", TONES[sign]) for sign in shown]
    return Content("  ").join(parts) if parts else Content.styled("" if counts or not runs.known else "no runs", "dim")


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
        today = [Content(f"${self._runs.spent(midnight):.2f} today")] if self._runs.known else []
        self.show(self._last(), Content("   ").join([*told, *today]))

    def _last(self) -> Content:
        last = self._runs.last
        if last is None:
            return Content("")
        return Content.assemble((f"{last.at.astimezone():%H:%M:%S}  ", "dim"), (last.text, _SEVERITIES[last.severity]))
