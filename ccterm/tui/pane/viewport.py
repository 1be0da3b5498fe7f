"""The visible part of a transcript: which rows are on the screen, whether they follow the end, the search, and the chosen event.

Knows files and rows but no widget: everything that a pane does can be done, and tested, here.
"""

import re

from ccterm.events import Event, ToolReturned
from ccterm.tui.code import Lexers
from ccterm.tui.pane.lines import FOLDED, foldable
from ccterm.tui.pane.query import ERROR, Hit, NewLines, Query, QueryScan, Search
from ccterm.tui.pane.rendering import Rendering, parsed
from ccterm.tui.pane.source import ByteStore, LineSource
from ccterm.tui.pane.window import PlacedRow, Position, Window

_ERRORS = Query(ERROR)
_SCAN_SECONDS = 0.004


class Viewport:
    """One view of one transcript."""

    def __init__(self, store: ByteStore, lexers: Lexers) -> None:
        self.source = LineSource(store)
        self.rendering = Rendering(self.source, lexers)
        self.window = Window(self.source, self.rendering)
        self.height = 0
        self.top: Position | None = None
        """The first row on the screen; None = the end is followed."""
        self.cursor: int | None = None
        """Offset of the chosen event."""
        self.search: Search | None = None
        """The search under way."""
        self._new_lines = NewLines(self.source)
        self._epoch = 0

    @property
    def following(self) -> bool:
        """Whether the last rows are shown, as they come."""
        return self.top is None

    @property
    def new_lines(self) -> int:
        """Lines that were added since the end is not followed, MANY at most."""
        return 0 if self.following else self._new_lines.count

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """The words that are searched for."""
        return self.search.scan.query.pattern if self.search and self.search.scan.query.text else None

    @property
    def hit(self) -> Hit | None:
        """The match that the search has gone to."""
        return self.search.hit if self.search else None

    def poll(self) -> bool:
        """Return whether the screen may have to change. Cheap, and never fails."""
        return self.source.poll() or self.rendering.outcomes.behind or self.rendering.outdated or bool(self._unfinished())

    def advance(self) -> None:
        """Continue the search and the count of new lines, for a few milliseconds."""
        if self.source.epoch != self._epoch:
            self._restart()
        if self.rendering.outdated:
            self.rendering.forget()
        for scan in self._unfinished():
            scan.advance(_SCAN_SECONDS)
        if self.top:
            self._new_lines.advance(self.window.only)

    def _unfinished(self) -> list[QueryScan]:
        return [scan for scan in (self.window.only, self.search and self.search.scan) if scan and not scan.done]

    def rows(self) -> list[PlacedRow]:
        """Return the rows that are on the screen now; fewer than its height when there are no more."""
        self.rendering.outcomes.begin_frame()
        if self.top and (found := self.window.at(self.top, self.height)):
            return found
        self.follow()
        return self.window.tail(self.height)

    def resize(self, width: int, height: int) -> None:
        """Show rows of another size; the line at the top stays where it is."""
        self.height = height
        if width != self.rendering.width:
            self._rewrap(width=width, wrap=self.rendering.wrap)

    def set_wrap(self, wrap: bool) -> None:
        """Wrap long lines, or cut them; the line at the top stays where it is."""
        self._rewrap(width=self.rendering.width, wrap=wrap)

    def set_markdown(self, shown: bool) -> None:
        """Show what the agent says as Markdown, or as it was written; the line at the top stays where it is."""
        line = self.window.line_at(self.top) if self.top else 0
        self.rendering.markdown = shown
        self.rendering.forget()
        if self.top:
            self.top = self.window.row_of(self.top.offset, line)

    def _rewrap(self, *, width: int, wrap: bool) -> None:
        line = self.window.line_at(self.top) if self.top else 0
        self.rendering.width, self.rendering.wrap = width, wrap
        self.rendering.forget()
        if self.top:
            self.top = self.window.row_of(self.top.offset, line)

    def scroll(self, by: int) -> None:
        """Scroll so many rows towards the end, or towards the start; past the end it is followed."""
        if self.top:
            self._show(self.window.moved(self.top, by))
        elif by < 0:
            self._show(self.window.from_end(self.height - by))

    def scroll_to_start(self) -> None:
        """Show the first rows."""
        self._show(Position(0))

    def scroll_to_fraction(self, fraction: float) -> None:
        """Scroll to a fraction of the transcript, in bytes: 0 is its start, 1 its end."""
        offset = self.source.begin_of_line(int(self.source.end * min(max(fraction, 0.0), 1.0)))
        self._show(Position(offset))

    def follow(self) -> None:
        """Show the last rows, and follow the end."""
        self.top = None

    def filter(self, query: Query) -> None:
        """Show only what matches a query; an empty one shows everything again."""
        self.window.only = QueryScan(self.source, query) if query else None
        self.follow()

    def start_search(self, query: Query) -> None:
        """Search for a query; an empty one ends the search."""
        self.search = Search(self.source, query) if query else None

    def find(self, *, forward: bool) -> None:
        """Go to the next or the previous match."""
        if self.search is None:
            return
        shown = self.rows()
        if hit := self.search.go(shown[-1].offset if shown else 0, forward=forward):
            self._show_line(hit.offset, hit.line)

    def find_error(self) -> bool:
        """Go to the last error before the chosen event, and from the first one to the last again. Returns whether there is one."""
        ends = (self.source.end,) if self.cursor is None else (self.cursor, self.source.end)
        offset = next((line.offset for end in ends for line in self.source.before(end) if _ERRORS.matches(line)), None)
        if offset is None:
            return False
        self._show_line(offset, 0)
        return True

    def count(self) -> str:
        """Return in words how many lines the search or the filter has found."""
        scan = self.search.scan if self.search else self.window.only
        if scan is None:
            return ""
        more = "" if scan.done else "…"
        number = self.search.number() if self.search else 0
        return f"{number:,} of {scan.count:,}{more}" if number else f"{scan.count:,}{more} found" if scan.count or more else "none"

    def current_event(self) -> Event | None:
        """Return the chosen event, else the last one on the screen."""
        shown = self.rows()
        offset = self.cursor if self.cursor is not None else shown[-1].offset if shown else None
        return self.event(offset) if offset is not None else None

    def move_cursor(self, *, forward: bool) -> bool:
        """Choose the next or the previous event; at first the last one on the screen. Returns whether there is one."""
        if self.cursor is None:
            shown = self.rows()
            self.cursor = shown[-1].offset if shown else None
            return self.cursor is not None
        step = self.window.event_after if forward else self.window.event_before
        if (offset := step(self.cursor)) is None:
            return False
        self.cursor = offset
        self._bring_into_view(offset)
        return True

    def event(self, offset: int) -> Event | None:
        """Return the event at an offset."""
        line = self.source.line(offset)
        return parsed(line) if line else None

    def can_fold(self) -> bool:
        """Whether the chosen event can be unfolded."""
        event = self.event(self.cursor) if self.cursor is not None else None
        return event is not None and foldable(event)

    def fold(self) -> None:
        """Unfold the chosen event, or fold it again; the row at the top stays there."""
        if self.cursor is None or not self.can_fold():
            return
        if self.top is None and (shown := self.rows()):  # following the end would push the event's first rows off the screen
            self.top = self.window.row_of(shown[0].offset, shown[0].row.line)
            self._new_lines.restart()
        self.rendering.fold(self.cursor)
        if self.top:
            self.top = Position(self.top.offset, 0 if self.top.offset == self.cursor else self.top.row)

    def _restart(self) -> None:
        """Forget everything: the transcript is another one."""
        self._epoch = self.source.epoch
        self.rendering.forget()
        self.rendering.unfolded.clear()
        self.rendering.outcomes.forget()
        self.cursor = None
        if self.window.only:
            self.window.only.restart()
        if self.search:
            self.search.restart()
        self.follow()

    def _show(self, position: Position | None) -> None:
        if self.top is None and position:
            self._new_lines.restart()
        if position and self.window.at(position, self.height):
            self.top = position
        else:
            self.follow()

    def _show_line(self, offset: int, line: int) -> None:
        """Show a line of an event a third from the top, unfolded if it would be hidden, and choose the event."""
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
