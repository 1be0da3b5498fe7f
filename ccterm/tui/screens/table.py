"""The table: all runs of the fleet, sorted, filtered, and several selected at once."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive

from ccterm.models import RunId
from ccterm.tui.layout import in_order
from ccterm.tui.messages import Connected, RunsChanged, Ticked
from ccterm.tui.possible import NO_OTHER_TO_ATTEND, NOTHING_TO_ATTEND
from ccterm.tui.run_columns import Moment
from ccterm.tui.run_filter import matches
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run import RunScreen
from ccterm.tui.screens.run_actions import RunActions
from ccterm.tui.widgets.filter_line import FilterLine
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading
from ccterm.tui.widgets.run_table import RunTable
from ccterm.tui.widgets.state_lines import WIDE_TALLY, StatusLine, tally

_STATES = ("", "state:waiting", "state:failed", "state:running", "state:queued", "state:done")


class TableScreen(RunActions):
    """All runs as lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("t", "leave", "Panes", tooltip="Show the runs side by side again, with this one in focus"),
        Binding("enter", "zoom", "Open", tooltip="Show the run alone, with its steps, diff and numbers"),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed"),
        Binding("space", "select", "Select", tooltip="Select the run, or not any longer, and go on to the next one"),
        Binding("A", "select_all", "Select all", tooltip="Select all runs that are listed, or none"),
        Binding("f,slash", "filter", "Filter", tooltip="List only runs with these words, or state:failed repo:shop batch:12"),
        Binding("F", "next_state", "State", tooltip="List only runs in the next state: waiting, failed, running, queued, done, all"),
        Binding("full_stop", "attend", "Next", show=False, tooltip="Go to the next run that needs you"),
    ]
    AUTO_FOCUS = "RunTable"
    SELECTS = True

    words: reactive[str] = reactive("")
    """Only runs that contain all these words are listed."""

    def __init__(self, words: str, focused: RunId | None) -> None:
        """words: what is filtered at first. focused: the run that is the current one at first."""
        super().__init__()
        self.set_reactive(TableScreen.words, words)
        self._first = focused

    def compose(self) -> ComposeResult:
        """Lay out header, table and footer."""
        yield SplitLine(id="header")
        table = RunTable(self._moment)
        table.set_reactive(RunTable.current, self._first)
        yield table
        yield FilterLine(self.words)
        yield StatusLine(self.ccterm.runs)
        yield KeyFooter()

    def on_mount(self) -> None:
        """List the runs."""
        self.show_runs()

    def on_resize(self) -> None:
        """Say as much of all runs as there is room for now."""
        self._show_lines()

    @property
    def _moment(self) -> Moment:
        return Moment(self.ccterm.clock(), self.ccterm.selected)

    @on(Connected)
    @on(RunsChanged)
    def show_runs(self) -> None:
        """List the runs as they are now."""
        words = self.words.split()
        found = in_order(view for view in self.ccterm.runs if matches(view, words))
        self.query_one(RunTable).show(found, self._moment)
        self._show_lines()

    @on(Ticked)
    def _tick(self) -> None:
        self.query_one(RunTable).refresh_times(self._moment)
        self._show_lines()

    def _show_lines(self) -> None:
        runs, selected = self.ccterm.runs, len(self.ccterm.selected)
        found = len(self.query_one(RunTable).shown)
        count = f"{found} of {len(runs)} runs" if self.words else f"{found} run{'' if found == 1 else 's'}"
        more = "  ".join(filter(None, (f"filter: {self.words}" if self.words else "", f"{selected} selected" if selected else "")))
        self.query_one("#header", SplitLine).show(heading(count, more), tally(runs, words=self.size.width >= WIDE_TALLY))
        self.query_one(StatusLine).show_state(self.ccterm.clock())
        self.refresh_bindings()

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now; "" when it can be."""
        if action == "attend":
            shown = self.query_one(RunTable).shown if self.is_mounted else []
            return "" if any(view.needs_attention for view in shown) else NOTHING_TO_ATTEND
        if action == "select_all" and self.is_mounted and not self.query_one(RunTable).shown:
            return "no run is listed"
        return super().why_not(action)

    def current_run(self) -> RunView | None:
        """Return the current run."""
        return self.ccterm.runs.get(self.query_one(RunTable).current) if self.is_mounted else None

    def selection_changed(self) -> None:
        """Show what is selected now."""
        self._tick()

    @on(RunTable.Moved)
    def _follow(self, event: RunTable.Moved) -> None:
        event.stop()
        self.refresh_bindings()

    @on(RunTable.Chosen)
    def _open(self, event: RunTable.Chosen) -> None:
        event.stop()
        self.action_zoom()

    def watch_words(self) -> None:
        """List what passes the filter."""
        if self.is_mounted:
            self.show_runs()

    def action_select(self) -> None:
        """Select the current run, or not any longer, and go on to the next one."""
        super().action_select()
        self.query_one(RunTable).action_move(1)

    def action_select_all(self) -> None:
        """Select all runs that are listed, or none."""
        listed = {view.run.id for view in self.query_one(RunTable).shown}
        self.select(set() if listed <= self.ccterm.selected else self.ccterm.selected | listed)

    def action_attend(self) -> None:
        """Go to the next run that needs the user."""
        table = self.query_one(RunTable)
        needy = [view.run.id for view in table.shown if view.needs_attention]
        if needy == [table.current]:
            self.ccterm.note(NO_OTHER_TO_ATTEND, "warning")
        elif needy:
            here = needy.index(table.current) if table.current in needy else -1
            table.current = needy[(here + 1) % len(needy)]

    def action_zoom(self) -> None:
        """Show the run alone."""
        self.app.push_screen(RunScreen(self._run_id()))

    def action_diff(self) -> None:
        """Show what the run changed."""
        self.app.push_screen(RunScreen(self._run_id(), diff=True))

    def action_filter(self) -> None:
        """Ask for the words to filter by."""
        self.query_one(FilterLine).open()

    def action_next_state(self) -> None:
        """List only runs in the next state."""
        words = self.words.split()
        here = next((word for word in words if word in _STATES), "")
        following = _STATES[(_STATES.index(here) + 1) % len(_STATES)]
        self.query_one(FilterLine).put(" ".join([*(word for word in words if word != here), *([following] if following else [])]))

    @on(FilterLine.Filtered)
    def _filter(self, event: FilterLine.Filtered) -> None:
        event.stop()
        self.words = event.words
        if event.done:
            self.query_one(RunTable).focus()

    def action_leave(self) -> None:
        """Show the runs side by side, with this one in focus."""
        current = self.current_run()
        self.ccterm.focus_when_shown = current.run.id if current else None
        self.app.pop_screen()

    def action_back(self) -> None:
        """Select nothing any longer; else remove the filter; else close the table."""
        if self.ccterm.selected:
            self.select([])
        elif self.words:
            self.query_one(FilterLine).close()
        else:
            self.app.pop_screen()
