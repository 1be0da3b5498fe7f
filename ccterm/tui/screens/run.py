"""One run alone: its transcript or what it changed, and beside it steps, verdict and numbers."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import ContentSwitcher, OptionList, Static
from textual.widgets.option_list import Option

from ccterm.models import RunId
from ccterm.tui.messages import RunsChanged, Ticked
from ccterm.tui.pane import EventPane
from ccterm.tui.patch import FilePatch, parse_patch
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run_actions import RunScreen
from ccterm.tui.widgets.facts import Facts
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import StatusLine, heading, tally
from ccterm.tui.widgets.patch_view import PatchView
from ccterm.tui.widgets.split_line import SplitLine

WIDE, VERY_WIDE = 100, 150
"""From these widths on facts stand beside the transcript, and a diff has two columns."""


class RunViewScreen(RunScreen):
    """A run, zoomed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed, or the transcript again"),
        Binding("tab", "facts", "Facts", show=False, tooltip="On a narrow screen: show the facts instead, or the transcript again"),
        Binding("right", "neighbour(1)", "Next run", show=False),
        Binding("left", "neighbour(-1)", "Run before", show=False),
    ]

    def __init__(self, run: RunId, *, diff: bool = False) -> None:
        super().__init__()
        self.run = run
        self._begins_with_diff = diff
        self._aside = False

    def compose(self) -> ComposeResult:
        """Lay out head, the two sides and foot."""
        yield SplitLine(id="masthead")
        with Horizontal(id="sides"):
            with ContentSwitcher(initial="transcript", id="main"):
                yield EventPane(self.host.transcript(self.run), run=self.run, clock=self.host.frames, id="transcript")
                yield PatchView(id="patch")
                yield Static("", id="nothing", markup=False)
            with VerticalScroll(id="side", can_focus=False):
                yield OptionList(id="files")
                yield Facts()
        yield StatusLine(self.host.roster)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Say how the run stands, and give its transcript the keys."""
        self.query_one("#files").display = False
        self.query_one(EventPane).focus()
        self._say()
        if self._begins_with_diff:
            self.action_diff()

    def on_resize(self) -> None:
        """Use the new room."""
        self._place()
        self.query_one(PatchView).beside = self.size.width >= VERY_WIDE

    def at_hand(self) -> RunView | None:
        """Return the run that is shown."""
        return self.host.roster.get(self.run) or self.host.past.get(self.run)

    @property
    def shows_diff(self) -> bool:
        """Whether the diff is shown instead of the transcript."""
        return self.query_one(ContentSwitcher).current != "transcript"

    @on(RunsChanged)
    def _take_change(self, event: RunsChanged) -> None:
        if self.run in event.runs and self.at_hand() is None:  # put away as reviewed
            self.app.pop_screen()
            return
        self._say()
        self.refresh_bindings()

    @on(Ticked)
    def _say(self) -> None:
        sight, at = self.at_hand(), self.host.clock()
        if sight:
            number = f"{self.host.roster.number(self.run)}  " if self.run in self.host.roster else ""
            self.query_one("#masthead", SplitLine).show(
                heading(f"{number}{sight.run.task.target}", sight.run.task.remote or sight.run.task.repo), tally(self.host.roster)
            )
            self.query_one(Facts).show(sight, at)
        self.query_one(StatusLine).say(at)

    def _place(self) -> None:
        """Show both sides where there is room, else one of them."""
        wide = self.size.width >= WIDE
        self.set_class(not wide, "-narrow")
        self.query_one("#side").display = wide or self._aside
        self.query_one("#main").display = wide or not self._aside

    def action_facts(self) -> None:
        """Show the other side of a narrow screen."""
        self._aside = not self._aside
        self._place()

    def action_back(self) -> None:
        """Leave the diff, else the run."""
        if self.shows_diff and not self._begins_with_diff:
            self._turn(files=None)
        else:
            self.app.pop_screen()

    def action_diff(self) -> None:
        """Show the diff, or the transcript again."""
        if self.shows_diff:
            self._turn(files=None)
        else:
            self._load()

    @work(group="patch", exclusive=True, exit_on_error=False)
    async def _load(self) -> None:
        patch = await self.host.service.patch(self.run) if self.host.service else None
        self._turn(files=parse_patch(patch) if patch else [])

    def _turn(self, files: list[FilePatch] | None) -> None:
        """Show these files' changes; None shows the transcript."""
        listed = self.query_one("#files", OptionList)
        listed.display = bool(files)
        self.query_one(ContentSwitcher).current = "transcript" if files is None else "patch" if files else "nothing"
        if files is None:
            self.query_one(EventPane).focus()
        elif files:
            listed.clear_options().add_options(Option(_entry(file)) for file in files)
            patch = self.query_one(PatchView)
            patch.show(files)
            patch.focus()
        else:
            self.query_one("#nothing", Static).update(
                "No commit yet: the diff is there once the agent has ended and its work is collected."
            )
        self.refresh_bindings()

    @on(OptionList.OptionSelected, "#files")
    def _go_to_file(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.query_one(PatchView).go_to(event.option_index)
        self.query_one(PatchView).focus()

    @on(PatchView.AtFile)
    def _mark_file(self, event: PatchView.AtFile) -> None:
        event.stop()
        self.query_one("#files", OptionList).highlighted = event.index

    def action_neighbour(self, by: int) -> None:
        """Show the next run, or the one before."""
        ids = [sight.run.id for sight in self.host.roster]
        if self.run in ids and len(ids) > 1:
            self.app.switch_screen(RunViewScreen(ids[(ids.index(self.run) + by) % len(ids)], diff=self.shows_diff))


def _entry(file: FilePatch) -> Content:
    mark = {"added": "A", "deleted": "D", "modified": "M"}.get(file.deed, "R")
    return Content.assemble(
        (f"{mark} ", "bold"), file.path, "  ", (f"+{file.added}", "$text-success"), " ", (f"-{file.removed}", "$text-error")
    )
