"""One run alone: its transcript or its diff, and beside it steps, verdict and numbers."""

import asyncio
import time
from datetime import datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static, Tree

from ccterm.errors import CctermError
from ccterm.models import RunId, State
from ccterm.render import clock
from ccterm.tui.messages import RunsChanged, Ticked
from ccterm.tui.pane import EventPane
from ccterm.tui.patch import FilePatch, parse_patch
from ccterm.tui.patch.comments import commented
from ccterm.tui.possible import NO_OTHER_RUN, no_such_pane
from ccterm.tui.run_text import name, short_name
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.dialogs import LineDialog
from ccterm.tui.screens.run_actions import RunActions
from ccterm.tui.widgets.file_tree import FileTree
from ccterm.tui.widgets.footer import KeyFooter
from ccterm.tui.widgets.header import SplitLine, heading
from ccterm.tui.widgets.patch_view import PatchView
from ccterm.tui.widgets.run_facts import RunFacts
from ccterm.tui.widgets.state_lines import StatusLine, tally

WIDE, VERY_WIDE = 100, 150
"""From these widths on the facts are beside the transcript, and a diff has two columns."""
_NO_COMMIT = "No commit yet: the diff appears once the agent has finished and its work is committed."
_NO_DIFF = "There is no diff: the run has made no commit, or its patch has been removed."
_NO_CHANGES = "The agent has changed nothing yet. This follows it while it works."
_READING = "Reading what the agent has changed up to now…"
_LARGE = 1 << 20
LIVE_SECONDS, LIVE_SHARE = 4, 10
"""How many seconds lie at least between two looks at what a running agent has changed, while its diff is shown; and how many times as long as
a look took, since it costs processor time."""


