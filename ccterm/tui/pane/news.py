"""Counts the lines that came while one looked at earlier ones."""

from ccterm.tui.pane.lines import lines
from ccterm.tui.pane.query import Scan
from ccterm.tui.pane.rendering import FLEETING, SILENT, parsed
from ccterm.tui.pane.source import Source

MANY = 9_999
"""Lines are counted up to here."""
_A_LOOK = 256 * 1024


class News:
    """New lines of a source, since `begin`."""

    def __init__(self, source: Source) -> None:
        self.count = 0
        """How many lines came, MANY at most."""
        self._source = source
        self._begin = 0
        self._read = 0

    def begin(self) -> None:
        """Count from here on."""
        self.count, self._begin, self._read = 0, self._source.end, self._source.end

    def advance(self, only: Scan | None) -> None:
        """Count on, within bounds. only: what is shown alone, where not everything is."""
        if only:
            self.count = min(MANY, only.count - only.count_before(self._begin))
            return
        until = self._read + _A_LOOK
        for line in self._source.after(self._read):
            if self.count >= MANY or line.offset > until:
                break
            self._read = line.end
            if line.kind not in SILENT | FLEETING:
                self.count = min(MANY, self.count + len(lines(parsed(line))))
