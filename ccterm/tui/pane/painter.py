"""Rows as strips in the colours of the theme, kept while they are on the screen. Textual's filters (NO_COLOR, 16 colours) apply here."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.selection import Selection
from textual.strip import Strip

from ccterm.tui.pane.cells import cells
from ccterm.tui.pane.rows import PaneRow
from ccterm.tui.pane.spans import Span, TextStyle

MARGIN = 2
"""Cells of a pane beside its rows: one on the left for the cursor, and one on the right."""
KEPT_STRIPS = 256
MATCH = "match"
HIT = "hit"
BADGE = "badge"
CURSOR = "cursor"
STYLES = (*TextStyle, MATCH, HIT, BADGE, CURSOR)


class Painter:
    """Paints the rows of one pane in one set of styles. A new theme or width needs a new painter."""

    def __init__(self, styles: Mapping[str, Style], filters: Sequence[LineFilter], background: Color, width: int) -> None:
        """styles: the pane's base style under "", and what each of STYLES adds to it."""
        base = styles[""]
        self._styles = {name: base + styles[name] for name in STYLES}
        self._base = base
        self._filters = filters
        self._background = background
        self.width = width
        """Cells of a strip."""
        self._kept: OrderedDict[tuple[PaneRow, bool, re.Pattern[str] | None, bool], Strip] = OrderedDict()
        self.blank = self._finished([Segment(" " * width, base)])
        """A strip without text."""

    def strip(self, row: PaneRow, *, cursor: bool = False, pattern: re.Pattern[str] | None = None, hit: bool = False) -> Strip:
        """Return a row as a strip; matches of `pattern` are highlighted, more so in the line that the search has gone to."""
        key = (row, cursor, pattern, hit)
        strip = self._kept.pop(key, None)
        if strip is None:
            strip = self._finished(list(self._segments(row, cursor, pattern, HIT if hit else MATCH)))
        self._kept[key] = strip
        if len(self._kept) > KEPT_STRIPS:
            self._kept.popitem(last=False)
        return strip

    def with_badge(self, strip: Strip, text: str) -> Strip:
        """Return a strip with a short text over its right end."""
        begin = self.width - len(text) - 1
        if begin < 1:
            return strip
        badge = self._finished([Segment(text, self._styles[BADGE]), Segment(" ", self._base)])
        return Strip.join([strip.crop(0, begin), badge])

    def _segments(self, row: PaneRow, cursor: bool, pattern: re.Pattern[str] | None, match: str) -> Iterator[Segment]:
        yield Segment("▎", self._styles[CURSOR]) if cursor else Segment(" ", self._base)
        for text, style in _split_at_matches(row, pattern, match) if pattern else row.spans:
            yield Segment(text, self._styles[style])
        yield Segment(" ", self._base)

    def _finished(self, segments: list[Segment]) -> Strip:
        strip = Strip(segments, sum(segment.cell_length for segment in segments))
        for each in self._filters:
            strip = strip.apply_filter(each, self._background)
        return strip


def _split_at_matches(row: PaneRow, pattern: re.Pattern[str], style: str) -> Iterator[tuple[str, str]]:
    """Yield the spans of a row, cut where a match begins and ends."""
    matches = [match.span() for match in pattern.finditer(row.text) if match.end() > match.start()]
    at = 0
    for span in row.spans:
        yield from _cut(span, at, matches, style)
        at += len(span.text)


def _cut(span: Span, at: int, matches: Sequence[tuple[int, int]], style: str) -> Iterator[tuple[str, str]]:
    done, end = 0, len(span.text)
    for begin, stop in matches:
        low, high = max(begin - at, done), min(stop - at, end)
        if low < high:
            if done < low:
                yield span.text[done:low], span.style
            yield span.text[low:high], style
            done = high
    if done < end:
        yield span.text[done:], span.style


def highlighted(strips: Sequence[Strip], selection: Selection, style: Style) -> list[Strip]:
    """Return rows with the selected part highlighted."""
    shown = list(strips)
    for y, begin, end in _spans(strips, selection):
        strip, text = strips[y], strips[y].text
        left, right = cells(text[:begin]), cells(text[:end])
        shown[y] = Strip.join([strip.crop(0, left), strip.crop(left, right).apply_style(style), strip.crop(right)])
    return shown


def selected(strips: Sequence[Strip], selection: Selection) -> str:
    """Return the selected text, row by row."""
    return "\n".join(strips[y].text[begin:end].rstrip() for y, begin, end in _spans(strips, selection))


def _spans(strips: Sequence[Strip], selection: Selection) -> Iterator[tuple[int, int, int]]:
    """Yield the selected rows, each with its first selected character and the one after the last."""
    for y, strip in enumerate(strips):
        if span := selection.get_span(y):
            last = len(strip.text.rstrip())
            begin, end = max(1, span[0]), last if span[1] == -1 else min(span[1], last)
            yield y, begin, max(begin, end)
