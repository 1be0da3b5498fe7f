"""Rows of a patch as strips: numbers, sign, and the visible part of a line in its colours."""

from collections.abc import Callable

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ccterm.tui.code import CodeStyle, Piece, Pieces
from ccterm.tui.pane.cells import reach
from ccterm.tui.patch.decorate import sliced
from ccterm.tui.patch.layout import HEADING, Layout, Place, row_of
from ccterm.tui.patch.parse import FilePatch, Kind, Pair

_SIGNS: dict[Kind, str] = {"added": "+", "removed": "-"}
_CODE = {style: f"code-{style}" for style in CodeStyle if style}
STYLES = (
    "file", "hunk", "same", "added", "removed", "added-word", "removed-word", "added-sign", "removed-sign", "number", "cursor", "comment", *_CODE.values(),
)  # fmt: skip
"""The names of the styles that a painter asks for."""
NUMBERS = 5
"""Cells of a line number."""
GUTTER_ONE, GUTTER_TWO = 1 + 2 * NUMBERS + 3, 1 + NUMBERS + 1
"""Cells before a line's text in one column, and in each of two: cursor, numbers, and in one column the sign."""
Part = tuple[int, int]
"""What of a line is visible: from which cell on, and which of its rows where it is wrapped."""


class RowPainter:
    """Paints rows in one set of styles. A new theme needs a new painter."""

    def __init__(
        self, style: Callable[[str, bool], Style], pieces: Callable[[int, int], Pieces | None], base: Style, *, sixteen: bool
    ) -> None:
        """style: returns one of STYLES, whole or only what it adds. pieces: returns a line's, by file and index; None = it is plain.

        sixteen: there are 16 colours only. A changed line is red or green then, whatever its syntax is, and its changed words are reversed.
        """
        self._style = style
        self._pieces = pieces
        self._base = base
        self._sixteen = sixteen
        self._code: dict[tuple[Kind, CodeStyle, bool], Style] = {}

    def row(self, layout: Layout, place: Place, part: Part, width: int, *, chosen: bool) -> Strip:
        """Return a part of a row. chosen: the cursor is on it."""
        file = layout.files[place.file]
        if place.row == HEADING:
            return self._heading(file, width, chosen=chosen)
        left, right = pair = layout.pair(place)
        index = left if left is not None else right
        assert index is not None, "a row has at least one line"
        whole = file.lines[index].kind in ("hunk", "note")
        if whole:
            return self._across(file, index, width, chosen=chosen)
        if layout.shape.two_columns:
            return self._halves(layout, place.file, pair, part, width, chosen=chosen)
        return self._line(layout, place.file, index, part, width, chosen=chosen)

    def comment(self, text: str, width: int) -> Strip:
        """Return a row of a comment."""
        style = self._style("comment", False)
        return Strip([Segment(" " * GUTTER_TWO, self._base), Segment(f"▏ {text}", style)]).adjust_cell_length(width, style)

    def _heading(self, file: FilePatch, width: int, *, chosen: bool) -> Strip:
        style = self._style("file", False)
        action = f"  {file.action}" if file.action != "modified" else ""
        text = f"{file.path}{action}  +{file.added} -{file.removed}"
        return Strip([self._mark(style, chosen=chosen), Segment(text, style)]).adjust_cell_length(width, style)

    def _across(self, file: FilePatch, index: int, width: int, *, chosen: bool) -> Strip:
        line = file.lines[index]
        style = self._style("hunk" if line.kind == "hunk" else "same", False)
        text = f"{'···' if line.kind == 'hunk' else '':>{NUMBERS}} {line.text}"
        return Strip([self._mark(style, chosen=chosen), Segment(text, style)]).adjust_cell_length(width, style)

    def _line(self, layout: Layout, file: int, index: int, part: Part, width: int, *, chosen: bool) -> Strip:
        line, first = layout.files[file].lines[index], part[1] == 0
        style = self._style(line.kind, False)
        numbers = f"{line.old or '':>{NUMBERS}}{line.new or '':>{NUMBERS}} " if first else " " * (2 * NUMBERS + 1)
        coloured = style + self._style(f"{line.kind}-sign", True) if line.kind in _SIGNS else style
        sign = Segment(f"{_SIGNS.get(line.kind, ' ') if first else ' '} ", coloured)
        gutter = [self._mark(style, chosen=chosen), Segment(numbers, style + self._style("number", True)), sign]
        return Strip([*gutter, *self._text(layout, file, index, part, width - GUTTER_ONE)]).adjust_cell_length(width, style)

    def _halves(self, layout: Layout, file: int, pair: Pair, part: Part, width: int, *, chosen: bool) -> Strip:
        half = (width - 1) // 2
        numbers = [layout.files[file].lines[index] for index in pair if index is not None]
        before = self._half(layout, file, pair[0], part, half, number=numbers[0].old, chosen=chosen)
        after = self._half(layout, file, pair[1], part, width - 1 - half, number=numbers[-1].new, chosen=False)
        return Strip.join([before, Strip([Segment("│", self._style("same", False))]), after])

    def _half(self, layout: Layout, file: int, index: int | None, part: Part, width: int, *, number: int | None, chosen: bool) -> Strip:
        if index is None:
            return Strip([self._mark(self._base, chosen=chosen)]).adjust_cell_length(width, self._base)
        style = self._style(layout.files[file].lines[index].kind, False)
        shown = f"{number or '':>{NUMBERS}} " if part[1] == 0 else " " * (NUMBERS + 1)
        gutter = [self._mark(style, chosen=chosen), Segment(shown, style + self._style("number", True))]
        return Strip([*gutter, *self._text(layout, file, index, part, width - GUTTER_TWO)]).adjust_cell_length(width, style)

    def _mark(self, style: Style, *, chosen: bool) -> Segment:
        return Segment("▎", style + self._style("cursor", True)) if chosen else Segment(" ", style)

    def _text(self, layout: Layout, file: int, index: int, part: Part, width: int) -> list[Segment]:
        """Return the visible part of a line."""
        line, shape = layout.files[file].lines[index], layout.shape
        if shape.wrap:
            begin, end = row_of(line.text, shape.width, part[1])
        else:
            begin = reach(line.text, 0, part[0])
            end = reach(line.text, begin, width)
        pieces = self._pieces(file, index) or (Piece(line.text),)
        return [Segment(text, self._code_style(line.kind, code, marked=marked)) for text, code, marked in sliced(pieces, begin, end)]

    def _code_style(self, kind: Kind, code: CodeStyle, *, marked: bool) -> Style:
        key = (kind, code, marked)
        if key not in self._code:
            style, changed = self._style(kind, False), kind in _SIGNS
            if code and not (changed and self._sixteen):
                style += self._style(_CODE[code], True)
            if marked and changed:  # only the background of the whole style is blended
                blended = self._style(f"{kind}-word", False).bgcolor
                style += Style(reverse=True) if self._sixteen else Style(bold=True, bgcolor=blended)
            self._code[key] = style
        return self._code[key]
