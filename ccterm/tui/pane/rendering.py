"""Events of a source as rows, kept for a while: the only part of a pane that parses and wraps."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from ccterm import events
from ccterm.events import Event, Notice, from_line
from ccterm.tui.code import Lexers
from ccterm.tui.pane.lines import repeats
from ccterm.tui.pane.outcomes import Outcome, Outcomes
from ccterm.tui.pane.rows import PaneRow, RowOptions, first_rows, last_rows, rows
from ccterm.tui.pane.source import LineSource, RawLine
from ccterm.tui.pane.spans import CallStatus

KEPT_ROWS = 2_048
"""Rows and events that one pane keeps, besides the event that is asked for."""
_SMALL_EVENT = 4 * 1024
"""An event of at most so many bytes is made into rows as a whole, even if only a part of it is asked for."""
SILENT = frozenset({"started", "spent"})
"""Kinds that never have rows; they are not parsed."""
TRANSIENT = frozenset({"typing", "thought"})
"""Kinds that are shown only while nothing follows them."""
_TELLING = frozenset({"said", "notice", "verdict", "step_finished"})
_A_LITTLE_ABOVE = 16 * 1024
"""Bytes of a transcript above its end in which is looked for what the end would say again."""
_LASTING_STEPS = ("setup", "agent", "verify")
"""Steps that print: their start stays visible, to show what the output belongs to."""


class RowLimit(NamedTuple):
    """How much of an event is wanted: so many of its last rows, or of its first; 0 = all."""

    rows: int = 0
    first: bool = False


ALL = RowLimit()
_FINAL = (None, CallStatus.GOOD, CallStatus.BAD)
"""Outcomes that do not change."""


@dataclass(frozen=True)
class _Kept:
    """The rows of one event."""

    rows: list[PaneRow]
    limit: RowLimit
    """What was asked for when they were made."""
    transient: bool
    """Whether they are hidden once another event has followed."""
    outcome: Outcome | None
    """What was known of what became of it when they were made."""

    def holds(self, wanted: RowLimit) -> bool:
        """Whether what is wanted now is among them."""
        return self.limit == ALL or (self.limit.first == wanted.first and 0 < wanted.rows <= len(self.rows))


class Rendering:
    """Turns lines of a source into rows of one width. Remembers by offset what was unfolded."""

    def __init__(self, source: LineSource, lexers: Lexers) -> None:
        self.outcomes = Outcomes(source)
        self._source = source
        self.width = 0
        self.wrap = True
        self.markdown = True
        """Whether what the agent says is shown as Markdown."""
        self.unfolded: set[int] = set()
        self.kept_rows = 0
        """Rows that are kept now."""
        self._lexers = lexers
        self._coloured_with = lexers.version
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    @property
    def outdated(self) -> bool:
        """Whether code could have colours now that it was made without."""
        return self._coloured_with != self._lexers.version

    def forget(self) -> None:
        """Drop all rows: they are to be made differently."""
        self._kept.clear()
        self.kept_rows = 0
        self._coloured_with = self._lexers.version

    def fold(self, offset: int) -> None:
        """Unfold an event, or fold it again."""
        self.unfolded ^= {offset}
        self._drop(offset)

    def rows(self, line: RawLine, limit: RowLimit = ALL) -> list[PaneRow]:
        """Return an event's rows, up to `limit` or more; none for what is shown only while nothing follows it."""
        kept = self._rows_of(line, limit)
        return [] if kept.transient else kept.rows

    def last_rows(self, line: RawLine, count: int) -> list[PaneRow]:
        """Return the last rows of the transcript's last event; `count` of them are enough."""
        return self._rows_of(line, RowLimit(count)).rows

    def _rows_of(self, line: RawLine, limit: RowLimit) -> _Kept:
        kept = self._kept.get(line.offset)
        if kept and kept.holds(limit) and (kept.outcome in _FINAL or kept.outcome == self.outcomes.of(line)):
            self._kept.move_to_end(line.offset)
            return kept
        self._drop(line.offset)
        kept = self._kept[line.offset] = self._make(line, limit if len(line.data) > _SMALL_EVENT else ALL)
        self.kept_rows += len(kept.rows)
        while self.kept_rows + len(self._kept) > KEPT_ROWS and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))
        return kept

    def _make(self, line: RawLine, limit: RowLimit) -> _Kept:
        if line.kind in SILENT:
            return _Kept([], limit=ALL, transient=False, outcome=None)
        event, outcome = parsed(line), self.outcomes.of(line)
        colour = self._lexers.coloured if self.markdown else None
        told = isinstance(event, events.Finished) and self._was_told(event, line.offset)
        options = RowOptions(unfolded=line.offset in self.unfolded, outcome=outcome, colour=colour, wrap=self.wrap, told=told)
        return _Kept(_some_rows(event, self.width, limit, options), limit=limit, transient=_is_transient(event), outcome=outcome)

    def _was_told(self, end: events.Finished, offset: int) -> bool:
        """Whether what the end of a run says stands a little above it already."""
        for line in self._source.before(offset):
            if offset - line.offset > _A_LITTLE_ABOVE:
                return False
            if line.kind in _TELLING and repeats(end, parsed(line)):
                return True
        return False

    def _drop(self, offset: int) -> None:
        if kept := self._kept.pop(offset, None):
            self.kept_rows -= len(kept.rows)


def _some_rows(event: Event, width: int, limit: RowLimit, options: RowOptions) -> list[PaneRow]:
    if limit == ALL:
        return rows(event, width, options)
    return first_rows(event, width, limit.rows, options) if limit.first else last_rows(event, width, limit.rows, options)


def _is_transient(event: Event) -> bool:
    if isinstance(event, events.StepStarted):
        return event.step not in _LASTING_STEPS
    return event.kind in TRANSIENT


def parsed(line: RawLine) -> Event:
    """Return a line's event; an error notice in its place when it cannot be read."""
    try:
        return from_line(line.data)
    except ValidationError:
        return Notice(level="error", text=f"a line of this transcript cannot be read: {len(line.data)} bytes at {line.offset}")
