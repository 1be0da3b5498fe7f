"""Which row of the screen shows which line of a patch; pure. Heights are kept only for files in which some line takes more than one row."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from ccterm.tui.pane.cells import reach, safe_lines
from ccterm.tui.patch.parse import FilePatch, Pair

HEADING = -1
"""The row of a file that names it."""


class Place(NamedTuple):
    """A row of a file: the number of the file, and of its row; HEADING is its name."""

    file: int
    row: int = HEADING


@dataclass(frozen=True)
class PatchShape:
    """How a patch is laid out. width: cells of a line's text in each column."""

    two_columns: bool
    width: int
    wrap: bool


class Layout:
    """The rows of a patch in one shape. notes: rows that have so many more rows below them."""

    def __init__(self, files: Sequence[FilePatch], shape: PatchShape, notes: Mapping[Place, int]) -> None:
        self.files = files
        self.shape = shape
        noted = {place.file for place in notes}
        self._ends = [self._heights(number, notes if number in noted else {}) for number in range(len(files))]
        heights = [1 + (ends[-1] if ends else self.rows(number)) for number, ends in enumerate(self._ends)]
        self._tops = [0, *accumulate(h + notes.get(Place(n), 0) for n, h in enumerate(heights))]
        self._notes = notes

    @property
    def height(self) -> int:
        """All rows of the screen that it takes."""
        return self._tops[-1]

    def rows(self, file: int) -> int:
        """Return how many rows a file has besides its name."""
        return len(self.files[file].pairs if self.shape.two_columns else self.files[file].lines)

    def pair(self, place: Place) -> Pair:
        """Return the indexes of the lines of a row; in one column both are the same."""
        return self.files[place.file].pairs[place.row] if self.shape.two_columns else (place.row, place.row)

    def at(self, y: int) -> tuple[Place, int]:
        """Return the place at a row of the screen, and which of its rows that is."""
        file = min(bisect_right(self._tops, y), len(self.files)) - 1
        rest, ends = y - self._tops[file], self._ends[file]
        above = 1 + self._notes.get(Place(file), 0)
        if rest < above:
            return Place(file), rest
        rest -= above
        if ends is None:
            return Place(file, rest), 0
        row = bisect_right(ends, rest)
        return Place(file, row), rest - (ends[row - 1] if row else 0)

    def top(self, place: Place) -> int:
        """Return the first row of the screen that shows a place."""
        if place.row == HEADING:
            return self._tops[place.file]
        ends = self._ends[place.file]
        before = place.row if ends is None else ends[place.row - 1] if place.row else 0
        return self._tops[place.file] + 1 + self._notes.get(Place(place.file), 0) + before

    def height_of(self, place: Place) -> int:
        """Return how many rows of the screen a place takes, without the notes below it."""
        if place.row == HEADING or not self.shape.wrap:
            return 1
        texts = self.files[place.file].lines.texts
        return max(rows_of(texts[index], self.shape.width) for index in self.pair(place) if index is not None)

    def neighbour(self, place: Place, by: int) -> Place:
        """Return the place so many rows of the patch later or earlier, within it."""
        file, row = place.file, place.row + by
        while row >= self.rows(file) and file + 1 < len(self.files):
            row -= self.rows(file) + 1
            file += 1
        while row < HEADING and file > 0:
            file -= 1
            row += self.rows(file) + 1
        return Place(file, min(max(row, HEADING), self.rows(file) - 1))

    def _heights(self, number: int, notes: Mapping[Place, int]) -> list[int] | None:
        """Return where each row of a file ends, in rows of the screen; None when each takes one."""
        file, shape = self.files[number], self.shape
        short = not shape.wrap or file.longest <= shape.width
        if short and not notes:
            return None
        each = [1] * len(file.lines) if short else [rows_of(text, shape.width) for text in file.lines.texts]
        if shape.two_columns:
            each = [max(each[i] for i in pair if i is not None) for pair in file.pairs]
        for place, extra in notes.items():
            if place.file == number and place.row != HEADING:
                each[place.row] += extra
        return list(accumulate(each))


def rows_of(text: str, width: int) -> int:
    """Return how many rows of `width` cells a text takes."""
    if len(text) * 2 <= width:
        return 1
    return max(1, -(-len(text) // width)) if text.isascii() else max(1, len(cuts(text, width)))


def row_of(text: str, width: int, row: int) -> tuple[int, int]:
    """Return where a row of a text begins and ends."""
    if text.isascii():
        return row * width, (row + 1) * width
    rows = cuts(text, width)
    return rows[row] if row < len(rows) else (0, 0)


def cuts(text: str, width: int) -> list[tuple[int, int]]:
    """Return where the rows of a text begin and end that are at most `width` cells wide."""
    found, begin = [], 0
    while begin < len(text):
        end = max(reach(text, begin, width), begin + 1)
        found.append((begin, end))
        begin = end
    return found


def note_rows(text: str, width: int) -> list[str]:
    """Return a text for people as rows of at most `width` cells, broken between words."""
    return [row for line in safe_lines(text) for row in _words(line, max(width, 8))]


def _words(line: str, width: int) -> list[str]:
    rows = []
    while (end := reach(line, 0, width)) < len(line):
        space = line.rfind(" ", 1, end + 1)
        cut = space if space > 0 else end
        rows.append(line[:cut])
        line = line[cut:].lstrip(" ")
    return [*rows, line]