class RunScreen(RunActions):
    """A run, zoomed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("d", "diff", "Diff", tooltip="Show what the run changed, or the transcript again"),
        Binding("R", "refresh_diff", "Refresh", show=False, tooltip="Look again at what the running agent has changed"),
        Binding("enter", "unfold", "Unfold", show=False, tooltip="Show all of the chosen event, or less of it again"),
        Binding("tab", "other_side", "Steps, cost", tooltip="Go to the files, steps, numbers and advice, or back"),
        Binding("right", "neighbour(1)", "Next run", show=False),
        Binding("left", "neighbour(-1)", "Previous run", show=False),
        *(Binding(str(place), f"pick({place})", f"Pane {place}", show=False) for place in range(1, 10)),
    ]

    def __init__(self, run: RunId, *, diff: bool = False, past: bool = False) -> None:
        """run: which one. past: it is one of the history, and stays there when it is reviewed."""
        super().__init__()
        self.run = run
        self.past = past
        self._opened_on_diff = diff
        self._seen: datetime | None = None
        """When the diff of a running agent was read; None = it is not one of those."""
        self._may_change = False
        """Whether the run had not ended when its diff was read, so that it may be another one by now."""
        self._looking = False
        self._next_look = 0.0
        self._showing_side = False

    def compose(self) -> ComposeResult:
        """Lay out header, the two sides and footer."""
        yield SplitLine(id="header")
        with Horizontal(id="sides"):
            with ContentSwitcher(initial="transcript", id="main"):
                yield EventPane(self.ccterm.thread(self.run), run=self.run, clock=self.ccterm.frames, id="transcript")
                yield PatchView(id="patch")
                yield Static("", id="nothing", markup=False)
            with VerticalScroll(id="side"):
                yield FileTree(id="files")
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
        return self.ccterm.runs.get(self.run) or (self.ccterm.past.get(self.run) if self.past else None)

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now; "" when it can be."""
        view = self.current_run()
        match action:
            case "unfold":  # the transcript has this key while it has something to unfold
                return (
                    "no event is chosen that has more to show; [ and ] choose one"
                    if not self.shows_diff
                    else "d goes back to the transcript"
                )
            case "refresh_diff" if not self.shows_diff:
                return "d shows what the run has changed"
            case "refresh_diff" if view and view.run.state is not State.RUNNING:
                return f"{short_name(view.run)} changes nothing any more"
            case "neighbour" if len(self.ccterm.runs) < 2 or self.run not in self.ccterm.runs:
                return NO_OTHER_RUN
            case _:
                return super().why_not(action)

    def action_unfold(self) -> None:
        """Do nothing: the transcript has this key while there is something to unfold."""

    def answer_place(self) -> Widget | None:
        """Return the two sides."""
        return self.query_one("#sides")

    @property
    def shows_diff(self) -> bool:
        """Whether the diff is shown instead of the transcript."""
        return self.query_one(ContentSwitcher).current != "transcript"

    @on(RunsChanged)
    def _follow_runs(self) -> None:
        if self.current_run() is None:  # it was reviewed, and is no longer in the fleet
            if self.app.screen is self:  # else it is left when it comes back
                self.app.pop_screen()
            return
        self._show_run()
        self._follow_end()
        self.refresh_bindings()

    def _follow_end(self) -> None:
        """Look once more when the run has ended since its diff was read."""
        view = self.current_run()
        if self._may_change and view and view.run.state.final:
            self.action_refresh_diff()

    @on(Ticked)
    def _show_run(self) -> None:
        view, at = self.current_run(), self.ccterm.clock()
        if view:
            self._show_header(view)
            self.query_one(RunFacts).show(view, at)
            self.query_one(PatchView).comments = self.ccterm.memory.comments(self.run)
        self.query_one(StatusLine).show_state(at)

    def _show_header(self, view: RunView | None) -> None:
        if view:
            live = f"changes up to {clock(self._seen)}" if self.shows_diff and self._seen else ""
            where = live or view.run.task.remote or view.run.task.repo
            self.query_one("#header", SplitLine).show(heading(f"{view.run.label}  {name(view.run)}", where), tally(self.ccterm.runs))

    def _lay_out(self) -> None:
        """Show both sides where there is room, else one of them."""
        wide = self.size.width >= WIDE
        self.set_class(not wide, "-narrow")
        self.query_one("#side").display = wide or self._showing_side
        self.query_one("#main").display = wide or not self._showing_side

    @property
    def _main(self) -> EventPane | PatchView:
        """What has the keys on the main side."""
        return self.query_one(PatchView) if self.query_one(ContentSwitcher).current == "patch" else self.query_one(EventPane)

    def action_other_side(self) -> None:
        """Give the keys to what comes next: the main side, the files of a diff, the facts. A narrow screen shows one side."""
        files, side = self.query_one(FileTree), self.query_one("#side")
        if self.focused is files:
            side.focus()
            return
        self._showing_side = self.focused is not side
        self._lay_out()
        if self._showing_side:
            (files if files.display else side).focus()
        else:
            self._main.focus()

    def action_pick(self, place: int) -> None:
        """Show the run of a pane of the fleet."""
        if place > len(self.ccterm.panes):
            self.ccterm.note(no_such_pane(len(self.ccterm.panes)), "warning")
        elif self.ccterm.panes[place - 1] == self.run:
            self.ccterm.note("this is that run", "warning")
        else:
            self._replace(self.ccterm.panes[place - 1])

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

    def action_refresh_diff(self) -> None:
        """Look again at what the running agent has changed."""
        if self.shows_diff and not self._looking:
            self._look_again()

    @on(Ticked)
    def _follow_diff(self) -> None:
        """Look again every few seconds until the run has ended."""
        if self._may_change and time.monotonic() >= self._next_look:
            self.action_refresh_diff()

    @work(group="live", exclusive=True, exit_on_error=False)
    async def _look_again(self) -> None:
        self._looking = True
        try:
            files = await self._read_patch()
        except CctermError:  # the next look may be luckier
            return
        finally:
            self._looking = False
        if not self.shows_diff:
            return
        if files and self.query_one(ContentSwitcher).current == "patch":
            self.query_one(FileTree).show(files)
            self.query_one(PatchView).show(files)
            self._show_header(self.current_run())
        else:
            self._switch(files=files)
        self._follow_end()

    async def _read_patch(self) -> list[FilePatch]:
        view, service, began = self.current_run(), self.ccterm.service, time.monotonic()
        live = view is not None and view.run.state is State.RUNNING
        self._may_change = view is not None and not view.run.state.final
        patch = await service.patch(self.run) if service else None
        self._seen = self.ccterm.clock() if live and patch is not None else None
        ended = time.monotonic()
        self._next_look = ended + max(LIVE_SECONDS, LIVE_SHARE * (ended - began))
        if patch and len(patch) > _LARGE and not self.shows_diff:
            self._say(f"Reading the diff, {len(patch) / 1e6:.0f} MB…")
        return await asyncio.to_thread(parse_patch, patch) if patch else []

    @work(group="patch", exclusive=True, exit_on_error=False)
    async def _load(self) -> None:
        view = self.current_run()
        working = view is not None and view.run.state is State.RUNNING
        if working:  # it is asked what it has changed, and that may take a while
            self._say(_READING)
        try:
            files = await self._read_patch()
        except CctermError:
            if working:
                self._switch(files=None)
            raise
        if self.shows_diff or not working:  # else the user has gone back meanwhile
            self._switch(files=files)
            self._follow_end()

    def _switch(self, files: list[FilePatch] | None) -> None:
        """Show the changes of these files; None shows the transcript."""
        tree, patch = self.query_one(FileTree), self.query_one(PatchView)
        tree.display = bool(files)
        if files:
            tree.show(files)
            patch.comments = self.ccterm.memory.comments(self.run)
            patch.show(files)
        elif files is not None:
            self._say(_NO_CHANGES if self._seen else _NO_COMMIT if self._may_change else _NO_DIFF)
            self._show_header(self.current_run())
            return
        self.query_one(ContentSwitcher).current = "patch" if files else "transcript"
        self._showing_side = False
        self._lay_out()
        self._main.focus()
        self._show_header(self.current_run())
        self.refresh_bindings()

    def _say(self, text: str) -> None:
        """Show a sentence in place of the diff."""
        self.query_one("#nothing", Static).update(text)
        self.query_one(ContentSwitcher).current = "nothing"
        self.refresh_bindings()

    @on(Tree.NodeSelected, "#files")
    def _go_to_file(self, event: Tree.NodeSelected[int | None]) -> None:
        event.stop()
        if event.node.data is not None:
            self._showing_side = False
            self._lay_out()
            self.query_one(PatchView).go_to(event.node.data)
            self.query_one(PatchView).focus()

    @on(PatchView.FileReached)
    def _highlight_file(self, event: PatchView.FileReached) -> None:
        event.stop()
        self.query_one(FileTree).choose(event.index)

    @on(PatchView.Annotated)
    def _annotate(self, event: PatchView.Annotated) -> None:
        """Ask for a comment and remember it: `m` sends all of them."""
        event.stop()
        before = self.ccterm.memory.comments(self.run)
        found = next((comment for comment in before if comment.is_on(event.file.path, event.line)), None)

        def keep(text: str | None) -> None:
            if text or event.remove:
                comments = commented(before, event.file, event.line, "" if event.remove else text or "")
                self.ccterm.memory.comment(self.run, comments)
                self.query_one(PatchView).comments = comments

        if event.remove:
            keep("")
            return
        where = event.file.path.rpartition("/")[2] + (
            f", line {event.line.new or event.line.old}" if event.line and event.line.kind != "hunk" else ""
        )
        foot = "enter keep · esc cancel · m sends all comments to the agent"
        self.app.push_screen(LineDialog(f"Comment on {where}", foot=foot, value=found.text if found else ""), keep)

    def action_neighbour(self, by: int) -> None:
        """Show the next or the previous run."""
        ids = [view.run.id for view in self.ccterm.runs]
        if self.run in ids and len(ids) > 1:
            self._replace(ids[(ids.index(self.run) + by) % len(ids)])

    def _replace(self, run: RunId) -> None:
        """Show another run in place of this one."""
        if run != self.run:
            self.app.switch_screen(RunScreen(run, diff=self.shows_diff))
