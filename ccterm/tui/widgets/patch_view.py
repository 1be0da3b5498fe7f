"""Shows a patch in one column or two. Only visible rows are made, so a patch of a hundred thousand lines costs no more than a small one."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ccterm.tui.patch import FilePatch, Kind, Pair, PatchLine, side_by_side

PatchRow = FilePatch | PatchLine | Pair
_SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "same": " ", "hunk": " ", "note": " "}
NUMBERS = 5
"""Cells of a line number."""


class PatchView(ScrollView, can_focus=True):
    """A patch."""

    DEFAULT_CSS = """
    PatchView {
        height: 1fr; width: 1fr;
        & > .patch--file { background: $panel; color: $text; text-style: bold; }
        & > .patch--hunk { color: $text-accent; }
        & > .patch--added { background: $success-muted; color: $text-success; }
        & > .patch--removed { background: $error-muted; color: $text-error; }
        & > .patch--same { color: $text; }
        & > .patch--number { text-style: dim; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "patch--file", "patch--hunk", "patch--added", "patch--removed", "patch--same", "patch--number",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "next_file(1)", "Next file"),
        Binding("left_square_bracket", "next_file(-1)", "Previous file", show=False),
        Binding("v", "switch_columns", "Side by side", tooltip="Show before and after side by side, or in one column"),
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
    ]

    two_columns: reactive[bool] = reactive(False)
    """Whether before and after are shown side by side."""

    class FileReached(Message):
        """This file is at the top now."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._files: Sequence[FilePatch] = ()
        self._rows: list[PatchRow] = []
        self._heads: list[int] = []
        self._widest = 0

    def on_resize(self) -> None:
        """Measure for the new size."""
        self._measure()

    def show(self, files: Sequence[FilePatch]) -> None:
        """Show these files."""
        self._files = files
        self._lay_out()

    def watch_two_columns(self) -> None:
        """Lay the rows out again."""
        self._lay_out()

    def _lay_out(self) -> None:
        self._rows, self._heads = [], []
        for file in self._files:
            self._heads.append(len(self._rows))
            self._rows += [file, *(side_by_side(file.lines) if self.two_columns else file.lines)]
        self._widest = max((len(line.text) for file in self._files for line in file.lines), default=0)
        self._measure()
        self.refresh()

    def _measure(self) -> None:
        """Make room to scroll to the end of long lines; side by side, both sides scroll together."""
        width = self.size.width
        beyond = self._widest - ((width - 1) // 2 - NUMBERS - 1) if self.two_columns else self._widest + 2 * NUMBERS + 4 - width
        self.virtual_size = Size(width + max(0, beyond), len(self._rows))

    def go_to(self, index: int) -> None:
        """Scroll a file to the top."""
        if 0 <= index < len(self._heads):
            self.scroll_to(y=self._heads[index], animate=False)
            self.post_message(self.FileReached(index))

    def action_next_file(self, by: int) -> None:
        """Go to the next or the previous file."""
        here = sum(head <= self.scroll_offset.y for head in self._heads) - 1
        self.go_to(max(0, min(len(self._heads) - 1, here + by)))

    def action_switch_columns(self) -> None:
        """Switch between one column and two."""
        self.two_columns = not self.two_columns

    def render_line(self, y: int) -> Strip:
        """Return one visible row."""
        x, top = self.scroll_offset
        index, width = top + y, self.size.width
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[index]
        if isinstance(row, FilePatch):
            return self._file(row, width)
        if isinstance(row, PatchLine):
            return self._line(row, x, width)
        return self._pair(row, x, width)

    def _file(self, file: FilePatch, width: int) -> Strip:
        style = self.get_component_rich_style("patch--file")
        action = f"  {file.action}" if file.action != "modified" else ""
        return Strip([Segment(f" {file.path}{action}  +{file.added} -{file.removed}", style)]).adjust_cell_length(width, style)

    def _line(self, line: PatchLine, x: int, width: int) -> Strip:
        style = self._style(line.kind)
        if line.kind == "hunk":
            return Strip([Segment(f"{'···':>{NUMBERS}} {line.text}", style)]).adjust_cell_length(width, style)
        numbers = f"{line.old or '':>{NUMBERS}}{line.new or '':>{NUMBERS}} "
        gutter = Strip([Segment(numbers, style + self.get_component_rich_style("patch--number", partial=True))])
        text = Strip([Segment(f"{_SIGNS[line.kind]} {line.text}", style)])
        return Strip.join([gutter, text.crop(x)]).adjust_cell_length(width, style)

    def _pair(self, pair: Pair, x: int, width: int) -> Strip:
        left, right = pair
        half = (width - 1) // 2
        if left is not None and left is right and left.kind in ("hunk", "note"):
            return self._line(left, 0, width)
        before, after = self._half(left, x, half, old=True), self._half(right, x, width - 1 - half, old=False)
        return Strip.join([before, Strip([Segment("│", self._style("same"))]), after])

    def _half(self, line: PatchLine | None, x: int, width: int, *, old: bool) -> Strip:
        if line is None:
            return Strip.blank(width, self.rich_style)
        style = self._style(line.kind)
        number = Segment(
            f"{(line.old if old else line.new) or '':>{NUMBERS}} ", style + self.get_component_rich_style("patch--number", partial=True)
        )
        return Strip.join([Strip([number]), Strip([Segment(line.text, style)]).crop(x)]).adjust_cell_length(width, style)

    def _style(self, kind: Kind) -> Style:
        return self.get_component_rich_style(f"patch--{'same' if kind == 'note' else kind}")
