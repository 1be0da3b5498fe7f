"""How runs read on the screen, in the colours of the theme; where a text is also printed by `ccterm runs` and `show`, it comes from `render`."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from ccterm.events import Limited
from ccterm.models import Run, State
from ccterm.proof import work_kept
from ccterm.render import change_numbers, denied, dollars, outcome, sign
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
    "?": "waiting for you",
    "✗": "failed",
    "!": "refused by policy",
    "‖": "held",
    "○": "queued",
    "✓": "done",
    "–": "cancelled",
}
BETWEEN_KEYS = "   "
_WINDOWS = {"five_hour": "5-hour window", "seven_day": "week", "seven_day_opus": "week (opus)", "seven_day_sonnet": "week (sonnet)"}


def name(run: Run) -> str:
    """Return what a run is called beside its number: its branch, else what it is to do."""
    return run.task.branch or first_line(run.task.prompt) or run.task.target


def short_name(run: Run) -> str:
    """Return what a run is called, short enough for a sentence."""
    return shortened(name(run), 40)


def repository(run: Run) -> str:
    """Return what a run's repository is called for short: acme/shop of an address, shop of a path."""
    address = (run.task.remote or run.task.repo).rstrip("/").removesuffix(".git")
    remote = re.match(r"\w+://[^/]*/|[^/]+:", address)
    return "/".join(address[remote.end() :].split("/")[-2:]) if remote else address.rpartition("/")[2]


def repositories(runs: Iterable[Run]) -> str:
    """Return the repository of these runs, or how many they have; "" without runs."""
    names = {repository(run) for run in runs}
    return f"{len(names)} repositories" if len(names) > 1 else next(iter(names), "")


def shortened(text: str, width: int) -> str:
    """Return text in at most so many cells, cut in the middle: names often differ in their ends alone."""
    if cell_len(text) <= width:
        return text
    begin, end = set_cell_size(text, max(0, width) // 2).rstrip(), text
    room = max(0, width - 1 - cell_len(begin))
    while cell_len(end) > room:
        end = end[max(1, (cell_len(end) - room) // 2) :]
    return f"{begin}…{end}" if width > 0 else ""


def styled_sign(run: Run) -> Content:
    """Return the sign of a run in its colour."""
    text = sign(run)
    return Content.styled(text, TONES["‖"] if text == "✓" and run.denied else TONES[text])


def status(view: RunView) -> str:
    """Return a run's status in a few words: its step while it is running, else its outcome."""
    run = view.run
    if view.lost and not run.state.final:
        return "daemon lost"
    if view.waiting:
        return "waiting"
    if run.state is State.RUNNING:
        return view.step or "starting"
    if run.state is State.QUEUED:
        return f"held: {run.held}" if run.held else "queued"
    return outcome(run)


def short_status(view: RunView) -> str:
    """Return the status without details, for where there is little room."""
    short = "refused" if sign(view.run) == "!" and not view.run.pushed else re.split("[,/:]", status(view), maxsplit=1)[0]
    return ", ".join(filter(None, (short, denied(view.run) if view.run.state.final else "")))


def elapsed(view: RunView, at: datetime) -> str:
    """Return how long a run has been running or took, in whole seconds: 4:12, 1:02:03."""
    taken = view.seconds(at)
    return "" if taken is None else whole_seconds(taken)


def whole_seconds(taken: float) -> str:
    """Return a duration in whole seconds: 4:12, 1:02:03."""
    minutes, rest = divmod(int(taken), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cost(run: Run) -> str:
    """Return what a run has cost; "" while that is nothing."""
    return dollars(run) if run.cost_usd or run.state.final else ""


def detail(view: RunView) -> str:
    """Return the end of a run's line: what it is doing, or what it changed and said at its end."""
    run = view.run
    if run.state.final:
        asked = "asked a question" if run.asked and run.state is State.SUCCEEDED else ""
        return "  ".join(part for part in (change_numbers(run), asked or first_line(run.summary)) if part)
    return view.activity


def hint(view: RunView, key: Callable[[str], str] = str) -> tuple[Content, str] | None:
    """Return the line below a pane: the keys that help now, and a remark; None while there is nothing to do.

    key: returns the key that the user has in place of a usual one.
    """
    run = view.run
    if view.asked_for:
        return _keys(key, ("y", "allow"), ("Y", f"always: {view.asked_for.always}"), ("n", "refuse")), ""
    if view.waiting and run.waiting_until:
        return _keys(key, ("s", "answer"), ("h", "finish")), ""
    if run.awaits_apply:
        return _keys(key, ("a", "apply"), ("d", "diff"), ("m", "continue"), ("x", "reviewed")), f"changes for {run.task.repo}"
    if run.state is State.CANCELLED and work_kept(run):
        return _keys(key, ("P", "push its work"), ("d", "diff"), ("m", "continue"), ("x", "reviewed")), ""
    if run.denied and run.state is State.SUCCEEDED and not run.reviewed:
        return _keys(key, ("m", "continue"), ("x", "reviewed")), f"not allowed: {run.denied[0]}"
    if run.state is not State.FAILED or run.pushed:
        return None
    fix = [("e", "re-export the login")] if view.login_failed else []
    kept = work_kept(run)
    more = [("P", "push anyway"), ("d", "diff")] if kept else []
    return _keys(key, *fix, ("m", "continue"), ("r", "retry"), *more, ("x", "reviewed")), ""


def _keys(key: Callable[[str], str], *pairs: tuple[str, str]) -> Content:
    parts = [Content.assemble((key(usual), "bold $text-accent"), f" {text}") for usual, text in pairs]
    return Content(BETWEEN_KEYS).join(parts)


def limit_text(limited: Limited) -> str:
    """Return how full a usage window is and when it resets: 5-hour window 62%, resets 17:00."""
    name = _WINDOWS.get(limited.limit, limited.limit.replace("_", " "))
    used = "used up" if limited.status == "rejected" else f"{limited.utilization:.0%}" if limited.utilization is not None else "in use"
    resets = f", resets {limited.resets_at.astimezone():%H:%M}" if limited.resets_at else ""
    return f"{name} {used}{resets}"


def first_line(text: str) -> str:
    """Return the first line of a text that is not empty."""
    return text.strip().split("\n", 1)[0]
