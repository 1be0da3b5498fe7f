"""A transcript as one looks at it: which rows stand on the screen, whether they follow the end, what is looked for and where one is.

Knows files and rows, but no widget: everything that a pane does can be done, and tested, here.
"""

from ccterm.events import Event, ToolReturned
from ccterm.tui.pane.lines import FOLDED, foldable, lines
from ccterm.tui.pane.query import ERROR, Query, Scan
from ccterm.tui.pane.rendering import FLEETING, Rendering, parsed
from ccterm.tui.pane.source import ByteStore, Source
from ccterm.tui.pane.window import Placed, Position, Window

MANY = 9_999
"""New lines are counted up to here."""
_ERRORS = Query(ERROR)
_NEWS_A_LOOK = 256 * 1024
_SCAN_SECONDS = 0.004


class Hit:
    """One line that was looked for: the offset of its event, and its number in the event's text."""

    def __init__(self, offset: int, line: int) -> None:
        self.offset = offset
        self.line = line


class Reel:
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
        self.new_lines = 0
        """Lines that came since the end is not followed, MANY at most."""
        self.search: Scan | None = None
        self.hit: Hit | None = None
        self._counted = 0
        self._epoch = 0

    @property
    def following(self) -> bool:
        """Whether the last rows are shown, whatever comes."""
        return self.top is None

    def poll(self) -> bool:
        """Look for news, and go on with what is looked for. Returns whether the screen may have changed."""
        changed = self.source.poll()
        if self.source.epoch != self._epoch:
            self._begin_anew()
        scans = [scan for scan in (self.window.only, self.search) if scan and not scan.done]
        found = [scan.advance(_SCAN_SECONDS) or scan.done for scan in scans]
        if self.top:
            self._count_news()
        return changed or any(found) or self.rendering.outcomes.behind

    def rows(self) -> list[Placed]:
        """Return the rows that stand on the screen now; fewer than its height when there are no more."""
        self.rendering.outcomes.begin_frame()
        if self.top and (found := self.window.at(self.top, self.height)):
            return found
        self.follow()
        return self.window.tail(self.height)

    def resize(self, width: int, height: int) -> None:
        """Show rows of another width; the line at the top stays where it is."""
        number = self.window.line_at(self.top) if self.top else 0
        if width != self.rendering.width:
            self.rendering.width = width
            self.rendering.forget()
        self.height = height
        if self.top:
            self.top = self.window.row_of(self.top.offset, number)

    def set_wrap(self, wrap: bool) -> None:
        """Wrap what is too long, or cut it."""
        number = self.window.line_at(self.top) if self.top else 0
        self.rendering.wrap = wrap
        self.rendering.forget()
        if self.top:
            self.top = self.window.row_of(self.top.offset, number)

    def scroll(self, by: int) -> None:
        """Move so many rows towards the end, or towards the begin; behind the end the end is followed."""
        if self.top:
            self._show(self.window.moved(self.top, by))
        elif by < 0:
            self._show(self.window.from_end(self.height - by))

    def go_home(self) -> None:
        """Show the begin."""
        self._show(Position(0))

    def follow(self) -> None:
        """Show the end, and keep to it."""
        self.top, self.new_lines = None, 0

    def filter(self, query: Query) -> None:
        """Show only what a query means; an empty one shows everything again."""
        self.window.only = Scan(self.source, query) if query else None
        self.follow()

    def look_for(self, query: Query) -> None:
        """Look for a query; an empty one ends the search."""
        self.search = Scan(self.source, query) if query else None
        self.hit = None

    def find(self, *, forward: bool) -> Hit | None:
        """Go to the next line that is looked for; the first time, to the last one that is not below the screen."""
        if self.search is None:
            return None
        self.hit = self._next_hit(self.search, self.hit, forward=forward)
        if self.hit:
            self._show_line(self.hit.offset, self.hit.line)
        return self.hit

    def find_error(self) -> bool:
        """Go to the last error in front of the chosen event; from the first on to the last again. Returns whether there is one."""
        ends = (self.source.end,) if self.cursor is None else (self.cursor, self.source.end)
        offset = next((line.offset for end in ends for line in self.source.before(end) if _ERRORS.matches(line)), None)
        if offset is None:
            return False
        self._show_line(offset, 0)
        return True

    def hit_number(self) -> int:
        """Return the number of the line that was gone to, from 1; 0 when there is none."""
        if not (self.search and self.hit):
            return 0
        found = self._matching(self.search, self.hit.offset)
        return self.search.count_before(self.hit.offset) + sum(line <= self.hit.line for line in found)

    def count(self) -> str:
        """Return in words how much was found of what is looked for, or shown alone."""
        scan = self.search or self.window.only
        if scan is None:
            return ""
        more = "" if scan.done else "…"
        number = self.hit_number()
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
        self.rendering.unfolded ^= {self.cursor}
        if self.top:
            self.top = Position(self.top.offset, 0 if self.top.offset == self.cursor else self.top.row)

    def _begin_anew(self) -> None:
        self._epoch = self.source.epoch
        self.rendering.forget()
        self.rendering.unfolded.clear()
        self.cursor, self.hit = None, None
        for scan in filter(None, (self.window.only, self.search)):
            scan.restart()
        self.follow()

    def _show(self, position: Position | None) -> None:
        if self.top is None and position:
            self.new_lines, self._counted = 0, self.source.end
        if position and self.window.at(position, self.height):
            self.top = position
        else:
            self.follow()

    def _show_line(self, offset: int, line: int) -> None:
        """Show a line of an event a third from the top, unfolded where it would be hidden, with the cursor on it."""
        event = self.event(offset)
        if event and foldable(event) and line >= (FOLDED if isinstance(event, ToolReturned) else 1):
            self.rendering.unfolded.add(offset)
        self.cursor = offset
        self._show(self.window.moved(self.window.row_of(offset, line), -(self.height // 3)))

    def _bring_into_view(self, offset: int) -> None:
        if any(placed.offset == offset for placed in self.rows()):
            return
        at = Position(offset)
        above = self.top is None or at < self.top
        self._show(at if above else self.window.moved(at, -(self.height // 2)))

    def _next_hit(self, scan: Scan, hit: Hit | None, *, forward: bool) -> Hit | None:
        if hit is None:
            shown = self.rows()
            below = next(scan.after(shown[-1].offset + 1 if shown else 0), None)
            last = next(scan.before(shown[-1].offset + 1), None) if shown else None
            offset = last if last is not None else below
            return self._hit(scan, offset, -1) if offset is not None else None
        inside = [line for line in self._matching(scan, hit.offset) if (line > hit.line if forward else line < hit.line)]
        if inside:
            return Hit(hit.offset, inside[0 if forward else -1])
        offset = next(scan.after(hit.offset + 1) if forward else scan.before(hit.offset), None)
        return hit if offset is None else self._hit(scan, offset, 0 if forward else -1)

    def _hit(self, scan: Scan, offset: int, which: int) -> Hit:
        found = self._matching(scan, offset)
        return Hit(offset, found[which] if found else 0)

    def _matching(self, scan: Scan, offset: int) -> list[int]:
        event = self.event(offset)
        return scan.query.matching_lines(event) if event else []

    def _count_news(self) -> None:
        """Count the lines that came since the end is not followed, within bounds."""
        if self.window.only:
            self.new_lines = min(MANY, self.window.only.count - self.window.only.count_before(self._counted))
            return
        begin = self._counted
        for line in self.source.after(self._counted):
            if self.new_lines >= MANY or line.end - begin > _NEWS_A_LOOK:
                break
            self._counted = line.end
            if line.kind not in FLEETING:
                self.new_lines = min(MANY, self.new_lines + len(lines(parsed(line))))
