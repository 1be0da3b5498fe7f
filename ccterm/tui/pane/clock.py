"""One clock for all panes: when to look at the files, and which panes to paint.

A pass of Textual's compositor costs about a millisecond before its first row, so panes are painted together: the focused one up to
thirty times a second, the others on one common beat. A pane that was quiet is painted at once. Painting takes a third of the loop at
most, and while the terminal does not keep up no frame is made.
"""

from collections.abc import Callable
from time import monotonic
from typing import Protocol
from weakref import WeakSet

from textual.app import App
from textual.screen import Screen
from textual.timer import Timer

from ccterm.tui.pane.textual_private import frames_waiting, watch_passes

TICK = 1 / 30
BEAT = 1 / 10
"""Seconds between two frames of panes without focus."""
QUIET = 1.0
"""Seconds without news after which a pane counts as quiet."""
SHARE = 0.35
"""How much of the loop's time painting may take."""
ROWS_A_PASS = 400
"""Rows painted in one pass; panes take turns beyond that, the focused one first."""


class Paced(Protocol):
    """A pane as the clock sees it."""

    @property
    def is_live(self) -> bool:
        """Whether it is where a person can see it."""
        ...

    @property
    def is_first(self) -> bool:
        """Whether a person works with it right now."""
        ...

    @property
    def height(self) -> int:
        """How many rows it has."""
        ...

    def poll(self) -> bool:
        """Look for news. Returns whether there is something to paint."""
        ...

    def paint(self) -> None:
        """Put what there is on the screen."""
        ...


class _Turn:
    """When a pane was painted, and since when it has something to show."""

    def __init__(self) -> None:
        self.painted = float("-inf")
        self.stale = False


class FrameClock:
    """Paints the panes that were added to it. Pass one clock to all panes of an app."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.frames = 0
        """Passes in which something was painted."""
        self.dropped = 0
        """Passes that were left out because the terminal did not keep up."""
        self._now = now
        self._turns: dict[Paced, _Turn] = {}
        self._screens: WeakSet[Screen[object]] = WeakSet()
        self._waiting: Callable[[], int] = lambda: 0
        self._timer: Timer | None = None
        self._beat_at = float("-inf")
        self._free_at = float("-inf")

    def add(self, pane: Paced, screen: Screen[object]) -> None:
        """Paint a pane of a screen from now on."""
        self._turns[pane] = _Turn()
        self._start(screen.app)
        if screen not in self._screens:
            self._screens.add(screen)
            watch_passes(screen, self.painted)

    def remove(self, pane: Paced) -> None:
        """Forget a pane."""
        self._turns.pop(pane, None)
        if not self._turns and self._timer:
            self._timer.stop()
            self._timer = None

    def tick(self) -> None:
        """Look at all panes, and paint those whose turn it is."""
        now = self._now()
        for pane, turn in self._turns.items():
            turn.stale |= pane.is_live and pane.poll()
        due = self._due(now)
        if not due or now < self._free_at:
            return
        if self._waiting() > 1:
            self.dropped += 1
            return
        self.frames += 1
        for pane in _affordable(due):
            pane.paint()
            self._turns[pane].painted, self._turns[pane].stale = now, False

    def painted(self, seconds: float) -> None:
        """Take note of how long a pass took: the loop belongs to others for so much longer."""
        self._free_at = self._now() + seconds * (1 / SHARE - 1)

    def _start(self, app: App[object]) -> None:
        if self._timer is None:
            self._waiting = lambda: frames_waiting(app)
            self._timer = app.set_interval(TICK, self.tick, name="frame clock")

    def _due(self, now: float) -> list[Paced]:
        stale = [(pane, turn) for pane, turn in self._turns.items() if turn.stale and pane.is_live]
        if beat := bool(stale) and now >= self._beat_at:
            self._beat_at = now + BEAT
        due = [(pane, turn) for pane, turn in stale if beat or pane.is_first or now - turn.painted > QUIET]
        return [pane for pane, _ in sorted(due, key=lambda each: (not each[0].is_first, each[1].painted))]


def _affordable(due: list[Paced]) -> list[Paced]:
    rows, taken = 0, 0
    for pane in due:
        rows += pane.height
        if taken and rows > ROWS_A_PASS:
            break
        taken += 1
    return due[:taken]
