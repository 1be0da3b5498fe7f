"""A terminal in memory: keeps what is written to it as rows of characters, so that a test sees what a user would see."""

import re

from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver

_PIECE = re.compile(r"\x1b\[(?P<row>\d+);(?P<column>\d+)H|\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|(?P<character>[^\x1b])")


class RecordingDriver(HeadlessDriver):
    """Stands in for the driver of a real terminal. Cursor moves and text are recorded, colours are not."""

    is_headless = False

    def __init__(self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._cells: dict[tuple[int, int], str] = {}
        self._row = self._column = 0

    def write(self, data: str) -> None:
        """Write characters where the cursor is."""
        for piece in _PIECE.finditer(data):
            if piece["row"]:
                self._row, self._column = int(piece["row"]) - 1, int(piece["column"]) - 1
            elif piece["character"] == "\n":
                self._row, self._column = self._row + 1, 0
            elif piece["character"]:
                self._cells[self._row, self._column] = piece["character"]
                self._column += 1

    def rows(self, width: int, height: int) -> list[str]:
        """Return the rows of a window of this size, without the space at their ends."""
        return ["".join(self._cells.get((row, column), " ") for column in range(width)).rstrip() for row in range(height)]
