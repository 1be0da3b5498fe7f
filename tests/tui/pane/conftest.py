"""Fixtures for panes: a transcript in memory, a viewport on it, and every kind of event once."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ccterm import events
from ccterm.causes import Cause
from ccterm.events import Event, to_line
from ccterm.models import RunId, State
from ccterm.tui.code import Lexers
from ccterm.tui.pane.source import MemoryStore
from ccterm.tui.pane.viewport import Viewport
from ccterm.values import Changes, Finding, Verdict

AT = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
RUN = RunId("01J0000000000000000000TEST")
MakeViewport = Callable[..., Viewport]

EVERY_KIND: dict[str, tuple[Event, list[str]]] = {
    # name: the event, and its rows at 40 cells
    "queued": (events.Queued(target="feature/x", prompt="Add a LICENSE\nplease"), ["» Add a LICENSE", "  please"]),
    "queued without a prompt": (events.Queued(), []),
    "held": (events.Held(reason="branch busy"), ["‖ held: branch busy"]),
    "waiting for its turn": (events.Held(reason="waiting for a free slot", turn=True), ["○ queued: waiting for a free slot"]),
    "no longer held": (events.Held(reason=""), ["○ no longer held"]),
    "started": (events.Started(), []),
    "step started": (events.StepStarted(step="setup"), ["● setup"]),
    "step finished": (events.StepFinished(step="checkout", ok=True, seconds=0.42, detail="reused"), ["✓ checkout  0.4 s  reused"]),
    "step with a long name": (events.StepFinished(step="recovering", ok=True, seconds=1.1), ["✓ recovering 1.1 s"]),
    "step failed": (events.StepFinished(step="setup", ok=False, seconds=75, detail="exit 1"), ["✗ setup      1:15  exit 1"]),
    "said": (events.Said(text="I'll start with the session middleware."), ["I'll start with the session middleware."]),
    "said by a sub-agent": (events.Said(text="Found it.", agent="search"), ["[search] Found it."]),
    "typing": (events.Typing(text="Fix"), ["Fix▌"]),
    "thought": (events.Thought(tokens=1240), ["∴ thinking, 1,240 tokens"]),
    "tool called": (
        events.ToolCalled(id="a", name="Read", summary="src/auth/session.py"),
        ["› Read  src/auth/session.py            …"],
    ),
    "called by a sub-agent": (
        events.ToolCalled(id="a", name="Grep", summary="login", agent="search"),
        ["› [search] Grep  login                 …"],
    ),
    "tool returned": (events.ToolReturned(id="a", ok=True, text="1\n2\n3\n4\n5"), ["  1", "  2", "  3", "  … 2 more"]),
    "tool returned little": (events.ToolReturned(id="a", ok=True, text="done\n"), ["  done"]),
    "tool returned nothing": (events.ToolReturned(id="a", ok=True, text=""), []),
    "printed": (events.Printed(stream="stderr", text="npm ci\nadded 212 packages"), ["  npm ci", "  added 212 packages"]),
    "notice": (events.Notice(level="info", text="compacted"), ["· compacted"]),
    "warning": (events.Notice(level="warn", text="refused"), ["! refused"]),
    "error": (events.Notice(level="error", text="lost"), ["✗ lost"]),
    "limit, no news": (events.Limited(limit="five_hour", status="allowed", utilization=0.2), []),
    "limit near": (events.Limited(limit="five_hour", status="allowed_warning", utilization=0.91), ["! the 5-hour window is 91 % used"]),
    "limit reached": (events.Limited(limit="seven_day", status="rejected"), ["! the 7-day window is used up"]),
    "retrying": (events.Retrying(attempt=2, of=10, wait=1.5, why="overloaded"), ["… try 2 of 10 in 1.5 s: overloaded"]),
    "spent": (events.Spent(cost_usd=0.2), []),
    "host refused": (
        events.HostAsked(host="pypi.org", port=443, allowed=False, count=1, more=1, why="not on the list"),
        ["! not reached: pypi.org (not on the", "  list)"],
    ),
    "host refused again": (events.HostAsked(host="pypi.org", port=443, allowed=False, count=2, more=1), []),
    "host let through": (events.HostAsked(host="pypi.org", port=443, allowed=True, count=1, more=1), []),
    "told": (events.Told(text="also the README"), ["○ queued for the agent: also the README"]),
    "hold": (events.HoldChanged(on=True), ["· waits for input at the end of its", "  turns"]),
    "no hold": (events.HoldChanged(on=False), ["· no longer waits for input at the end", "  of its turns"]),
    "steered": (events.Steered(text="also the README", taken=True), ["→ also the README"]),
    "steered in vain": (events.Steered(text="stop", taken=False, detail="too late"), ["→ not delivered: stop (too late)"]),
    "permission asked": (
        events.PermissionAsked(
            id="q", tool="Bash", summary="npm ci", input={"command": "npm ci\nnpm test"}, reason="This command requires approval"
        ),
        ["? asks permission: Bash", "  npm ci", "  npm test", "  This command requires approval"],
    ),
    "permission given": (events.PermissionAnswered(id="q", answer="allowed"), ["✓ permission given"]),
    "permission refused": (events.PermissionAnswered(id="q", answer="denied", text="use pnpm"), ["! permission refused: use pnpm"]),
    "waiting no more": (events.Waiting(until=None), ["? no longer waiting"]),
    "verdict": (
        events.Judged(verdict=Verdict(ok=True), changes=Changes(files=5, added=61, removed=9)),
        ["✓ policy: fine"],
    ),
    "refused": (
        events.Judged(
            verdict=Verdict(ok=False, findings=(Finding(rule="deletions", severity="refuse", text="4 files deleted", paths=("a", "b")),)),
            changes=Changes(files=1),
        ),
        ["! policy: refused", "! 4 files deleted", "    a", "    b"],
    ),
    "pushed": (
        events.Pushed(remote="origin", ref="refs/heads/feature/x", sha="a91f03c4d5e6f7", verified=True),
        ["✓ pushed a91f03c4 to feature/x, verified"],
    ),
    "synced": (events.Synced(files=3), ["✓ 3 files changed in the working copy"]),
    "salvaged": (events.Salvaged(directory="/s/run", commit=None), ["· work kept"]),
    "boxes kept": (events.BoxesKept(directory="/r/boxes"), ["· work kept"]),
    "succeeded": (events.Finished(state=State.SUCCEEDED, summary="Added it.\nMore."), ["✓ succeeded: Added it."]),
    "failed": (events.Finished(state=State.FAILED, cause=Cause.PUSH, reason="hook"), ["✗ failed (push/hook)"]),
    "cancelled": (events.Finished(state=State.CANCELLED), ["– cancelled"]),
}


class Writer:
    """Writes a transcript into memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self._seq = 0

    def write(self, *written: Event) -> None:
        for event in written:
            self.store.append(to_line(event.stamped(seq=self._seq, at=AT, run=RUN)))
            self._seq += 1

    def lines(self, count: int, begin: int = 0) -> None:
        """Write `count` events of one numbered line each."""
        self.write(*(events.Said(text=f"line {number}") for number in range(begin, begin + count)))


def lines(begin: int, end: int) -> list[str]:
    """Return the rows of so many events of one numbered line each."""
    return [f"line {number}" for number in range(begin, end)]


def shown(viewport: Viewport) -> list[str]:
    """Return the rows on the screen, without the space at their ends."""
    viewport.poll()
    viewport.advance()
    while "…" in viewport.count():
        viewport.advance()
    return [placed.row.text.rstrip() for placed in viewport.rows()]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def make_viewport(writer: Writer) -> MakeViewport:
    """Make a viewport of a given size on the writer's transcript."""

    def make(width: int = 40, height: int = 10) -> Viewport:
        viewport = Viewport(writer.store, Lexers())
        viewport.resize(width, height)
        viewport.poll()
        return viewport

    return make
