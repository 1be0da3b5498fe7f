"""The fleet: runs side by side. Runs that need the user come first, each active one has at least a line, and those that are done share one."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Region
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, TextArea

from ccterm.models import RunId
from ccterm.tui.layout import Arrangement, arrange, free_corner, in_order
from ccterm.tui.messages import Checked, Connected, RunsChanged, Ticked
from ccterm.tui.opening import FILTER, TABLE
from ccterm.tui.possible import NO_OTHER_RUN, NO_OTHER_TO_ATTEND, NOTHING_TO_ATTEND, no_such_pane
from ccterm.tui.run_columns import Moment
from ccterm.tui.run_filter import matches
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run_actions import RunActions
from ccterm.tui.widgets.filter_line import FilterLine
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading
from ccterm.tui.widgets.run_list import RunList
from ccterm.tui.widgets.run_pane import RunPane
from ccterm.tui.widgets.state_lines import WIDE_TALLY, StatusLine, tally
from ccterm.tui.widgets.welcome import Welcome

ROOM_TO_WRITE = 5
"""Lines of a pane: its title and its keys, one of the transcript, and a box for one line of text."""


class FleetScreen(RunActions):
    """All runs at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "zoom", "Zoom", tooltip="Show the run alone, with its steps, diff and numbers"),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed"),
        FILTER,
        Binding(
            "space",
            "select",
            "Select",
            tooltip="Select the run, or not any longer: cancel, retry, push and reviewed apply to all selected runs",
        ),
        Binding("full_stop", "attend", "Next", tooltip="Go to the next run that needs you"),
        TABLE,
        Binding("asterisk", "pin", "Pin", show=False, tooltip="Pin the run's pane so that no other run takes its room, or unpin it"),
        Binding("tab,right", "step(1)", "Next run", show=False),
        Binding("shift+tab,left", "step(-1)", "Previous run", show=False),
        *(Binding(str(place), f"focus_pane({place})", f"Pane {place}", show=False) for place in range(1, 10)),
    ]

    SELECTS = True

    focused_run: reactive[RunId | None] = reactive(None)
    """The run that actions apply to."""
    on_done: reactive[bool] = reactive(False)
    """Whether the line of the runs that are done has the focus, and no run."""
    words: reactive[str] = reactive("")
    """Only runs that contain all these words are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned: set[RunId] = set()
        self._panes: dict[RunId, RunPane] = {}
        self._arranged: Arrangement | None = None

    def compose(self) -> ComposeResult:
        """Lay out header, panes, list and footer."""
        yield SplitLine(id="header")
        yield Container(Welcome(self.ccterm), id="panes")
        yield RunList(id="folded")
        yield FilterLine()
        yield StatusLine(self.ccterm.runs)
        yield KeyFooter()

    def on_resize(self) -> None:
        """Arrange the panes for the new size."""
        self.call_after_refresh(self.rearrange)

    def current_run(self) -> RunView | None:
        """Return the focused run."""
        return None if self.on_done else self.ccterm.runs.get(self.focused_run)

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now; "" when it can be."""
        if action == "attend":
            return "" if any(view.needs_attention for view in self.shown) else NOTHING_TO_ATTEND
        return "" if action == "zoom" and self.on_done else super().why_not(action)

    def answer_place(self) -> Widget | None:
        """Return the transcript of the focused run, where its pane has room for a box and something above it."""
        pane = self._panes.get(self.focused_run) if self.focused_run else None
        return pane.transcript if pane and pane.size.height >= ROOM_TO_WRITE else None

    @property
    def shown(self) -> list[RunView]:
        """The runs that pass the filter, in order."""
        return in_order(view for view in self.ccterm.runs if matches(view, self.words.split()))

    @on(Connected)
    @on(RunsChanged)
    async def _follow_runs(self) -> None:
        await self.rearrange()

    @on(Checked)
    def _show_checks(self) -> None:
        self.query_one(Welcome).show()

    @on(Ticked)
    def _tick(self) -> None:
        self._show_states()
        if not self._panes:
            self.query_one(Welcome).show()

    async def rearrange(self) -> None:
        """Give panes to the runs that should have one now, and show the state of all."""
        views = self.shown
        ids = [view.run.id for view in views]
        self._choose_focus(views, ids)
        area = self.size
        room = (area.width, area.height - 3 - min(len(ids), self._list_room))
        found = arrange(views, size=room, focused=self.focused_run, pinned=self.pinned, shown=self._panes.keys())
        if not found.done:
            self.on_done = False
        if found != self._arranged:
            self._arranged = found
            await self._lay_out(found)
        if not found.panes:
            welcome = self.query_one(Welcome)
            welcome.filtered = bool(self.words)
            welcome.show()
        self._show_states()
        self.refresh_bindings()

    @property
    def _list_room(self) -> int:
        """How many lines the list may take."""
        return max(3, self.size.height // 4)

    def _choose_focus(self, views: list[RunView], ids: list[RunId]) -> None:
        """Focus the run that was just started; where nothing shown has the focus, the first that is active or needs attention."""
        if self.ccterm.focus_when_shown in ids:
            self.set_reactive(FleetScreen.focused_run, self.ccterm.focus_when_shown)
            self.on_done = False
            self.ccterm.focus_when_shown, self._arranged = None, None  # the same arrangement may have another focus
        elif self.focused_run not in ids:
            candidates = (view.run.id for view in views if not view.run.state.final or view.needs_attention)
            self.set_reactive(FleetScreen.focused_run, next(candidates, ids[0] if ids else None))

    async def _lay_out(self, found: Arrangement) -> None:
        """Lay the panes out, keeping those that stay."""
        self.ccterm.panes = found.panes
        box = self.query_one("#panes", Container)
        with self.app.batch_update():
            for run in [run for run in self._panes if run not in found.panes]:
                self._put_away(run)
                await self._panes.pop(run).remove()
            for run in found.panes:
                if not box.is_attached:  # the app is closing, and nothing can be mounted any more
                    return
                if run not in self._panes:
                    self._panes[run] = RunPane(self.ccterm.runs[run], self.ccterm.thread(run), self.ccterm.frames)
                    await box.mount(self._panes[run])
            order = {self._panes[run]: index for index, run in enumerate(found.panes)}
            box.sort_children(key=lambda child: order.get(child, -1) if isinstance(child, RunPane) else -1)
            box.styles.grid_size_columns, box.styles.grid_size_rows = found.grid.columns, found.grid.rows
            for run, pane in self._panes.items():
                pane.styles.row_span = 2 if found.grid.tall and run == found.panes[0] else 1
            self.query_one(Welcome).display = not found.panes
            self._focus_pane()

    def _show_states(self) -> None:
        runs, at = self.ccterm.runs, self.ccterm.clock()
        filtered = f"filter: {self.words}" if self.words else ""
        self.query_one("#header", SplitLine).show(heading(self.ccterm.where, filtered), tally(runs, words=self.size.width >= WIDE_TALLY))
        selected = self.ccterm.selected
        for run, pane in self._panes.items():
            if run in runs:
                pane.show(runs[run], at, pinned=run in self.pinned, selected=run in selected)
        if found := self._arranged:
            listed, done = ([runs[run] for run in ids if run in runs] for ids in (found.listed, found.done))
            moment = Moment(at, selected)
            self.query_one(RunList).show(listed, done, moment, room=self._list_room, on_done=self.on_done)
        self.query_one(StatusLine).show_state(at)

    def _focus_pane(self) -> None:
        """Give the keyboard to the focused run's pane."""
        for run, pane in self._panes.items():
            pane.focused = run == self.focused_run and not self.on_done
        target = self._panes.get(self.focused_run) if self.focused_run else None
        if target and not isinstance(self.focused, Input | TextArea):
            target.transcript.focus()

    async def watch_focused_run(self) -> None:
        """Give the focused run a pane."""
        if self.is_mounted:
            await self.rearrange()
            self._focus_pane()
            self._show_states()

    async def watch_words(self) -> None:
        """Show what passes the filter."""
        if self.is_mounted:
            await self.rearrange()

    @on(RunPane.Chosen)
    @on(RunList.Chosen)
    def _focus_chosen(self, event: RunPane.Chosen | RunList.Chosen) -> None:
        event.stop()
        self._focus(event.run)

    def watch_on_done(self) -> None:
        """Show where the focus is."""
        if self.is_mounted:
            self._focus_pane()
            self._show_states()
            self.refresh_bindings()

    def _focus(self, run: RunId) -> None:
        """Focus a run."""
        self.on_done = False
        self.focused_run = run

    def action_focus_pane(self, place: int) -> None:
        """Focus the run whose pane is at this place, counted from 1 as one reads."""
        panes = self._arranged.panes if self._arranged else ()
        if place > len(panes):
            self.ccterm.note(no_such_pane(len(panes)), "warning")
        elif panes[place - 1] == self.focused_run and not self.on_done:
            self.ccterm.note("this pane is chosen already", "warning")
        else:
            self._focus(panes[place - 1])

    def action_step(self, by: int) -> None:
        """Focus the next or the previous run; the line of those that are done comes last."""
        done = self._arranged.done if self._arranged else ()
        places: list[RunId | None] = [view.run.id for view in self.shown if view.run.id not in done]
        places += [None] if done else []
        here = None if self.on_done else self.focused_run
        if len(places) < 2:
            self.ccterm.note(NO_OTHER_RUN, "warning")
        else:
            place = places[(places.index(here) + by) % len(places)] if here in places else places[0]
            self.on_done = place is None
            self.focused_run = place or self.focused_run

    def action_attend(self) -> None:
        """Focus the next run that needs the user."""
        needy = [view.run.id for view in self.shown if view.needs_attention]
        if needy == [self.focused_run] and not self.on_done:
            self.ccterm.note(NO_OTHER_TO_ATTEND, "warning")
        elif needy:
            here = needy.index(self.focused_run) if self.focused_run in needy and not self.on_done else -1
            self._focus(needy[(here + 1) % len(needy)])

    def action_table(self) -> None:
        """List all runs."""
        self._open_table()

    @on(RunList.Opened)
    def _open_line(self, event: RunList.Opened) -> None:
        event.stop()
        self._open_table("state:done" if event.done else "")

    def _open_table(self, words: str = "") -> None:
        from ccterm.tui.screens.table import TableScreen  # deferred: the first frame does not need it

        self.app.push_screen(TableScreen(words or self.words, self.focused_run))

    def action_zoom(self) -> None:
        """Show the run alone, or those that are done."""
        if self.on_done:
            self._open_table("state:done")
        else:
            self._open_run()

    def action_diff(self) -> None:
        """Show what the run changed."""
        self._open_run(diff=True)

    def _open_run(self, *, diff: bool = False) -> None:
        from ccterm.tui.screens.run import RunScreen  # deferred: the first frame does not need it

        self.app.push_screen(RunScreen(self._run_id(), diff=diff))

    async def action_pin(self) -> None:
        """Pin the run's pane, or unpin it."""
        self.pinned ^= {self._run_id()}
        await self.rearrange()

    def action_filter(self) -> None:
        """Ask for the words to filter by."""
        self.query_one(FilterLine).open()

    @on(FilterLine.Filtered)
    def _filter(self, event: FilterLine.Filtered) -> None:
        event.stop()
        self.words = event.words
        if event.done:
            self.set_focus(None)
            self._focus_pane()

    def make_room_for_toasts(self) -> None:
        """Let toasts cover a corner that is not of the chosen pane, if there is one."""
        pane = self._panes.get(self.focused_run) if self.focused_run else None
        corner = free_corner(self.size, pane.region if pane else Region())
        self.set_class(corner is not None, "-toasts-over")
        self.set_class("left" in (corner or ()), "-left")
        self.set_class("top" in (corner or ()), "-top")

    def selection_changed(self) -> None:
        """Show what is selected."""
        self._show_states()

    def on_key(self, event: events.Key) -> None:
        """On escape, select nothing any longer; else remove the filter."""
        if event.key == "escape" and self.ccterm.selected:
            event.stop()
            self.select([])
        elif event.key == "escape" and self.words:
            event.stop()
            self.query_one(FilterLine).close()
