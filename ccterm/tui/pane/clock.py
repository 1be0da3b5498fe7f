"""One clock for all panes: when to look at the files, and which panes to paint.

A frame costs something before its first row, so panes are painted together: the focused one up to thirty times a second, the others on
one common beat. A pane that was quiet is painted at once. Painting takes a third of the loop at most, and while the terminal does not
keep up no frame is made.
"""

import asyncio
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Protocol
from weakref import WeakSet

from textual.app import App
from textual.screen import Screen

from ccterm.tui.pane.textual_private import frames_waiting, lay_out_once, send, watch_passes

TICK = 1 / 30
IDLE_TICK = 1 / 10
"""Seconds between two looks while nothing happens."""
BEAT = 1 / 10
"""Seconds between two frames of panes without focus."""
QUIET = 1.0
"""Seconds without news after which a pane, or everything, counts as quiet."""
SHARE = 0.35
"""How much of the loop's time painting may take."""
ROWS_A_PASS = 120
"""Rows painted in one pass; panes take turns beyond that, the focused one first."""


class Paced(Protocol):
    """A pane as the clock sees it."""

    @property
    def is_first(self) -> bool:
        """Whether a person works with it right now."""
        ...

    @property
    def height(self) -> int:
        """How many rows it has."""
        ...

    def look(self) -> bool:
        """Return whether there may be something to paint. Called all the time: cheap, and never fails."""
        ...

    def frame(self) -> str:
        """Bring the pane up to date. Returns what puts its rows on the terminal; "" when that is left to Textual, or nothing changed."""
        ...


class _Turn:
    """Where a pane is, when it was painted, and whether it has something to show since."""

    def __init__(self, screen: Screen[object]) -> None:
        self.screen = screen
        self.painted = float("-inf")
        self.stale = False
        self.due = False
        """Whether it is its turn."""


class FrameClock:
    """Paints the panes that were added to it. Pass one clock to all panes of an app."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.frames = 0
        """Passes in which something was painted."""
        self.dropped = 0
        """Passes that were left out because the terminal did not keep up."""
        self._now = now
        self._turns: dict[Paced, _Turn] = {}
        self._watched: WeakSet[Screen[object]] = WeakSet()
        self._app: App[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._news_at = float("-inf")
        self._beat_at = float("-inf")
        self._free_at = float("-inf")

    def add(self, pane: Paced, screen: Screen[object]) -> None:
        """Paint a pane of a screen from now on."""
        self._turns[pane] = _Turn(screen)
        if screen not in self._watched:
            self._watched.add(screen)
            watch_passes(screen, self.painted)
            lay_out_once(screen)
        self._app = screen.app
        if self._timer is None:
            self._wait()

    def remove(self, pane: Paced) -> None:
        """Forget a pane."""
        self._turns.pop(pane, None)
        if not self._turns and self._timer:
            self._timer.cancel()
            self._timer = None

    def tick(self) -> None:
        """Look at all panes, and paint those whose turn it is."""
        if self._look():
            self._paint()

    def painted(self, seconds: float) -> None:
        """Take note of how long a pass took: the loop belongs to others for so much longer."""
        self._free_at = self._now() + seconds * (1 / SHARE - 1)

    def _wait(self) -> None:
        idle = self._now() - self._news_at > QUIET
        self._timer = asyncio.get_running_loop().call_later(IDLE_TICK if idle else TICK, self._ring)

    def _ring(self) -> None:
        """Look without troubling the app; what may fail is left to its own loop."""
        self._wait()
        if self._look() and self._app:
            self._app.call_next(self._paint)

    def _look(self) -> bool:
        """Return whether it is the turn of some pane."""
        live: dict[Screen[object], bool] = {}
        stale = False
        now, due = self._now(), False
        for pane, turn in self._turns.items():
            if turn.screen not in live:
                live[turn.screen] = _visible(turn.screen)
            if live[turn.screen]:
                turn.stale |= pane.look()
                stale |= turn.stale
                due |= turn.due or (turn.stale and self._may_paint(pane, turn, now))
        if stale:
            self._news_at = now
        return due and now >= self._free_at

    def _paint(self) -> None:
        due = self._due(self._now())
        if not due or self._app is None:
            return
        if frames_waiting(self._app) > 1:
            self.dropped += 1
            return
        self.frames += 1
        begin = perf_counter()
        if text := "".join([self._frame(pane) for pane in _affordable(due)]):
            send(self._app, text)
        self.painted(perf_counter() - begin)

    def _frame(self, pane: Paced) -> str:
        turn = self._turns[pane]
        turn.painted, turn.stale, turn.due = self._now(), False, False
        return pane.frame()

    def _due(self, now: float) -> list[Paced]:
        """Return the panes whose turn it is, the most urgent first. Whoever gets no turn stays due."""
        for pane, turn in self._turns.items():
            turn.due |= turn.stale and self._may_paint(pane, turn, now)
        due = [(pane, turn) for pane, turn in self._turns.items() if turn.due]
        if due and now >= self._beat_at:
            self._beat_at = now + BEAT
        return [pane for pane, _ in sorted(due, key=lambda each: (not each[0].is_first, each[1].painted))]

    def _may_paint(self, pane: Paced, turn: _Turn, now: float) -> bool:
        """Whether a pane's turn has come: on the beat, at once when a person works with it or it was quiet."""
        return now >= self._beat_at or pane.is_first or now - turn.painted > QUIET


def _visible(screen: Screen[object]) -> bool:
    """Whether a person sees anything of a screen: it lies on top, or what lies on it lets it through."""
    for above in reversed(screen.app.screen_stack):
        if above is screen or above.styles.background.a == 1:
            return above is screen
    return False


def _affordable(due: list[Paced]) -> list[Paced]:
    rows, taken = 0, 0
    for pane in due:
        rows += pane.height
        if taken and rows > ROWS_A_PASS:
            break
        taken += 1
    return due[:taken]
