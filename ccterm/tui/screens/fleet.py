"""The fleet: runs side by side. Who wants the user gets room, quiet ones fold to one line, and nothing moves by itself but for that."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import Input, Static

from ccterm.models import RunId
from ccterm.tui.layout import Arrangement, arrange, matches
from ccterm.tui.messages import Connected, RunsChanged, Ticked
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run_actions import RunScreen
from ccterm.tui.widgets.filter_line import FilterLine
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import StatusLine, heading, tally
from ccterm.tui.widgets.run_list import RunList
from ccterm.tui.widgets.run_pane import RunPane
from ccterm.tui.widgets.split_line import SplitLine

_EMPTY = """
No runs yet.

  n   write a task and launch it, or many at once
  p   see whether this machine has what runs need
  H   look at past runs
  ?   all keys
"""


class FleetScreen(RunScreen):
    """All runs at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "zoom", "Zoom", tooltip="Show the run alone, with its steps, diff and numbers"),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed"),
        Binding("f", "filter", "Filter", tooltip="Show only runs whose branch, prompt, state or model holds these words"),
        Binding("space", "pin", "Pin", show=False, tooltip="Keep the pane, whatever happens to others; again: let it go"),
        Binding("tab,right", "step(1)", "Next run", show=False),
        Binding("shift+tab,left", "step(-1)", "Run before", show=False),
        *(Binding(str(number), f"focus_number({number})", f"Run {number}", show=False) for number in range(1, 10)),
    ]

    AUTO_FOCUS = ""

    focused_run: reactive[RunId | None] = reactive(None)
    """The run that orders go to."""
    words: reactive[str] = reactive("")
    """Only runs that hold all these words are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned: set[RunId] = set()
        self._panes: dict[RunId, RunPane] = {}
        self._arranged: Arrangement | None = None

    def compose(self) -> ComposeResult:
        """Lay out head, panes, list and foot."""
        yield SplitLine(id="masthead")
        yield Container(Static(_EMPTY, id="empty", markup=False), id="panes")
        yield RunList(id="folded")
        yield FilterLine()
        yield StatusLine(self.host.roster)
        yield KeyFooter()

    def on_resize(self) -> None:
        """Use the new room."""
        self.call_after_refresh(self.rearrange)

    async def on_screen_resume(self) -> None:
        """Show what happened meanwhile."""
        await self.rearrange()

    def at_hand(self) -> RunView | None:
        """Return the focused run."""
        return self.host.roster.get(self.focused_run)

    @property
    def shown(self) -> list[RunView]:
        """The runs that the filter lets through, in their order."""
        return [sight for sight in self.host.roster if matches(sight, self.words.split())]

    @on(Connected)
    @on(RunsChanged)
    async def _take_change(self) -> None:
        await self.rearrange()

    @on(Ticked)
    def _tick(self) -> None:
        self._say()

    async def rearrange(self) -> None:
        """Give panes to those who should have one now, and say how all stand."""
        sights = self.shown
        ids = [sight.run.id for sight in sights]
        if self.host.awaited in ids:
            self.set_reactive(FleetScreen.focused_run, self.host.awaited)
            self.host.awaited, self._arranged = None, None  # the arrangement may be the same: the focus is another
        elif self.focused_run not in ids:
            lively = (sight.run.id for sight in sights if not sight.run.state.final or sight.wants)
            self.set_reactive(FleetScreen.focused_run, next(lively, ids[0] if ids else None))
        area = self.size
        room = (area.width, area.height - 3 - min(len(ids), max(3, area.height // 4)))
        found = arrange(sights, size=room, focused=self.focused_run, pinned=self.pinned, shown=self._panes.keys())
        if found != self._arranged:
            self._arranged = found
            await self._lay_out(found)
        self._say()
        self.refresh_bindings()

    async def _lay_out(self, found: Arrangement) -> None:
        """Bring the panes to an arrangement, keeping those that stay."""
        box = self.query_one("#panes", Container)
        with self.app.batch_update():
            for run in [run for run in self._panes if run not in found.panes]:
                await self._panes.pop(run).remove()
            for run in found.panes:
                if run not in self._panes:
                    self._panes[run] = RunPane(self.host.roster[run], self.host.transcript(run), self.host.frames)
                    await box.mount(self._panes[run])
            order = {self._panes[run]: index for index, run in enumerate(found.panes)}
            box.sort_children(key=lambda child: order.get(child, -1) if isinstance(child, RunPane) else -1)
            box.styles.grid_size_columns, box.styles.grid_size_rows = found.grid.columns, found.grid.rows
            for run, pane in self._panes.items():
                pane.styles.row_span = 2 if found.grid.tall and run == found.panes[0] else 1
            self.query_one("#empty").display = not found.panes
            self._aim()

    def _say(self) -> None:
        roster, at = self.host.roster, self.host.clock()
        self.query_one("#masthead", SplitLine).show(heading(self.host.where, f"filter: {self.words}" if self.words else ""), tally(roster))
        for run, pane in self._panes.items():
            if run in roster:
                pane.show(roster[run], roster.number(run), at, pinned=run in self.pinned)
        folded = self._arranged.folded if self._arranged else ()
        listed = self.query_one(RunList)
        listed.display = bool(folded)
        listed.styles.max_height = max(3, self.size.height // 4)
        listed.show([run for run in folded if run in roster], roster, at)
        self.query_one(StatusLine).say(at)

    def _aim(self) -> None:
        """Let the focused pane have the keys."""
        for run, pane in self._panes.items():
            pane.focused = run == self.focused_run
        if (aimed := self._panes.get(self.focused_run)) and not isinstance(self.focused, Input):  # type: ignore[arg-type]  # None is in no dict
            aimed.transcript.focus()

    async def watch_focused_run(self) -> None:
        """Give the focused run a pane."""
        if self.is_mounted:
            await self.rearrange()
            self._aim()
            self._say()

    async def watch_words(self) -> None:
        """Show what the filter lets through."""
        if self.is_mounted:
            await self.rearrange()

    @on(RunPane.Chosen)
    @on(RunList.Chosen)
    def _choose(self, event: RunPane.Chosen | RunList.Chosen) -> None:
        event.stop()
        self.focused_run = event.run

    def action_focus_number(self, number: int) -> None:
        """Focus the run of this number."""
        numbers = {self.host.roster.number(sight.run.id): sight.run.id for sight in self.shown}
        if number in numbers:
            self.focused_run = numbers[number]

    def action_step(self, by: int) -> None:
        """Focus the next run, or the one before."""
        ids = [sight.run.id for sight in self.shown]
        if ids:
            here = ids.index(self.focused_run) if self.focused_run in ids else 0
            self.focused_run = ids[(here + by) % len(ids)]

    def action_zoom(self) -> None:
        """Show the run alone."""
        self._view()

    def action_diff(self) -> None:
        """Show what the run changed."""
        self._view(diff=True)

    def _view(self, *, diff: bool = False) -> None:
        from ccterm.tui.screens.run import RunViewScreen  # deferred: the first frame does without

        self.app.push_screen(RunViewScreen(self._run(), diff=diff))

    async def action_pin(self) -> None:
        """Keep the run's pane, or let it go."""
        self.pinned ^= {self._run()}
        await self.rearrange()

    def action_filter(self) -> None:
        """Ask for words."""
        self.query_one(FilterLine).open()

    @on(FilterLine.Words)
    def _take_words(self, event: FilterLine.Words) -> None:
        event.stop()
        self.words = event.words
        if event.done:
            self.set_focus(None)
            self._aim()

    def on_key(self, event: events.Key) -> None:
        """Let escape take the filter away."""
        if event.key == "escape" and self.words:
            event.stop()
            self.query_one(FilterLine).close()
