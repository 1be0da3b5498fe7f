"""A transcript as one looks at it: which rows stand on the screen, whether they follow the end, what is looked for and where one is.

Knows files and rows, but no widget: everything that a pane does can be done, and tested, here.
"""

import re

from ccterm.events import Event, ToolReturned
from ccterm.tui.pane.finding import Finding, Hit
from ccterm.tui.pane.lines import FOLDED, foldable, lines
from ccterm.tui.pane.query import ERROR, Query, Scan
from ccterm.tui.pane.rendering import FLEETING, SILENT, Rendering, parsed
from ccterm.tui.pane.source import ByteStore, Source
from ccterm.tui.pane.window import Placed, Position, Window

_ERRORS = Query(ERROR)
_SCAN_SECONDS = 0.004


class Viewport:
    """One view of one transcript."""

    def __init__(self, store: ByteStore) -> None:
        self.source = Source(store)
        self.rendering = Rendering(self.source)
        self.window = Window(self.source, self.rendering)
        self.height = 0
        self.top: Position | None = None
        """The first row on the screen; None = the end is followed."""
        self.cursor: int | None = None
        """Offset of the event that was chosen."""
        self.finding: Finding | None = None
        """What is looked for."""
        self._news = News(self.source)
        self._epoch = 0

    @property
    def following(self) -> bool:
        """Whether the last rows are shown, whatever comes."""
        return self.top is None

    @property
    def new_lines(self) -> int:
        """Lines that came since the end is not followed, MANY at most."""
        return 0 if self.following else self._news.count

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """The words that are looked for."""
        return self.finding.scan.query.pattern if self.finding and self.finding.scan.query.text else None

    @property
    def hit(self) -> Hit | None:
        """The line that the search has gone to."""
        return self.finding.hit if self.finding else None

    def look(self) -> bool:
        """Return whether the screen may have to change. Cheap, and never fails."""
        return self.source.poll() or self.rendering.outcomes.behind or bool(self._unfinished())

    def advance(self) -> None:
        """Go on with what is looked for and counted, for some milliseconds."""
        if self.source.epoch != self._epoch:
            self._begin_anew()
        for scan in self._unfinished():
            scan.advance(_SCAN_SECONDS)
        if self.top:
            self._news.advance(self.window.only)

    def _unfinished(self) -> list[Scan]:
        return [scan for scan in (self.window.only, self.finding and self.finding.scan) if scan and not scan.done]

    def rows(self) -> list[Placed]:
        """Return the rows that stand on the screen now; fewer than its height when there are no more."""
        self.rendering.outcomes.begin_frame()
        if self.top and (found := self.window.at(self.top, self.height)):
            return found
        self.follow()
        return self.window.tail(self.height)

    def resize(self, width: int, height: int) -> None:
        """Show rows of another size; the line at the top stays where it is."""
        self.height = height
        if width != self.rendering.width:
            self._make_anew(width=width, wrap=self.rendering.wrap)

    def set_wrap(self, wrap: bool) -> None:
        """Wrap what is too long, or cut it; the line at the top stays where it is."""
        self._make_anew(width=self.rendering.width, wrap=wrap)

    def _make_anew(self, *, width: int, wrap: bool) -> None:
        line = self.window.line_at(self.top) if self.top else 0
        self.rendering.width, self.rendering.wrap = width, wrap
        self.rendering.forget()
        if self.top:
            self.top = self.window.row_of(self.top.offset, line)

    def scroll(self, by: int) -> None:
        """Move so many rows towards the end, or towards the begin; behind the end the end is followed."""
        if self.top:
            self._show(self.window.moved(self.top, by))
        elif by < 0:
            self._show(self.window.from_end(self.height - by))

    def go_home(self) -> None:
        """Show the begin."""
        self._show(Position(0))

    def show_share(self, share: float) -> None:
        """Show the place so far down the transcript, in bytes: 0 its begin, 1 its end."""
        offset = self.source.begin_of_line(int(self.source.end * min(max(share, 0.0), 1.0)))
        self._show(Position(offset))

    def follow(self) -> None:
        """Show the end, and keep to it."""
        self.top = None

    def filter(self, query: Query) -> None:
        """Show only what a query means; an empty one shows everything again."""
        self.window.only = Scan(self.source, query) if query else None
        self.follow()

    def look_for(self, query: Query) -> None:
        """Look for a query; an empty one ends the search."""
        self.finding = Finding(self.source, query) if query else None

    def find(self, *, forward: bool) -> None:
        """Go to the next line that is looked for, or to the one before."""
        if self.finding and (hit := self.finding.go(self.rows(), forward=forward)):
            self._show_line(hit.offset, hit.line)

    def find_error(self) -> bool:
        """Go to the last error in front of the chosen event; from the first on to the last again. Returns whether there is one."""
        ends = (self.source.end,) if self.cursor is None else (self.cursor, self.source.end)
        offset = next((line.offset for end in ends for line in self.source.before(end) if _ERRORS.matches(line)), None)
        if offset is None:
            return False
        self._show_line(offset, 0)
        return True

    def count(self) -> str:
        """Return in words how much was found of what is looked for, or shown alone."""
        scan = self.finding.scan if self.finding else self.window.only
        if scan is None:
            return ""
        more = "" if scan.done else "…"
        number = self.finding.number() if self.finding else 0
        return f"{number:,} of {scan.count:,}{more}" if number else f"{scan.count:,}{more} found" if scan.count or more else "none"

    def event_at_hand(self) -> Event | None:
        """Return the chosen event, else the last one on the screen."""
        shown = self.rows()
        offset = self.cursor if self.cursor is not None else shown[-1].offset if shown else None
        return self.event(offset) if offset is not None else None

    def move_cursor(self, *, forward: bool) -> None:
        """Choose the next event, or the one before; at first the last one on the screen."""
        if self.cursor is None:
            shown = self.rows()
            self.cursor = shown[-1].offset if shown else None
            return
        step = self.window.event_after if forward else self.window.event_before
        if (offset := step(self.cursor)) is not None:
            self.cursor = offset
            self._bring_into_view(offset)

    def event(self, offset: int) -> Event | None:
        """Return the event at an offset."""
        line = self.source.line(offset)
        return parsed(line) if line else None

    def can_fold(self) -> bool:
        """Whether there is more to the chosen event than is shown at first."""
        event = self.event(self.cursor) if self.cursor is not None else None
        return event is not None and foldable(event)

    def fold(self) -> None:
        """Show all of the chosen event, or less again; what was at the top stays there."""
        if self.cursor is None or not self.can_fold():
            return
        if self.top is None and (shown := self.rows()):  # the end would push the answer's begin off the screen
            self.top = self.window.row_of(shown[0].offset, shown[0].row.line)
            self._news.begin()
        self.rendering.fold(self.cursor)
        if self.top:
            self.top = Position(self.top.offset, 0 if self.top.offset == self.cursor else self.top.row)

    def _begin_anew(self) -> None:
        self._epoch = self.source.epoch
        self.rendering.forget()
        self.rendering.unfolded.clear()
        self.rendering.outcomes.forget()
        self.cursor = None
        if self.window.only:
            self.window.only.restart()
        if self.finding:
            self.finding.restart()
        self.follow()

    def _show(self, position: Position | None) -> None:
        if self.top is None and position:
            self._news.begin()
        if position and self.window.at(position, self.height):
            self.top = position
        else:
            self.follow()

    def _show_line(self, offset: int, line: int) -> None:
        """Show a line of an event a third from the top, unfolded where it would be hidden, with the cursor on it."""
        event = self.event(offset)
        if event and foldable(event) and line >= (FOLDED if isinstance(event, ToolReturned) else 1):
            self._unfold(offset)
        self.cursor = offset
        self._show(self.window.moved(self.window.row_of(offset, line), -(self.height // 3)))

    def _unfold(self, offset: int) -> None:
        if offset not in self.rendering.unfolded:
            self.rendering.fold(offset)

    def _bring_into_view(self, offset: int) -> None:
        if any(placed.offset == offset for placed in self.rows()):
            return
        at = Position(offset)
        above = self.top is None or at < self.top
        self._show(at if above else self.window.moved(at, -(self.height // 2)))


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
