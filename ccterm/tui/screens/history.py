"""History: how runs ended, newest first, and what is left to do about them."""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ccterm.causes import Cause
from ccterm.models import Run, RunId, State
from ccterm.tui.messages import Connected, RunsChanged, Ticked
from ccterm.tui.run_columns import Columns, Moment
from ccterm.tui.run_filter import matches
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run import RunScreen
from ccterm.tui.screens.run_actions import RunActions
from ccterm.tui.threads import columns_for, folded
from ccterm.tui.widgets.filter_line import FilterLine
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading
from ccterm.tui.widgets.state_lines import StatusLine

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service

SHOWN = 500
"""How many runs are listed at most."""
_OUTCOMES = ("pushed", "no changes", "refused", "failed", "cancelled", "asked")


class HistoryScreen(RunActions):
    """Past runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("enter", "zoom", "Open", show=False),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed"),
        Binding("f,slash", "filter", "Filter", tooltip="Show only runs whose branch, prompt, state or model contains these words"),
        Binding("u", "unreviewed", "Unreviewed", tooltip="Show only runs that are not reviewed, or all again"),
    ]

    words: reactive[str] = reactive("")
    """Only runs that contain all these words are shown."""
    unreviewed: reactive[bool] = reactive(False)
    """Whether reviewed runs are hidden."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[RunId] = []
        self._loading = False
        self._outdated = False
        """Whether something has happened since loading began."""

    def compose(self) -> ComposeResult:
        """Lay out header, runs and footer."""
        yield SplitLine(id="header")
        yield SplitLine(id="since")
        yield OptionList(id="past")
        yield FilterLine()
        yield StatusLine(self.ccterm.runs)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Load the runs."""
        self.query_one("#past").focus()
        self.load()

    def on_resize(self) -> None:
        """Share the width out anew."""
        self._show_runs()

    @on(RunsChanged)
    def _follow_runs(self, event: RunsChanged) -> None:
        """Load the runs again, unless all that has changed are runs under way, which are not listed: they change many times a second."""
        changed = [self.ccterm.runs.get(run) for run in event.runs]
        if not changed or any(view is None or view.run.state.final for view in changed):
            self.load()

    @on(Connected)
    def load(self) -> None:
        """Load the runs; once more at the end where they are being loaded, as what is on its way may be older than what was just told."""
        self._outdated = True
        if not self._loading and self.ccterm.service is not None:
            self._loading = True  # not by the worker, which begins later: the next message may come before it does
            self._load(self.ccterm.service)

    @on(Ticked)
    def _tick(self) -> None:
        self.query_one(StatusLine).show_state(self.ccterm.clock())

    @work(group="history", exit_on_error=False)
    async def _load(self, service: "Service") -> None:
        try:
            while self._outdated:
                self._outdated = False
                runs = await service.runs(limit=SHOWN)
                self.ccterm.past = {view.run.id: view for view in folded(run for run in reversed(runs) if run.state.final)}
                self._show_runs()
        finally:
            self._loading = False

    def _show_runs(self) -> None:
        past = list(self.ccterm.past.values())
        left = self.ccterm.memory.now.left
        runs = [run for view in past for run in view.thread]
        count = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
        several = f" in {len(past)} conversation{'' if len(past) == 1 else 's'}" if len(past) < len(runs) else ""
        only = "  ".join(filter(None, (f"filter: {self.words}" if self.words else "", "unreviewed" if self.unreviewed else "")))
        self.query_one("#header", SplitLine).show(heading("history", only), count + several)
        self.query_one("#since", SplitLine).show(since_left(runs, left))
        shown = [view for view in past if matches(view, self.words.split()) and not (self.unreviewed and view.run.reviewed)]
        listed = self.query_one("#past", OptionList)
        here = self.current_run()
        self._shown = [view.run.id for view in shown]
        width = max(30, self.size.width - 2)
        columns, moment = Columns(columns_for(shown, width), width - 1, shown), Moment(self.ccterm.clock())
        listed.clear_options().add_options(
            Option(Content.assemble(_reviewed(view.run), columns.line(view, moment)), id=view.run.id) for view in shown
        )
        listed.disabled = not shown  # enter would be its own, and do nothing
        if shown:
            if self.focused is None:
                listed.focus()
            listed.highlighted = self._shown.index(here.run.id) if here and here.run.id in self._shown else 0
        self._tick()
        self.refresh_bindings()

    def watch_words(self) -> None:
        """Show what passes the filter."""
        if self.is_mounted:
            self._show_runs()

    def watch_unreviewed(self) -> None:
        """Hide reviewed runs, or show them again."""
        if self.is_mounted:
            self._show_runs()

    def current_run(self) -> RunView | None:
        """Return the highlighted run."""
        index = self.query_one("#past", OptionList).highlighted if self.is_mounted else None
        return self.ccterm.past.get(self._shown[index]) if index is not None and index < len(self._shown) else None

    @on(OptionList.OptionHighlighted)
    def _follow_highlight(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.refresh_bindings()

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_zoom()

    def action_zoom(self) -> None:
        """Show the run alone."""
        self.app.push_screen(RunScreen(self._run_id(), past=True))

    def action_diff(self) -> None:
        """Show what the run changed."""
        self.app.push_screen(RunScreen(self._run_id(), diff=True, past=True))

    def action_unreviewed(self) -> None:
        """Hide reviewed runs, or show them again."""
        self.unreviewed = not self.unreviewed

    def action_filter(self) -> None:
        """Ask for the words to filter by."""
        self.query_one(FilterLine).open()

    @on(FilterLine.Filtered)
    def _filter(self, event: FilterLine.Filtered) -> None:
        event.stop()
        self.words = event.words
        if event.done:
            self.query_one("#past").focus()

    def action_back(self) -> None:
        """Remove the filter; without one, close the screen."""
        if self.words:
            self.query_one(FilterLine).close()
        else:
            self.app.pop_screen()


def since_left(runs: list[Run], left: datetime | None) -> Content:
    """Return how runs ended since the user closed the terminal: 31 pushed, 6 refused, 3 asked."""
    fresh = [run for run in runs if left is None or (run.finished and run.finished > left)]
    counts = Counter(_outcome(run) for run in fresh)
    counts["asked"] = sum(run.asked for run in fresh)
    said = ", ".join(f"{count} {word}" for word in _OUTCOMES if (count := counts[word]))
    return Content.assemble(("since you left: " if left else "in total: ", "dim"), said or "nothing new")


def _outcome(run: Run) -> str:
    if run.pushed:
        return "pushed"
    if run.state is State.FAILED:
        return "refused" if run.cause is Cause.POLICY else "failed"
    return "cancelled" if run.state is State.CANCELLED else "no changes"


def _reviewed(run: Run) -> Content:
    return Content(" ") if run.reviewed else Content.styled("•", "$text-accent")
