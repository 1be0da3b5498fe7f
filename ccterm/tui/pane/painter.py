"""Rows as strips in the colours of the theme, kept while they are on the screen. Textual's filters (NO_COLOR, 16 colours) are applied here."""

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
from ccterm.tui.pane.rows import Row
from ccterm.tui.pane.spans import Ink, Span

MARGIN = 2
"""Cells of a pane beside its rows: one on the left, for the cursor, and one on the right."""
KEPT_STRIPS = 256
MATCH = "match"
HIT = "hit"
CHIP = "chip"
CURSOR = "cursor"
STYLES = (*Ink, MATCH, HIT, CHIP, CURSOR)


class Painter:
    """Paints rows of one pane with one set of styles. A new theme or width needs a new painter."""

    def __init__(self, styles: Mapping[str, Style], filters: Sequence[LineFilter], background: Color, width: int) -> None:
        """styles: base style of the pane by "", and what each of STYLES adds to it."""
        base = styles[""]
        self._styles = {name: base + styles[name] for name in STYLES}
        self._base = base
        self._filters = filters
        self._background = background
        self.width = width
        """Cells of a strip."""
        self._kept: OrderedDict[tuple[Row, bool, re.Pattern[str] | None, bool], Strip] = OrderedDict()
        self.blank = self._finished([Segment(" " * width, base)])
        """A strip without text."""

    def strip(self, row: Row, *, cursor: bool = False, pattern: re.Pattern[str] | None = None, hit: bool = False) -> Strip:
        """Return a row as a strip; what matches `pattern` stands out, even more so in the line that was gone to."""
        key = (row, cursor, pattern, hit)
        strip = self._kept.pop(key, None)
        if strip is None:
            strip = self._finished(list(self._segments(row, cursor, pattern, HIT if hit else MATCH)))
        self._kept[key] = strip
        if len(self._kept) > KEPT_STRIPS:
            self._kept.popitem(last=False)
        return strip

    def with_chip(self, strip: Strip, text: str) -> Strip:
        """Return a strip with a short text over its right end."""
        begin = self.width - len(text) - 1
        if begin < 1:
            return strip
        chip = self._finished([Segment(text, self._styles[CHIP]), Segment(" ", self._base)])
        return Strip.join([strip.crop(0, begin), chip])

    def _segments(self, row: Row, cursor: bool, pattern: re.Pattern[str] | None, match: str) -> Iterator[Segment]:
        yield Segment("▎", self._styles[CURSOR]) if cursor else Segment(" ", self._base)
        for text, ink in _found(row, pattern, match) if pattern else row.spans:
            yield Segment(text, self._styles[ink])
        yield Segment(" ", self._base)

    def _finished(self, segments: list[Segment]) -> Strip:
        strip = Strip(segments, sum(segment.cell_length for segment in segments))
        for each in self._filters:
            strip = strip.apply_filter(each, self._background)
        return strip


def _found(row: Row, pattern: re.Pattern[str], ink: str) -> Iterator[tuple[str, str]]:
    """Yield the spans of a row, cut where a match begins and ends."""
    matches = [match.span() for match in pattern.finditer(row.text) if match.end() > match.start()]
    at = 0
    for span in row.spans:
        yield from _cut(span, at, matches, ink)
        at += len(span.text)


def _cut(span: Span, at: int, matches: Sequence[tuple[int, int]], ink: str) -> Iterator[tuple[str, str]]:
    done, end = 0, len(span.text)
    for begin, behind in matches:
        low, high = max(begin - at, done), min(behind - at, end)
        if low < high:
            if done < low:
                yield span.text[done:low], span.ink
            yield span.text[low:high], ink
            done = high
    if done < end:
        yield span.text[done:], span.ink


def highlighted(strips: Sequence[Strip], selection: Selection, style: Style) -> list[Strip]:
    """Return rows of which the selected part stands out."""
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
    """Yield the rows that are selected, with the characters from and to which they are."""
    for y, strip in enumerate(strips):
        if span := selection.get_span(y):
            last = len(strip.text.rstrip())
            begin, end = max(1, span[0]), last if span[1] == -1 else min(span[1], last)
            yield y, begin, max(begin, end)
