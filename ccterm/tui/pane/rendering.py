"""Events of a source as rows, kept for a while: the one place where a pane parses and wraps."""

from collections import OrderedDict

from pydantic import ValidationError

from ccterm import events
from ccterm.events import Event, Notice, from_line
from ccterm.tui.pane.outcomes import Outcomes
from ccterm.tui.pane.rows import Look, Row, last_rows, rows
from ccterm.tui.pane.source import RawLine, Source

KEPT_ROWS = 512
"""Rows and events that one pane keeps, besides the event that is asked for."""
_FEW_BYTES = 4 * 1024
"""An event this small is made into rows whole, even where only its end is asked for."""
SILENT = frozenset({"started", "spent"})
"""Kinds that never have rows; not worth parsing."""
FLEETING = frozenset({"typing", "thought"})
"""Kinds that show only while nothing follows them."""
_LASTING_STEPS = ("setup", "agent", "verify")
"""Steps that print: their begin stays, so that one sees what the lines belong to."""


class Rendering:
    """Turns lines of a source into rows, for one width. What was unfolded is remembered by offset."""

    def __init__(self, source: Source) -> None:
        self.outcomes = Outcomes(source)
        self.width = 0
        self.wrap = True
        self.unfolded: set[int] = set()
        self._kept: OrderedDict[tuple[int, Look, bool], list[Row]] = OrderedDict()
        self.kept_rows = 0
        """Rows kept right now."""

    def forget(self) -> None:
        """Drop all rows: they are to be made differently."""
        self._kept.clear()
        self.kept_rows = 0

    def rows(self, line: RawLine) -> list[Row]:
        """Return an event's rows; none for what shows only while nothing follows it."""
        return [] if _passing(line) else self._rows(line)

    def fleeting_rows(self, line: RawLine, count: int) -> list[Row]:
        """Return the last rows of the transcript's last event; `count` of them are enough."""
        return [] if line.kind in SILENT else self._rows(line, count)

    def last_rows(self, line: RawLine, count: int) -> list[Row]:
        """Return an event's last rows; `count` of them are enough."""
        return [] if _passing(line) else self._rows(line, count)

    def _rows(self, line: RawLine, count: int = 0) -> list[Row]:
        partly = count > 0 and len(line.data) > _FEW_BYTES
        mark = self.outcomes.mark(call, line.end) if (call := line.call) else None
        look = Look(wrap=self.wrap, unfolded=line.offset in self.unfolded, mark=mark)
        key = (line.offset, look, partly)
        found = self._kept.pop(key, None)
        if found is None or (partly and len(found) < count):
            event = parsed(line)
            self.kept_rows -= len(found or ())
            found = last_rows(event, self.width, count, look) if partly else rows(event, self.width, look)
            self.kept_rows += len(found)
        self._kept[key] = found
        self._make_room()
        return found

    def _make_room(self) -> None:
        while self.kept_rows + len(self._kept) > KEPT_ROWS and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self.kept_rows -= len(dropped)


def _passing(line: RawLine) -> bool:
    """Whether nothing of an event is left once another has followed it."""
    kind = line.kind
    if kind == "step_started":
        event = parsed(line)
        return isinstance(event, events.StepStarted) and event.step not in _LASTING_STEPS
    return kind in SILENT or kind in FLEETING


def parsed(line: RawLine) -> Event:
    """Return a line's event; a notice in its place when it cannot be read."""
    try:
        return from_line(line.data)
    except ValidationError:
        return Notice(level="error", text=f"a line of this transcript cannot be read: {len(line.data)} bytes at {line.offset}")
