"""How runs read on the screen, in words and colours of the theme; the texts themselves are those of `ccterm runs` and `show`."""

import re
from datetime import datetime

from textual.content import Content

from ccterm.events import Limited
from ccterm.models import Run, State
from ccterm.render import change_numbers, outcome, sign
from ccterm.render import seconds as spell
from ccterm.tui.run_view import RunView

TONES = {
    "●": "$text-primary",
    "?": "bold $text-warning",
    "✓": "$text-success",
    "✗": "bold $text-error",
    "!": "bold $text-error",
    "‖": "$text-warning",
    "○": "dim",
    "–": "dim",
}
SIGNS = {
    "●": "running",
    "?": "waiting for a word, or for your yes",
    "✗": "failed",
    "!": "refused by a rule",
    "‖": "held",
    "○": "queued",
    "✓": "done",
    "–": "cancelled",
}
_WINDOWS = {"five_hour": "5-hour window", "seven_day": "week", "seven_day_opus": "week (opus)", "seven_day_sonnet": "week (sonnet)"}


def signed(run: Run) -> Content:
    """Return the sign of a run in its colour."""
    text = sign(run)
    return Content.styled(text, TONES[text])


def standing(sight: RunView) -> str:
    """Return how a run stands in a word or two: its step while it runs, else its outcome."""
    run = sight.run
    if sight.waits:
        return "waiting"
    if run.state is State.RUNNING:
        return sight.step or "starting"
    if run.state is State.QUEUED:
        return f"held: {run.held}" if run.held else "queued"
    return outcome(run)


def standing_shortly(sight: RunView) -> str:
    """Return the same without its finer points, for where there is little room."""
    return "refused" if sign(sight.run) == "!" and not sight.run.pushed else re.split("[,/:]", standing(sight), maxsplit=1)[0]


def elapsed(sight: RunView, at: datetime) -> str:
    """Return how long a run has run, in whole seconds while it does."""
    taken = sight.seconds(at)
    if taken is None:
        return ""
    minutes, rest = divmod(int(taken), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cost(run: Run) -> str:
    """Return what a run cost."""
    return f"${run.cost_usd:.2f}" if run.cost_usd or run.state.final else ""


def tokens(count: int) -> str:
    """Return a number of tokens as people read it: 940, 12k, 1.3M."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def detail(sight: RunView) -> str:
    """Return what there is to say of a run at the end of its line."""
    run = sight.run
    if run.state.final:
        asked = "asked a question" if run.asked and run.state is State.SUCCEEDED else ""
        return "  ".join(part for part in (change_numbers(run), asked or run.summary.split("\n", 1)[0]) if part)
    return sight.doing


def hint(sight: RunView) -> tuple[Content, str] | None:
    """Return the line below a pane: what the user can do, and what else to know; None while there is nothing to do."""
    run = sight.run
    if sight.waits and run.waiting_until:
        return _keys(("s", "answer"), ("h", "let it end")), f"waits until {run.waiting_until.astimezone():%H:%M}"
    if run.awaits_apply:
        return _keys(("a", "bring it in"), ("d", "diff"), ("m", "seen")), f"changes for {run.task.repo}"
    if run.state is State.CANCELLED and run.salvage and not run.salvage.delivered:
        return _keys(("P", "push what there is"), ("d", "diff"), ("r", "retry"), ("m", "seen")), "work kept"
    if run.state is not State.FAILED or run.pushed:
        return None
    mend = [("e", "re-export the login")] if sight.login_failed else []
    kept = run.salvage is not None
    more = [("P", "push it all the same"), ("d", "diff")] if kept else []
    return _keys(*mend, ("r", "retry"), *more, ("m", "seen")), "work kept" if kept else ""


def _keys(*pairs: tuple[str, str]) -> Content:
    parts = [Content.assemble((key, "bold $text-accent"), f" {text}") for key, text in pairs]
    return Content("   ").join(parts)


def window(limited: Limited) -> str:
    """Return how full a usage window is and when it empties."""
    name = _WINDOWS.get(limited.limit, limited.limit.replace("_", " "))
    used = "used up" if limited.status == "rejected" else f"{limited.utilization:.0%}" if limited.utilization is not None else "in use"
    resets = f", resets {limited.resets_at.astimezone():%H:%M}" if limited.resets_at else ""
    return f"{name} {used}{resets}"


def money(run: Run) -> str:
    """Return what a run used: $0.31 · 18 turns · 212k tokens."""
    used = run.tokens.input + run.tokens.output + run.tokens.cache
    return f"${run.cost_usd:.2f} · {run.turns} turn{'' if run.turns == 1 else 's'} · {tokens(used)} tokens"


def spelled(value: float | None) -> str:
    """Return a length of time as people read it."""
    return spell(value)


def first_line(text: str) -> str:
    """Return the first line of a text that has one."""
    return text.strip().split("\n", 1)[0]
