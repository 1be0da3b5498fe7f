"""Search in a transcript: what is looked for, and which of the lines that hold it one has gone to."""

from collections.abc import Sequence
from typing import NamedTuple

from ccterm.tui.pane.query import Query, Scan
from ccterm.tui.pane.rendering import parsed
from ccterm.tui.pane.source import Source
from ccterm.tui.pane.window import Placed


class Hit(NamedTuple):
    """One line that was looked for."""

    offset: int
    """Where its event begins."""
    line: int
    """Its number in the event's text."""


class Finding:
    """A search under way. It begins at the end and goes on while the transcript grows."""

    def __init__(self, source: Source, query: Query) -> None:
        self.scan = Scan(source, query)
        self.hit: Hit | None = None
        self._source = source

    def go(self, shown: Sequence[Placed], *, forward: bool) -> Hit | None:
        """Go to the next line, or to the one before; the first time, to the last one that is not below what is shown."""
        self.hit = self._beside(self.hit, forward=forward) if self.hit else self._nearest(shown[-1].offset if shown else 0)
        return self.hit

    def restart(self) -> None:
        """Begin anew: the transcript is another one."""
        self.hit = None
        self.scan.restart()

    def number(self) -> int:
        """Return which of all lines was gone to, from 1; 0 when none was."""
        if self.hit is None:
            return 0
        inside = sum(line <= self.hit.line for line in self._lines(self.hit.offset))
        return self.scan.count_before(self.hit.offset) + inside

    def _nearest(self, last: int) -> Hit | None:
        if (offset := next(self.scan.before(last + 1), None)) is not None:
            return self._hit(offset, -1)
        offset = next(self.scan.after(last + 1), None)
        return self._hit(offset, 0) if offset is not None else None

    def _beside(self, hit: Hit, *, forward: bool) -> Hit:
        inside = [line for line in self._lines(hit.offset) if (line > hit.line if forward else line < hit.line)]
        if inside:
            return Hit(hit.offset, inside[0 if forward else -1])
        offset = next(self.scan.after(hit.offset + 1) if forward else self.scan.before(hit.offset), None)
        return hit if offset is None else self._hit(offset, 0 if forward else -1)

    def _hit(self, offset: int, which: int) -> Hit:
        found = self._lines(offset)
        return Hit(offset, found[which] if found else 0)

    def _lines(self, offset: int) -> list[int]:
        line = self._source.line(offset)
        return self.scan.query.matching_lines(parsed(line)) if line else []
