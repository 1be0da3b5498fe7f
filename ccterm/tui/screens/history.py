"""History: what became of runs, newest first, and what is left to do about them."""

from collections import Counter
from datetime import datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ccterm.causes import Cause
from ccterm.models import Run, RunId, State
from ccterm.render import change_numbers, outcome
from ccterm.tui.layout import matches
from ccterm.tui.messages import Connected, RunsChanged, Ticked
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run import RunViewScreen
from ccterm.tui.screens.run_actions import RunScreen
from ccterm.tui.widgets.filter_line import FilterLine
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import StatusLine, heading
from ccterm.tui.widgets.split_line import SplitLine
from ccterm.tui.words import cost, first_line, signed, spelled

SHOWN = 500


class HistoryScreen(RunScreen):
    """Past runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("enter", "zoom", "Open", show=False),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed"),
        Binding("f,slash", "filter", "Filter", tooltip="Show only runs whose branch, prompt, state or model holds these words"),
        Binding("u", "unreviewed", "Unseen", tooltip="Show only runs that are not reviewed, or all again"),
    ]

    words: reactive[str] = reactive("")
    """Only runs that hold all these words are shown."""
    unreviewed: reactive[bool] = reactive(False)
    """Whether reviewed runs are left out."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[RunId] = []

    def compose(self) -> ComposeResult:
        """Lay out head, runs and foot."""
        yield SplitLine(id="masthead")
        yield SplitLine(id="since")
        yield OptionList(id="past")
        yield FilterLine()
        yield StatusLine(self.host.roster)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the record."""
        self.query_one("#past").focus()
        self.load()

    def on_screen_resume(self) -> None:
        """Read it again after a look at a run."""
        self.load()

    @on(Connected)
    @on(RunsChanged)
    def load(self) -> None:
        """Read the record."""
        self._load()

    @on(Ticked)
    def _tick(self) -> None:
        self.query_one(StatusLine).say(self.host.clock())

    @work(group="history", exclusive=True, exit_on_error=False)
    async def _load(self) -> None:
        if self.host.service is None:
            return
        runs = await self.host.service.runs(limit=SHOWN)
        self.host.past = {run.id: RunView(run) for run in reversed(runs) if run.state.final}
        self._say()

    def _say(self) -> None:
        past = list(self.host.past.values())
        left = self.host.memory.now.left
        self.query_one("#masthead", SplitLine).show(heading("history", f"filter: {self.words}" if self.words else ""), f"{len(past)} runs")
        self.query_one("#since", SplitLine).show(since_left([sight.run for sight in past], left))
        shown = [sight for sight in past if matches(sight, self.words.split()) and not (self.unreviewed and sight.run.reviewed)]
        listed = self.query_one("#past", OptionList)
        here = self.at_hand()
        self._shown = [sight.run.id for sight in shown]
        width = max(40, self.size.width - 2)
        listed.clear_options().add_options(Option(_row(sight.run, width), id=sight.run.id) for sight in shown)
        if shown:
            listed.highlighted = self._shown.index(here.run.id) if here and here.run.id in self._shown else 0
        self._tick()
        self.refresh_bindings()

    def watch_words(self) -> None:
        """Show what the filter lets through."""
        if self.is_mounted:
            self._say()

    def watch_unreviewed(self) -> None:
        """Leave reviewed runs out, or not."""
        if self.is_mounted:
            self._say()

    def at_hand(self) -> RunView | None:
        """Return the chosen run."""
        index = self.query_one("#past", OptionList).highlighted if self.is_mounted else None
        return self.host.past.get(self._shown[index]) if index is not None and index < len(self._shown) else None

    @on(OptionList.OptionHighlighted)
    def _move(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.refresh_bindings()

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_zoom()

    def action_zoom(self) -> None:
        """Show the run alone."""
        self.app.push_screen(RunViewScreen(self._run()))

    def action_diff(self) -> None:
        """Show what the run changed."""
        self.app.push_screen(RunViewScreen(self._run(), diff=True))

    def action_unreviewed(self) -> None:
        """Leave reviewed runs out, or show them again."""
        self.unreviewed = not self.unreviewed

    def action_filter(self) -> None:
        """Ask for words."""
        self.query_one(FilterLine).open()

    @on(FilterLine.Words)
    def _take_words(self, event: FilterLine.Words) -> None:
        event.stop()
        self.words = event.words
        if event.done:
            self.query_one("#past").focus()

    def action_back(self) -> None:
        """Take the filter away, else leave."""
        if self.words:
            self.query_one(FilterLine).close()
        else:
            self.app.pop_screen()


def since_left(runs: list[Run], left: datetime | None) -> Content:
    """Return what happened since the user was last here: 31 pushed, 6 refused, 3 asked."""
    fresh = [run for run in runs if left is None or (run.finished and run.finished > left)]
    counts = Counter(_became(run) for run in fresh)
    counts["asked"] = sum(run.asked for run in fresh)
    said = ", ".join(f"{count} {word}" for word in _BECAME if (count := counts[word]))
    return Content.assemble(("since you left: " if left else "in all: ", "dim"), said or "nothing new")


_BECAME = ("pushed", "without changes", "refused", "failed", "cancelled", "asked")


def _became(run: Run) -> str:
    if run.pushed:
        return "pushed"
    if run.state is State.FAILED:
        return "refused" if run.cause is Cause.POLICY else "failed"
    return "cancelled" if run.state is State.CANCELLED else "without changes"


def _row(run: Run, width: int) -> Content:
    wide = width >= 100
    asked = ("? asked  ", "$text-warning") if run.asked and run.state is State.SUCCEEDED else ("", "")
    seen = (" ", "") if run.reviewed else ("•", "$text-accent")
    named = Content.assemble(seen, " ", signed(run), " ", Content(run.task.target).truncate(26 if wide else 20, ellipsis=True, pad=True))
    stands = Content(outcome(run)).truncate(26 if wide else 24, ellipsis=True, pad=True)
    numbers = f"{spelled(run.seconds):>6} {cost(run):>6}  {run.created.astimezone():%m-%d %H:%M}  "
    more = f"{change_numbers(run)}  {first_line(run.summary) if run.summary else ''}".strip() if wide else ""
    return Content.assemble(named, " ", stands, (numbers, "dim"), asked, (more, "dim")).truncate(width, ellipsis=True)
