"""Text that was selected with the mouse: how its rows look then, and what of them is copied: neither margins nor the space behind a line."""

from collections.abc import Iterator, Sequence

from rich.style import Style
from textual.selection import Selection
from textual.strip import Strip

from ccterm.tui.pane.cells import cells


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
