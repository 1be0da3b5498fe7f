"""The fleet: runs side by side. Runs that need attention get room, quiet ones fold to one line, and nothing else moves by itself."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import Input, Static

from ccterm.models import RunId
from ccterm.tui.app_base import Connected, RunsChanged, Ticked
from ccterm.tui.layout import Arrangement, arrange, matches
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run_actions import RunActions
from ccterm.tui.widgets.filter_line import FilterLine
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, StatusLine, heading, tally
from ccterm.tui.widgets.run_list import RunList
from ccterm.tui.widgets.run_pane import RunPane

_EMPTY = """
No runs yet.

  n   write a task and launch it, or several at once
  p   check whether this machine has what runs need
  H   show past runs
  ?   show all keys
"""


class FleetScreen(RunActions):
    """All runs at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "zoom", "Zoom", tooltip="Show the run alone, with its steps, diff and numbers"),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed"),
        Binding("f", "filter", "Filter", tooltip="Show only runs whose branch, prompt, state or model contains these words"),
        Binding("space", "pin", "Pin", show=False, tooltip="Pin the run's pane so that no other run takes its room, or unpin it"),
        Binding("tab,right", "step(1)", "Next run", show=False),
        Binding("shift+tab,left", "step(-1)", "Previous run", show=False),
        *(Binding(str(number), f"focus_number({number})", f"Run {number}", show=False) for number in range(1, 10)),
    ]

    AUTO_FOCUS = ""

    focused_run: reactive[RunId | None] = reactive(None)
    """The run that actions apply to."""
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
        yield Container(Static(_EMPTY, id="empty", markup=False), id="panes")
        yield RunList(id="folded")
        yield FilterLine()
        yield StatusLine(self.ccterm.runs)
        yield KeyFooter()

    def on_resize(self) -> None:
        """Arrange the panes for the new size."""
        self.call_after_refresh(self.rearrange)

    async def on_screen_resume(self) -> None:
        """Show what happened behind another screen."""
        await self.rearrange()

    def current_run(self) -> RunView | None:
        """Return the focused run."""
        return self.ccterm.runs.get(self.focused_run)

    @property
    def shown(self) -> list[RunView]:
        """The runs that pass the filter, in their order."""
        return [view for view in self.ccterm.runs if matches(view, self.words.split())]

    @on(Connected)
    @on(RunsChanged)
    async def _follow_runs(self) -> None:
        await self.rearrange()

    @on(Ticked)
    def _tick(self) -> None:
        self._show_states()

    async def rearrange(self) -> None:
        """Give panes to the runs that should have one now, and show the state of all."""
        views = self.shown
        ids = [view.run.id for view in views]
        self._choose_focus(views, ids)
        area = self.size
        room = (area.width, area.height - 3 - min(len(ids), max(3, area.height // 4)))
        found = arrange(views, size=room, focused=self.focused_run, pinned=self.pinned, shown=self._panes.keys())
        if found != self._arranged:
            self._arranged = found
            await self._lay_out(found)
        self._show_states()
        self.refresh_bindings()

    def _choose_focus(self, views: list[RunView], ids: list[RunId]) -> None:
        """Focus the run that was just started; where nothing shown has the focus, the first that is active or needs attention."""
        if self.ccterm.focus_when_shown in ids:
            self.set_reactive(FleetScreen.focused_run, self.ccterm.focus_when_shown)
            self.ccterm.focus_when_shown, self._arranged = None, None  # the same arrangement may have another focus
        elif self.focused_run not in ids:
            candidates = (view.run.id for view in views if not view.run.state.final or view.needs_attention)
            self.set_reactive(FleetScreen.focused_run, next(candidates, ids[0] if ids else None))

    async def _lay_out(self, found: Arrangement) -> None:
        """Lay the panes out, keeping those that stay."""
        box = self.query_one("#panes", Container)
        with self.app.batch_update():
            for run in [run for run in self._panes if run not in found.panes]:
                await self._panes.pop(run).remove()
            for run in found.panes:
                if not box.is_attached:  # the app is closing, and nothing can be mounted any more
                    return
                if run not in self._panes:
                    self._panes[run] = RunPane(self.ccterm.runs[run], self.ccterm.transcript(run), self.ccterm.frames)
                    await box.mount(self._panes[run])
            order = {self._panes[run]: index for index, run in enumerate(found.panes)}
            box.sort_children(key=lambda child: order.get(child, -1) if isinstance(child, RunPane) else -1)
            box.styles.grid_size_columns, box.styles.grid_size_rows = found.grid.columns, found.grid.rows
            for run, pane in self._panes.items():
                pane.styles.row_span = 2 if found.grid.tall and run == found.panes[0] else 1
            self.query_one("#empty").display = not found.panes
            self._focus_pane()

    def _show_states(self) -> None:
        runs, at = self.ccterm.runs, self.ccterm.clock()
        filtered = f"filter: {self.words}" if self.words else ""
        self.query_one("#header", SplitLine).show(heading(self.ccterm.where, filtered), tally(runs))
        for run, pane in self._panes.items():
            if run in runs:
                pane.show(runs[run], runs.number(run), at, pinned=run in self.pinned)
        folded = self._arranged.folded if self._arranged else ()
        listed = self.query_one(RunList)
        listed.display = bool(folded)
        listed.styles.max_height = max(3, self.size.height // 4)
        listed.show([run for run in folded if run in runs], runs, at)
        self.query_one(StatusLine).show_state(at)

    def _focus_pane(self) -> None:
        """Give the keyboard to the focused run's pane."""
        for run, pane in self._panes.items():
            pane.focused = run == self.focused_run
        target = self._panes.get(self.focused_run) if self.focused_run else None
        if target and not isinstance(self.focused, Input):
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
        self.focused_run = event.run

    def action_focus_number(self, number: int) -> None:
        """Focus the run of this number."""
        numbers = {self.ccterm.runs.number(view.run.id): view.run.id for view in self.shown}
        if number in numbers:
            self.focused_run = numbers[number]

    def action_step(self, by: int) -> None:
        """Focus the next or the previous run."""
        ids = [view.run.id for view in self.shown]
        if ids:
            here = ids.index(self.focused_run) if self.focused_run in ids else 0
            self.focused_run = ids[(here + by) % len(ids)]

    def action_zoom(self) -> None:
        """Show the run alone."""
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

    def on_key(self, event: events.Key) -> None:
        """Remove the filter on escape."""
        if event.key == "escape" and self.words:
            event.stop()
            self.query_one(FilterLine).close()
