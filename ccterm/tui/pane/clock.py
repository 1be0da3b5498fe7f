"""One clock for all panes: when to check the files, and which panes to paint.

A frame has a fixed cost, so panes are painted together: the focused one up to thirty times a second, the others on one common beat. A
pane that was quiet is painted at once. Painting takes a third of the event loop's time at most, and while the terminal does not keep up
no frame is made.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic, perf_counter
from typing import Protocol
from weakref import WeakSet

from rich.style import Style
from textual.app import App
from textual.screen import Screen

from ccterm.tui.code import Lexers
from ccterm.tui.messages import visible_screens
from ccterm.tui.textual_private import frames_waiting, lay_out_once, send, watch_passes

TICK = 1 / 30
IDLE_TICK = 1 / 10
"""Seconds between two checks while nothing happens."""
BEAT = 1 / 10
"""Seconds between two frames of unfocused panes."""
QUIET = 1.0
"""Seconds without anything new after which a pane, or the whole clock, counts as quiet."""
SHARE = 0.35
"""How much of the event loop's time painting may take."""
ROWS_A_PASS = 120
"""Rows painted in one pass; beyond that, panes take turns, the focused one first."""


class TimedPane(Protocol):
    """A pane as the clock sees it."""

    @property
    def is_focused(self) -> bool:
        """Whether it has the focus."""
        ...

    @property
    def height(self) -> int:
        """How many rows it has."""
        ...

    def poll(self) -> bool:
        """Return whether there may be something to paint. Called all the time: cheap, and never fails."""
        ...

    def frame(self) -> str:
        """Update the pane. Returns the sequence that paints its rows on the terminal; "" when Textual paints them, or nothing changed."""
        ...


class _Turn:
    """The screen of a pane, when it was last painted, and whether it has something new to show."""

    def __init__(self, screen: Screen[object]) -> None:
        self.screen = screen
        self.painted = float("-inf")
        self.stale = False
        self.due = False
        """Whether it is its turn to be painted."""


class FrameClock:
    """Paints the panes that were added to it. Pass one clock to all panes of an app."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.frames = 0
        """Passes in which something was painted."""
        self.lexers = Lexers()
        """What colours code, for all panes."""
        self.styles: dict[tuple[str, Style], Mapping[str, Style]] = {}
        """Theme and base style -> the styles of a pane's rows."""
        self.dropped = 0
        """Passes that were skipped because the terminal did not keep up."""
        self._now = now
        self._turns: dict[TimedPane, _Turn] = {}
        self._watched: WeakSet[Screen[object]] = WeakSet()
        self._app: App[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changed_at = float("-inf")
        self._beat_at = float("-inf")
        self._free_at = float("-inf")

    def add(self, pane: TimedPane, screen: Screen[object]) -> None:
        """Start to paint a pane of a screen."""
        self._turns[pane] = _Turn(screen)
        if screen not in self._watched:
            self._watched.add(screen)
            watch_passes(screen, self.painted)
            lay_out_once(screen)
        self._app = screen.app
        if self._timer is None:
            self._schedule()

    def remove(self, pane: TimedPane) -> None:
        """No longer paint a pane."""
        self._turns.pop(pane, None)
        if not self._turns and self._timer:
            self._timer.cancel()
            self._timer = None

    def tick(self) -> None:
        """Check all panes, and paint those whose turn it is."""
        if self._poll():
            self._paint()

    def painted(self, seconds: float) -> None:
        """Note how long a pass took: the event loop is left to others in proportion."""
        self._free_at = self._now() + seconds * (1 / SHARE - 1)

    def _schedule(self) -> None:
        idle = self._now() - self._changed_at > QUIET
        self._timer = asyncio.get_running_loop().call_later(IDLE_TICK if idle else TICK, self._on_timer)

    def _on_timer(self) -> None:
        """Check the panes here, and leave the painting to the app: its errors belong there."""
        self._schedule()
        if self._poll() and self._app:
            self._app.call_next(self._paint)

    def _poll(self) -> bool:
        """Return whether it is some pane's turn."""
        visible = visible_screens(self._app) if self._app else ()
        stale = False
        now, due = self._now(), False
        for pane, turn in self._turns.items():
            if turn.screen in visible:
                turn.stale |= pane.poll()
                stale |= turn.stale
                due |= turn.due or (turn.stale and self._may_paint(pane, turn, now))
        if stale:
            self._changed_at = now
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

    def _frame(self, pane: TimedPane) -> str:
        turn = self._turns[pane]
        turn.painted, turn.stale, turn.due = self._now(), False, False
        return pane.frame()

    def _due(self, now: float) -> list[TimedPane]:
        """Return the panes whose turn it is, the most urgent first. Those that are not painted stay due."""
        for pane, turn in self._turns.items():
            turn.due |= turn.stale and self._may_paint(pane, turn, now)
        due = [(pane, turn) for pane, turn in self._turns.items() if turn.due]
        if due and now >= self._beat_at:
            self._beat_at = now + BEAT
        return [pane for pane, _ in sorted(due, key=lambda each: (not each[0].is_focused, each[1].painted))]

    def _may_paint(self, pane: TimedPane, turn: _Turn, now: float) -> bool:
        """Whether it is a pane's turn: on the beat, or at once if it has the focus or was quiet."""
        return now >= self._beat_at or pane.is_focused or now - turn.painted > QUIET


def _affordable(due: list[TimedPane]) -> list[TimedPane]:
    rows, taken = 0, 0
    for pane in due:
        rows += pane.height
        if taken and rows > ROWS_A_PASS:
            break
        taken += 1
    return due[:taken]
