"""Events of a source as rows, kept for a while: the one place where a pane parses and wraps."""

from collections import OrderedDict
from dataclasses import dataclass

from pydantic import ValidationError

from ccterm import events
from ccterm.events import Event, Notice, from_line
from ccterm.tui.pane.inks import Mark
from ccterm.tui.pane.outcomes import Outcomes
from ccterm.tui.pane.rows import Look, Row, last_rows, rows
from ccterm.tui.pane.source import RawLine, Source

KEPT_ROWS = 2_048
"""Rows and events that one pane keeps, besides the event that is asked for."""
_FEW_BYTES = 4 * 1024
"""An event this small is made into rows whole, even where only its end is asked for."""
SILENT = frozenset({"started", "spent"})
"""Kinds that never have rows; not worth parsing."""
FLEETING = frozenset({"typing", "thought"})
"""Kinds that show only while nothing follows them."""
_LASTING_STEPS = ("setup", "agent", "verify")
"""Steps that print: their begin stays, so that one sees what the lines belong to."""


@dataclass(frozen=True)
class _Kept:
    """The rows of one event."""

    rows: list[Row]
    whole: bool
    """Not only its last rows."""
    passing: bool
    """Nothing of it is left once another has followed it."""
    mark: Mark | None
    """How the tool call stood."""


class Rendering:
    """Turns lines of a source into rows, for one width. What was unfolded is remembered by offset."""

    def __init__(self, source: Source) -> None:
        self.outcomes = Outcomes(source)
        self.width = 0
        self.wrap = True
        self.unfolded: set[int] = set()
        self.kept_rows = 0
        """Rows kept right now."""
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    def forget(self) -> None:
        """Drop all rows: they are to be made differently."""
        self._kept.clear()
        self.kept_rows = 0

    def fold(self, offset: int) -> None:
        """Show all of an event, or less again."""
        self.unfolded ^= {offset}
        self._drop(offset)

    def rows(self, line: RawLine, count: int = 0) -> list[Row]:
        """Return an event's rows; none for what shows only while nothing follows it.

        count: so many of its last rows are enough; 0 = all are wanted.
        """
        kept = self._made(line, count)
        return [] if kept.passing else kept.rows

    def last_rows(self, line: RawLine, count: int) -> list[Row]:
        """Return the last rows of the transcript's last event; `count` of them are enough."""
        return self._made(line, count).rows

    def _made(self, line: RawLine, count: int) -> _Kept:
        kept = self._kept.get(line.offset)
        if kept and (kept.whole or 0 < count <= len(kept.rows)) and (kept.mark is not Mark.OPEN or self._mark(line) is Mark.OPEN):
            self._kept.move_to_end(line.offset)
            return kept
        self._drop(line.offset)
        kept = self._kept[line.offset] = self._make(line, count)
        self.kept_rows += len(kept.rows)
        while self.kept_rows + len(self._kept) > KEPT_ROWS and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))
        return kept

    def _make(self, line: RawLine, count: int) -> _Kept:
        kind = line.kind
        if kind in SILENT:
            return _Kept([], whole=True, passing=False, mark=None)
        event, mark = parsed(line), self._mark(line)
        partly = count > 0 and len(line.data) > _FEW_BYTES
        look = Look(wrap=self.wrap, unfolded=line.offset in self.unfolded, mark=mark)
        made = last_rows(event, self.width, count, look) if partly else rows(event, self.width, look)
        return _Kept(made, whole=not partly, passing=_passes(event), mark=mark)

    def _mark(self, line: RawLine) -> Mark | None:
        return self.outcomes.mark(call, line.end) if (call := line.call) else None

    def _drop(self, offset: int) -> None:
        if kept := self._kept.pop(offset, None):
            self.kept_rows -= len(kept.rows)


def _passes(event: Event) -> bool:
    if isinstance(event, events.StepStarted):
        return event.step not in _LASTING_STEPS
    return event.kind in FLEETING


def parsed(line: RawLine) -> Event:
    """Return a line's event; a notice in its place when it cannot be read."""
    try:
        return from_line(line.data)
    except ValidationError:
        return Notice(level="error", text=f"a line of this transcript cannot be read: {len(line.data)} bytes at {line.offset}")
