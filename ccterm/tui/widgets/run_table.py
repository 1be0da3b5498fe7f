"""Runs as a table: one line each, sorted by any column. Only the lines on the screen are made, so that a thousand runs cost what forty do."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from ccterm.models import RunId
from ccterm.tui.run_columns import COLUMNS, Columns, Moment
from ccterm.tui.run_view import RunView

HEAD = 1
"""Lines above the runs."""


class RunTable(ScrollView, can_focus=True):
    """All runs of a list, one of which is the current one."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-table--head", "run-table--cursor"}
    DEFAULT_CSS = """
    RunTable {
        height: 1fr;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        & > .run-table--head { text-style: bold; color: $text-muted; background: $panel; }
        & > .run-table--cursor { background: $block-cursor-blurred-background; }
        &:focus > .run-table--cursor { background: $primary-muted; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "move(-1000000)", "First run", show=False),
        Binding("end,G", "move(1000000)", "Last run", show=False),
        Binding("S", "sort", "Sort", tooltip="Sort by the next column; a click on its title sorts by it, too"),
        Binding("R", "reverse", "Reverse", show=False, tooltip="Sort the other way round"),
    ]

    current: reactive[RunId | None] = reactive(None)
    """The run that actions apply to."""
    sorted_by: reactive[str] = reactive("sign")
    """The column; at first, what needs the user is at the top."""
    backwards: reactive[bool] = reactive(False)
    """Whether it is sorted the other way round."""

    class Moved(Message):
        """Another run is the current one."""

    class Chosen(Message):
        """The user wants to see the current run."""

    def __init__(self, moment: Moment, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._moment = moment
        self._views: list[RunView] = []
        self._columns = Columns(COLUMNS, 80, [])

    def show(self, views: Sequence[RunView], moment: Moment) -> None:
        """Show these runs; the first is the current one where that is none of them."""
        self._moment, self._views = moment, list(views)
        self._arrange()
        if self._place_of(self.current) is None:
            self.set_reactive(RunTable.current, self._views[0].run.id if self._views else None)
            self.post_message(self.Moved())

    def refresh_times(self, moment: Moment) -> None:
        """Show the same runs a moment later; by then they may be in another order."""
        self._moment = moment
        self._arrange()

    @property
    def shown(self) -> list[RunView]:
        """The runs, as they are sorted."""
        return self._views

    def _arrange(self) -> None:
        """Sort the runs and share out the width."""
        self._views.sort(key=lambda view: COLUMNS[self.sorted_by].order(view, self._moment), reverse=self.backwards)
        self._columns = Columns(COLUMNS, max(20, self.size.width - 2), self._views)
        self.virtual_size = Size(self.size.width, len(self._views) + HEAD)
        self.refresh()

    def on_resize(self) -> None:
        """Share the width out anew."""
        self._arrange()
        self._keep_in_sight()

    def _place_of(self, run: RunId | None) -> int | None:
        return next((index for index, view in enumerate(self._views) if view.run.id == run), None)

    def render_line(self, y: int) -> Strip:
        """Return the titles of the columns, or one run."""
        index = y - HEAD + self.scroll_offset.y
        if y < HEAD:
            line, style = self._columns.head(self.sorted_by, backwards=self.backwards), "run-table--head"
        elif index >= len(self._views):
            return Strip.blank(self.size.width, self.rich_style)
        else:
            view = self._views[index]
            line, style = self._columns.line(view, self._moment), "run-table--cursor" if view.run.id == self.current else ""
        look = self.get_visual_style(style) if style else self.visual_style
        return Visual.to_strips(self, line.pad_left(1), self.size.width, 1, look, pad=True)[0].extend_cell_length(self.size.width)

    def watch_current(self, before: RunId | None) -> None:
        """Tell that actions apply to another run."""
        if self.is_mounted:
            self._keep_in_sight()
            for place in (self._place_of(before), self._place_of(self.current)):
                if place is not None:
                    self.refresh_lines(place + HEAD, 1)
            self.post_message(self.Moved())

    def _keep_in_sight(self) -> None:
        place, first = self._place_of(self.current), self.scroll_offset.y
        if place is not None:
            last = first + self.size.height - HEAD - 1
            target = place if place < first else first + place - last if place > last else first
            self.scroll_to(y=target, animate=False)

    def watch_sorted_by(self) -> None:
        """Sort."""
        self._arrange()
        self._keep_in_sight()

    def watch_backwards(self) -> None:
        """Sort."""
        self._arrange()
        self._keep_in_sight()

    def action_move(self, by: int) -> None:
        """Make another run the current one."""
        if self._views:
            place = min(len(self._views) - 1, max(0, (self._place_of(self.current) or 0) + by))
            self.current = self._views[place].run.id

    def action_page(self, by: int) -> None:
        """Go on by a page."""
        self.action_move(by * max(1, self.size.height - HEAD - 1))

    def action_sort(self) -> None:
        """Sort by the next column."""
        shown = list(self._columns.widths)
        self.sorted_by = shown[(shown.index(self.sorted_by) + 1) % len(shown)] if self.sorted_by in shown else shown[0]

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self.backwards = not self.backwards

    def on_click(self, event: events.Click) -> None:
        """Sort by the column whose title was clicked; make the run that was clicked the current one, and show it after a second click."""
        event.stop()
        index = event.y - HEAD + self.scroll_offset.y
        if event.y < HEAD:
            column = self._columns.at(event.x - 1)
            if column == self.sorted_by:
                self.backwards = not self.backwards
            elif column:
                self.sorted_by = column
        elif index < len(self._views):
            self.current = self._views[index].run.id
            if event.chain == 2:
                self.post_message(self.Chosen())
