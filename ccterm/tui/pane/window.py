"""Which rows are on the screen. A position is the byte offset of an event and a row inside it, so no lines need to be counted."""

from collections.abc import Iterator
from typing import NamedTuple

from ccterm.tui.pane.query import QueryScan
from ccterm.tui.pane.rendering import Rendering, RowLimit
from ccterm.tui.pane.rows import PaneRow
from ccterm.tui.pane.source import LineSource, RawLine


class Position(NamedTuple):
    """A row of a transcript."""

    offset: int
    """Where its event begins."""
    row: int = 0
    """Which of the event's rows; a number too high means the last."""


class PlacedRow(NamedTuple):
    """A row and the offset of its event."""

    offset: int
    row: PaneRow


class Window:
    """Reads rows from the end backwards, or from a position on."""

    def __init__(self, source: LineSource, rendering: Rendering) -> None:
        self._source = source
        self._rendering = rendering
        self.only: QueryScan | None = None
        """The filter: only what it found is shown; None = everything."""

    def tail(self, height: int) -> list[PlacedRow]:
        """Return the last rows, including those of a transient event at the end."""
        found: list[PlacedRow] = []
        last = self.only is None
        for line in self._before(self._source.end):
            if len(found) >= height:
                break
            rows = self._rendering.last_rows(line, height) if last else self._rendering.rows(line, RowLimit(height - len(found)))
            last = last and not rows
            found += [PlacedRow(line.offset, row) for row in reversed(rows)]
        return found[:height][::-1]

    def at(self, position: Position, height: int) -> list[PlacedRow] | None:
        """Return the rows from a position on; None when there are fewer than `height`: the tail is to be shown."""
        found: list[PlacedRow] = []
        for line in self._after(position.offset):
            begin, room = position.row if line.offset == position.offset else 0, height - len(found)
            rows = self._rendering.rows(line, RowLimit(begin + room, first=True))
            begin = min(begin, max(len(rows) - 1, 0))
            found += [PlacedRow(line.offset, row) for row in rows[begin : begin + room]]
            if len(found) >= height:
                return found
        return None

    def moved(self, position: Position, by: int) -> Position | None:
        """Return the position so many rows later, or earlier if `by` is negative; None when it is past the end."""
        return self._later(position, by) if by >= 0 else self._earlier(position, -by)

    def from_end(self, rows: int) -> Position:
        """Return the position so many rows before the end."""
        return self._earlier(Position(self._source.end), rows)

    def line_at(self, position: Position) -> int:
        """Return the line of its event that a position is in, which stays the same at another width."""
        line = self._source.line(position.offset)
        rows = self._rendering.rows(line, RowLimit(position.row + 1, first=True)) if line else []
        return rows[min(position.row, len(rows) - 1)].line if rows else 0

    def row_of(self, offset: int, number: int) -> Position:
        """Return the position of a line of an event."""
        if number == 0:
            return Position(offset)
        line = self._source.line(offset)
        rows = self._rendering.rows(line) if line else []
        return Position(offset, next((index for index, row in enumerate(rows) if row.line >= number), max(len(rows) - 1, 0)))

    def event_after(self, offset: int) -> int | None:
        """Return the offset of the next event that has rows."""
        found = (line.offset for line in self._after(offset) if line.offset > offset and self._rendering.rows(line))
        return next(found, None)

    def event_before(self, offset: int) -> int | None:
        """Return the offset of the previous event that has rows."""
        return next((line.offset for line in self._before(offset) if self._rendering.rows(line)), None)

    def _later(self, position: Position, by: int) -> Position | None:
        for line, begin, rows in self._rows_from(position):
            if by < len(rows) - begin:
                return Position(line.offset, begin + by)
            by -= len(rows) - begin
        return None

    def _earlier(self, position: Position, by: int) -> Position:
        inside = next(((line.offset, begin) for line, begin, _ in self._rows_from(position)), (position.offset, 0))
        if inside[0] == position.offset:
            if by <= inside[1]:
                return Position(position.offset, inside[1] - by)
            by -= inside[1]
        first = Position(0)
        for line in self._before(position.offset):
            if rows := self._rendering.rows(line):
                if by <= len(rows):
                    return Position(line.offset, len(rows) - by)
                by -= len(rows)
                first = Position(line.offset)
        return first

    def _rows_from(self, position: Position) -> Iterator[tuple[RawLine, int, list[PaneRow]]]:
        """Yield events that have rows, each with the row to start from."""
        for line in self._after(position.offset):
            if rows := self._rendering.rows(line):
                here = line.offset == position.offset
                yield line, min(position.row, len(rows) - 1) if here else 0, rows

    def _before(self, offset: int) -> Iterator[RawLine]:
        return self._source.before(offset) if self.only is None else self._chosen(self.only.before(offset))

    def _after(self, offset: int) -> Iterator[RawLine]:
        return self._source.after(offset) if self.only is None else self._chosen(self.only.after(offset))

    def _chosen(self, offsets: Iterator[int]) -> Iterator[RawLine]:
        for offset in offsets:
            if line := self._source.line(offset):
                yield line
