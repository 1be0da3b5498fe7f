"""Shows a patch in one column or two. Only visible rows are made and coloured, so a large patch costs no more than a small one."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ccterm.tui.own_keys import named
from ccterm.tui.patch import Comments, FilePatch, PatchLine
from ccterm.tui.patch.colours import PatchColours
from ccterm.tui.patch.layout import HEADING, Layout, PatchShape, Place, note_rows
from ccterm.tui.widgets.patch_rows import GUTTER_ONE, GUTTER_TWO, STYLES, RowPainter

SIDEWAYS = 8


class PatchView(ScrollView, can_focus=True):
    """A patch, with a cursor on one of its lines and the user's comments below them."""

    DEFAULT_CSS = """
    PatchView {
        height: 1fr; width: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        & > .patch--file { background: $panel; color: $text; text-style: bold; }
        & > .patch--hunk { color: $text-accent; }
        & > .patch--added { background: $success 12%; color: $text; }
        & > .patch--removed { background: $error 12%; color: $text; }
        & > .patch--added-word { background: $success 35%; }
        & > .patch--removed-word { background: $error 35%; }
        & > .patch--added-sign { color: $text-success; }
        & > .patch--removed-sign { color: $text-error; }
        & > .patch--same { color: $text; }
        & > .patch--number { text-style: dim; }
        & > .patch--cursor { color: $primary; text-style: bold; }
        & > .patch--comment { background: $primary-muted; color: $text-primary; }
        &:ansi > .patch--added { background: ansi_default; color: ansi_green; }
        &:ansi > .patch--removed { background: ansi_default; color: ansi_red; }
        &:ansi > .patch--comment { background: ansi_default; }
        & > .patch--code-keyword { color: $text-accent; }
        & > .patch--code-name { color: $text-primary; }
        & > .patch--code-type { color: $text-primary; }
        & > .patch--code-string { color: $text-success; }
        & > .patch--code-number { color: $text-warning; }
        & > .patch--code-comment { text-style: dim italic; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"patch--{name}" for name in STYLES}
    BINDINGS: ClassVar[list[BindingType]] = named([
        Binding("a", "annotate", "Comment", tooltip="Comment on this line; m sends all comments to the agent"),
        Binding("delete,backspace", "remove_comment", "Remove comment", show=False),
        Binding("J", "next_hunk(1)", "Next hunk", tooltip="Go to the next hunk"),
        Binding("K", "next_hunk(-1)", "Previous hunk", show=False),
        Binding("right_square_bracket", "next_file(1)", "Next file", tooltip="Go to the next file"),
        Binding("left_square_bracket", "next_file(-1)", "Previous file", show=False),
        Binding("v", "switch_columns", "Side by side", tooltip="Show before and after side by side, or in one column"),
        Binding("w", "switch_wrap", "Wrap", show=False, tooltip="Wrap long lines, or scroll sideways to their ends"),
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("pagedown", "move_page(1)", "Page down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("g,home", "move_to(False)", "Start", show=False),
        Binding("G,end", "move_to(True)", "End", show=False),
        Binding("right,l", f"sideways({SIDEWAYS})", "Scroll right", show=False),
        Binding("left", f"sideways({-SIDEWAYS})", "Scroll left", show=False),
    ])  # fmt: skip

    FOOTER_PLACE: ClassVar[int] = -1
    """Its keys come first in the footer."""

    two_columns: reactive[bool] = reactive(False)
    """Whether before and after are shown side by side."""
    wrap: reactive[bool] = reactive(True)
    """Whether long lines continue in the next row; else both sides scroll sideways together."""
    cursor: reactive[Place] = reactive(Place(0))
    """The chosen line."""
    comments: reactive[Comments] = reactive(())
    """Shown below the lines that they are on."""

    class FileReached(Message):
        """This file is where the cursor is now."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Annotated(Message):
        """The user wants to write a comment on a line, or on a file; or to remove the one that is there."""

        def __init__(self, file: FilePatch, line: PatchLine | None, *, remove: bool = False) -> None:
            super().__init__()
            self.file = file
            self.line = line
            self.remove = remove

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._colours = PatchColours(self.call_later, self.refresh)
        self._layout = Layout((), PatchShape(two_columns=False, width=1, wrap=False), {})
        self._notes: dict[Place, list[str]] = {}
        self._painter: RowPainter | None = None

    @property
    def files(self) -> Sequence[FilePatch]:
        """The files that are shown."""
        return self._layout.files

    def on_resize(self) -> None:
        """Lay out for the new size."""
        self._lay_out()

    def show(self, files: Sequence[FilePatch]) -> None:
        """Show these files; the cursor stays on the line that it is on, where there still is one."""
        at, shown, offset = self.cursor, self.files, self.scroll_offset.y
        self._layout = Layout(files, self._layout.shape, {})
        self._colours.forget(files)
        kept = next((n for n, file in enumerate(files) if shown and file.path == shown[at.file].path), None)
        moved = Place(0) if kept is None else Place(kept, min(at.row, self._layout.rows(kept) - 1))
        self.set_reactive(PatchView.cursor, moved)
        self._lay_out(keep=offset if kept is not None else 0)

    def notify_style_update(self) -> None:
        """Use the colours of another theme."""
        super().notify_style_update()
        self._painter = None

    def watch_two_columns(self, before: bool, after: bool) -> None:
        """Lay the rows out again, with the cursor on the same line."""
        if before != after and self.files:
            index = self._layout.pair(self.cursor)[0 if before else 1] if self.cursor.row != HEADING else None
            self._lay_out()
            if index is not None:
                file = self.files[self.cursor.file]
                row = next(row for row, pair in enumerate(file.pairs) if index in pair) if after else index
                self.cursor = Place(self.cursor.file, row)

    def watch_wrap(self) -> None:
        """Lay the rows out again."""
        self._lay_out()

    def watch_comments(self) -> None:
        """Make room for them."""
        self._lay_out()

    def watch_cursor(self, before: Place, after: Place) -> None:
        """Bring the cursor into view, and say which file it is in."""
        if not self.files:
            return
        self._bring_into_view(after)
        if before.file != after.file:
            self.post_message(self.FileReached(after.file))
        self.refresh()

    def _lay_out(self, keep: int | None = None) -> None:
        """Make the rows for the current shape; the cursor's row stays where it is on the screen, or the scroll position `keep` does."""
        if not self.size.width:
            return
        width, before = self.scrollable_content_region.width, self._layout
        room = (width - 1) // 2 - GUTTER_TWO if self.two_columns else width - GUTTER_ONE
        files, shape = before.files, PatchShape(two_columns=self.two_columns, width=max(room, 1), wrap=self.wrap)
        self._notes = self._placed_comments(files, shape.two_columns, width - GUTTER_TWO - 2)
        same_rows = before.shape.two_columns == shape.two_columns
        above = before.top(self.cursor) - self.scroll_offset.y if files and keep is None and same_rows else 0
        self._layout = Layout(files, shape, {place: len(rows) for place, rows in self._notes.items()})
        widest = max((file.longest for file in files), default=0)
        self.virtual_size = Size(width + (0 if self.wrap else max(0, widest - shape.width)), self._layout.height)
        if files:
            same = self._layout.top(self.cursor) - above if same_rows else self._layout.top(Place(self.cursor.file))
            self.scroll_to(x=0 if self.wrap else None, y=keep if keep is not None else same, animate=False)
        self.refresh()

    def _placed_comments(self, files: Sequence[FilePatch], two_columns: bool, width: int) -> dict[Place, list[str]]:
        found: dict[Place, list[str]] = {}
        for number, file in enumerate(files):
            for comment in [comment for comment in self.comments if comment.path == file.path]:
                index = next(
                    (i for i, line in enumerate(file.lines) if comment.line is not None and comment.is_on(file.path, line)), HEADING
                )
                row = next(n for n, pair in enumerate(file.pairs) if index in pair) if two_columns and index != HEADING else index
                moved = "" if index != HEADING or comment.line is None else f"(line {comment.line}) "
                found.setdefault(Place(number, row), []).extend(note_rows(moved + comment.text, width))
        return found

    def _bring_into_view(self, place: Place) -> None:
        top, height = self._layout.top(place), self._layout.height_of(place)
        bottom = top + height + len(self._notes.get(place, ()))
        if top < self.scroll_offset.y:
            self.scroll_to(y=top, animate=False)
        elif bottom > self.scroll_offset.y + self.size.height:
            self.scroll_to(y=min(top, bottom - self.size.height), animate=False)

    def go_to(self, index: int) -> None:
        """Put the cursor on a file, at the top of the view."""
        if 0 <= index < len(self.files):
            self.cursor = Place(index)
            self.scroll_to(y=self._layout.top(self.cursor), animate=False)

    def action_next_file(self, by: int) -> None:
        """Go to the next or the previous file."""
        on_name = self.cursor.row == HEADING or by > 0
        target = self.cursor.file + (by if on_name else 0)
        if 0 <= target < len(self.files):
            self.go_to(target)
        else:
            self._say(f"there is no file {'after' if by > 0 else 'before'} this one")

    def _say(self, reason: str) -> None:
        self.notify(reason, severity="warning", markup=False)

    def action_next_hunk(self, by: int) -> None:
        """Go to the first changed line of the next or the previous hunk."""
        place, file = self.cursor, self.cursor.file
        while 0 <= file < len(self.files):
            rows = self._hunk_rows(file)
            later = [row for row in rows if file != place.file or (row > place.row if by > 0 else row < place.row)]
            if later:
                self.cursor = Place(file, later[0 if by > 0 else -1])
                self.scroll_to(y=max(0, self._layout.top(self.cursor) - self.size.height // 3), animate=False)
                return
            file += by
        self._say(f"there is no hunk {'after' if by > 0 else 'before'} this line")

    def _hunk_rows(self, number: int) -> list[int]:
        """Return the rows of a file at which changed lines begin, one for each hunk."""
        file, found, waiting = self.files[number], list[int](), True
        for row in range(self._layout.rows(number)):
            kinds = {file.lines.kinds[index] for index in self._layout.pair(Place(number, row)) if index is not None}
            waiting |= "hunk" in kinds
            if waiting and kinds & {"added", "removed", "note"}:
                found.append(row)
                waiting = False
        return found

    def action_switch_columns(self) -> None:
        """Switch between one column and two."""
        self.two_columns = not self.two_columns

    def action_switch_wrap(self) -> None:
        """Wrap long lines, or scroll sideways."""
        self.wrap = not self.wrap
        self.notify("long lines continue in the next row" if self.wrap else "long lines go on to the right", markup=False)

    def action_move(self, by: int) -> None:
        """Move the cursor by lines; through a line that is higher than the view by rows."""
        if not self.files:
            return
        top, view = self._layout.top(self.cursor), self.scroll_offset.y
        bottom = top + self._layout.height_of(self.cursor)
        if (by > 0 and top <= view and bottom > view + self.size.height) or (by < 0 and top < view < bottom):
            self.scroll_to(y=view + by, animate=False)
        else:
            self.cursor = self._layout.neighbour(self.cursor, by)

    def action_move_page(self, by: int) -> None:
        """Move the cursor and the view by a page, which overlap by two rows."""
        if self.files:
            step = by * max(1, self.size.height - 2)
            target = min(max(self._layout.top(self.cursor) + step, 0), self._layout.height - 1)
            self.scroll_to(y=self.scroll_offset.y + step, animate=False)
            self.cursor = self._layout.at(target)[0]

    def action_move_to(self, end: bool) -> None:
        """Go to the start or to the end."""
        if self.files:
            self.cursor = Place(len(self.files) - 1, self._layout.rows(len(self.files) - 1) - 1) if end else Place(0)
            self.scroll_to(y=self._layout.height if end else 0, animate=False)

    def action_sideways(self, by: int) -> None:
        """Scroll sideways, where long lines are not wrapped."""
        self.scroll_to(x=self.scroll_offset.x + by, animate=False)

    def action_annotate(self) -> None:
        """Ask for a comment on the chosen line."""
        self._annotate(remove=False)

    def action_remove_comment(self) -> None:
        """Remove the comment on the chosen line."""
        if self.cursor in self._notes:
            self._annotate(remove=True)
        else:
            self._say("there is no comment on this line")

    def _annotate(self, *, remove: bool) -> None:
        if self.files:
            self.post_message(self.Annotated(self.files[self.cursor.file], self._line_of(self.cursor), remove=remove))

    def _line_of(self, place: Place) -> PatchLine | None:
        """Return the line of a row, that after the change where there are two; None for a file's name."""
        if place.row == HEADING:
            return None
        old, new = self._layout.pair(place)
        index = new if new is not None else old
        return self.files[place.file].lines[index] if index is not None else None

    def on_click(self, event: events.Click) -> None:
        """Choose the clicked line."""
        y = event.y + self.scroll_offset.y
        if y < self._layout.height and self.files:
            self.cursor = self._layout.at(y)[0]

    def render_line(self, y: int) -> Strip:
        """Return one visible row."""
        x, top = self.scroll_offset
        width = self.size.width
        if top + y >= self._layout.height or not self.files:
            return Strip.blank(width, self.rich_style)
        place, row = self._layout.at(top + y)
        height = self._layout.height_of(place)
        if self._painter is None:
            self._painter = RowPainter(self._style, self._colours.pieces, self.rich_style, sixteen=self.app.current_theme.ansi)
        if row >= height:
            return self._painter.comment(self._notes[place][row - height], width)
        return self._painter.row(self._layout, place, (x, row), width, chosen=row == 0 and place == self.cursor)

    def _style(self, name: str, partial: bool) -> Style:
        return self.get_component_rich_style(f"patch--{name}", partial=partial)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Colour only what is visible now."""
        super().watch_scroll_y(old_value, new_value)
        self._colours.skip()
