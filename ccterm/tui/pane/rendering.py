"""Events of a source as rows, kept for a while: the one place where a pane parses and wraps."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from ccterm import events
from ccterm.events import Event, Notice, from_line
from ccterm.tui.pane.outcomes import Outcomes
from ccterm.tui.pane.rows import Look, Row, first_rows, last_rows, rows
from ccterm.tui.pane.source import RawLine, Source
from ccterm.tui.pane.spans import Mark

KEPT_ROWS = 2_048
"""Rows and events that one pane keeps, besides the event that is asked for."""
_FEW_BYTES = 4 * 1024
"""An event this small is made into rows whole, even where only a part of it is asked for."""
SILENT = frozenset({"started", "spent"})
"""Kinds that never have rows; not worth parsing."""
FLEETING = frozenset({"typing", "thought"})
"""Kinds that show only while nothing follows them."""
_LASTING_STEPS = ("setup", "agent", "verify")
"""Steps that print: their begin stays, so that one sees what the lines belong to."""


class Part(NamedTuple):
    """How much of an event is wanted: so many of its last rows, or of its first; none said = all."""

    rows: int = 0
    first: bool = False


ALL = Part()


@dataclass(frozen=True)
class _Kept:
    """The rows of one event."""

    rows: list[Row]
    part: Part
    """What was asked for when they were made."""
    passing: bool
    """Nothing of it is left once another has followed it."""
    mark: Mark | None
    """How the tool call stood."""

    def holds(self, wanted: Part) -> bool:
        """Whether what is wanted now is among them."""
        return self.part == ALL or (self.part.first == wanted.first and 0 < wanted.rows <= len(self.rows))


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

    def rows(self, line: RawLine, part: Part = ALL) -> list[Row]:
        """Return an event's rows, `part` of them or more; none for what shows only while nothing follows it."""
        kept = self._made(line, part)
        return [] if kept.passing else kept.rows

    def last_rows(self, line: RawLine, count: int) -> list[Row]:
        """Return the last rows of the transcript's last event; `count` of them are enough."""
        return self._made(line, Part(count)).rows

    def _made(self, line: RawLine, part: Part) -> _Kept:
        kept = self._kept.get(line.offset)
        if kept and kept.holds(part) and (kept.mark is not Mark.OPEN or self._mark(line) is Mark.OPEN):
            self._kept.move_to_end(line.offset)
            return kept
        self._drop(line.offset)
        kept = self._kept[line.offset] = self._make(line, part if len(line.data) > _FEW_BYTES else ALL)
        self.kept_rows += len(kept.rows)
        while self.kept_rows + len(self._kept) > KEPT_ROWS and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))
        return kept

    def _make(self, line: RawLine, part: Part) -> _Kept:
        if line.kind in SILENT:
            return _Kept([], part=ALL, passing=False, mark=None)
        event, mark = parsed(line), self._mark(line)
        look = Look(wrap=self.wrap, unfolded=line.offset in self.unfolded, mark=mark)
        return _Kept(_some_rows(event, self.width, part, look), part=part, passing=_passes(event), mark=mark)

    def _mark(self, line: RawLine) -> Mark | None:
        return self.outcomes.mark(call, line.end) if (call := line.call) else None

    def _drop(self, offset: int) -> None:
        if kept := self._kept.pop(offset, None):
            self.kept_rows -= len(kept.rows)


def _some_rows(event: Event, width: int, part: Part, look: Look) -> list[Row]:
    if part == ALL:
        return rows(event, width, look)
    return first_rows(event, width, part.rows, look) if part.first else last_rows(event, width, part.rows, look)


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
