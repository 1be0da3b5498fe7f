"""One run alone: its transcript or its diff, and beside it steps, verdict and numbers."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import ContentSwitcher, OptionList, Static
from textual.widgets.option_list import Option

from ccterm.models import RunId
from ccterm.tui.app_base import RunsChanged, Ticked
from ccterm.tui.pane import EventPane
from ccterm.tui.patch import FilePatch, parse_patch
from ccterm.tui.run_text import name
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run_actions import RunActions
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, StatusLine, heading, tally
from ccterm.tui.widgets.patch_view import PatchView
from ccterm.tui.widgets.run_facts import RunFacts

WIDE, VERY_WIDE = 100, 150
"""From these widths on the facts are beside the transcript, and a diff has two columns."""


class RunScreen(RunActions):
    """A run, zoomed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed, or the transcript again"),
        Binding("tab", "facts", "Facts", show=False, tooltip="On a narrow screen: show the facts, or the transcript again"),
        Binding("right", "neighbour(1)", "Next run", show=False),
        Binding("left", "neighbour(-1)", "Previous run", show=False),
    ]

    def __init__(self, run: RunId, *, diff: bool = False) -> None:
        super().__init__()
        self.run = run
        self._opened_on_diff = diff
        self._showing_facts = False

    def compose(self) -> ComposeResult:
        """Lay out header, the two sides and footer."""
        yield SplitLine(id="header")
        with Horizontal(id="sides"):
            with ContentSwitcher(initial="transcript", id="main"):
                yield EventPane(self.ccterm.transcript(self.run), run=self.run, clock=self.ccterm.frames, id="transcript")
                yield PatchView(id="patch")
                yield Static("", id="nothing", markup=False)
            with VerticalScroll(id="side", can_focus=False):
                yield OptionList(id="files")
                yield RunFacts()
        yield StatusLine(self.ccterm.runs)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the run, and give its transcript the keys."""
        self.query_one("#files").display = False
        self.query_one(EventPane).focus()
        self._show_run()
        if self._opened_on_diff:
            self.action_diff()

    def on_resize(self) -> None:
        """Lay out for the new size."""
        self._lay_out()
        self.query_one(PatchView).two_columns = self.size.width >= VERY_WIDE

    def current_run(self) -> RunView | None:
        """Return the run that is shown."""
        return self.ccterm.runs.get(self.run) or self.ccterm.past.get(self.run)

    @property
    def shows_diff(self) -> bool:
        """Whether the diff is shown instead of the transcript."""
        return self.query_one(ContentSwitcher).current != "transcript"

    @on(RunsChanged)
    def _follow_runs(self, event: RunsChanged) -> None:
        if self.run in event.runs and self.current_run() is None:  # it was reviewed, and is no longer in the fleet
            self.app.pop_screen()
            return
        self._show_run()
        self.refresh_bindings()

    @on(Ticked)
    def _show_run(self) -> None:
        view, at = self.current_run(), self.ccterm.clock()
        if view:
            self.query_one("#header", SplitLine).show(
                heading(f"{view.run.label}  {name(view.run)}", view.run.task.remote or view.run.task.repo), tally(self.ccterm.runs)
            )
            self.query_one(RunFacts).show(view, at)
        self.query_one(StatusLine).show_state(at)

    def _lay_out(self) -> None:
        """Show both sides where there is room, else one of them."""
        wide = self.size.width >= WIDE
        self.set_class(not wide, "-narrow")
        self.query_one("#side").display = wide or self._showing_facts
        self.query_one("#main").display = wide or not self._showing_facts

    def action_facts(self) -> None:
        """Show the other side of a narrow screen."""
        self._showing_facts = not self._showing_facts
        self._lay_out()

    def action_back(self) -> None:
        """Close the diff, else the screen."""
        if self.shows_diff and not self._opened_on_diff:
            self._switch(files=None)
        else:
            self.app.pop_screen()

    def action_diff(self) -> None:
        """Show the diff, or the transcript again."""
        if self.shows_diff:
            self._switch(files=None)
        else:
            self._load()

    @work(group="patch", exclusive=True, exit_on_error=False)
    async def _load(self) -> None:
        patch = await self.ccterm.service.patch(self.run) if self.ccterm.service else None
        self._switch(files=parse_patch(patch) if patch else [])

    def _switch(self, files: list[FilePatch] | None) -> None:
        """Show the changes of these files; None shows the transcript."""
        listed = self.query_one("#files", OptionList)
        listed.display = bool(files)
        self.query_one(ContentSwitcher).current = "transcript" if files is None else "patch" if files else "nothing"
        if files is None:
            self.query_one(EventPane).focus()
        elif files:
            listed.clear_options().add_options(Option(_file(file)) for file in files)
            patch = self.query_one(PatchView)
            patch.show(files)
            patch.focus()
        else:
            self.query_one("#nothing", Static).update(
                "No commit yet: the diff appears once the agent has finished and its work is committed."
            )
        self.refresh_bindings()

    @on(OptionList.OptionSelected, "#files")
    def _go_to_file(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.query_one(PatchView).go_to(event.option_index)
        self.query_one(PatchView).focus()

    @on(PatchView.FileReached)
    def _highlight_file(self, event: PatchView.FileReached) -> None:
        event.stop()
        self.query_one("#files", OptionList).highlighted = event.index

    def action_neighbour(self, by: int) -> None:
        """Show the next or the previous run."""
        ids = [view.run.id for view in self.ccterm.runs]
        if self.run in ids and len(ids) > 1:
            self.app.switch_screen(RunScreen(ids[(ids.index(self.run) + by) % len(ids)], diff=self.shows_diff))


def _file(file: FilePatch) -> Content:
    letter = {"added": "A", "deleted": "D", "modified": "M"}.get(file.action, "R")
    return Content.assemble(
        (f"{letter} ", "bold"), file.path, "  ", (f"+{file.added}", "$text-success"), " ", (f"-{file.removed}", "$text-error")
    )
