"""What a user can do to a run, by the same keys on every screen that shows one. Every action reports its result on the screen."""

from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.widgets import Input, TextArea

from ccterm.draft import starting_directory
from ccterm.errors import CctermError
from ccterm.events import Event
from ccterm.models import ExecutionMode, Run, RunId, State
from ccterm.tui.pane import EventPane
from ccterm.tui.patch.comments import with_comments
from ccterm.tui.possible import web_address
from ccterm.tui.run_text import short_name
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.dialogs import LineDialog
from ccterm.tui.screens.going_on import Way, ask_for_way
from ccterm.tui.screens.selected_runs import SelectedRuns
from ccterm.tui.screens.writing import WritingScreen
from ccterm.values import Decision, PermissionRequest

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service


class RunActions(SelectedRuns, WritingScreen):
    """A screen with a current run, and the actions on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "steer", "Steer", tooltip="Send a message to the running agent"),
        Binding("h", "hold", "Hold", tooltip="Have the agent wait for input after its turn; again: let it finish"),
        Binding("y", "decide('allow')", "Allow", tooltip="Let the agent do what it asks permission for", priority=True),
        Binding("Y", "decide('always')", "Always", show=False, tooltip="Allow it, and the like until the run ends", priority=True),
        Binding("n", "refuse", "Refuse", tooltip="Refuse what the agent asks permission for, with a word for it", priority=True),
        Binding("m", "continue_run", "Continue", tooltip="Say what is to be done next: same conversation, same branch"),
        Binding("c", "cancel", "Cancel", tooltip="Stop the run; its work is kept unless you say otherwise"),
        Binding("r", "retry", "Retry", show=False, tooltip="Run the same task again"),
        Binding("P", "push", "Push", tooltip="Push the work that was kept"),
        Binding("a", "apply", "Apply", tooltip="Choose which changes to apply to the working copy"),
        Binding("z", "undo", "Undo", show=False, tooltip="Undo the changes that were applied to the working copy"),
        Binding("b", "fetch", "Fetch", show=False, tooltip="Fetch the work into a local repository as refs/ccterm/RUN"),
        Binding("o", "browse", "Open", show=False, tooltip="Open the pushed branch in the browser"),
        Binding("i", "copy_id", "Copy id", show=False, tooltip="Copy the run's id"),
        Binding("plus", "allow_host", "Allow host", show=False, tooltip="Let what goes on with the run reach a host that it was refused"),
        Binding("x", "review", "Reviewed", show=False, tooltip="Mark the run as reviewed and remove it from the fleet"),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if action in _PERMISSION and isinstance(self.focused, Input | TextArea):
            return False  # their keys come before all others, and must not take letters from a text
        return super().check_action(action, parameters)

    def _run_id(self) -> RunId:
        view = self.current_run()
        assert view is not None, "the action is offered only with a current run"
        return view.run.id

    def action_steer(self) -> None:
        """Send a message to the agent."""
        run, target, view = self._run_id(), self._target(), self.current_run()

        async def steer(service: "Service", text: str) -> str:
            try:
                await service.steer(run, text)
            except CctermError:  # its agent may have ended meanwhile; what was written can go along when it goes on
                self.keep_unsent(run, text)
                raise
            return f"sent to {target}"

        def send(text: str) -> None:
            self.ccterm.perform(lambda service: steer(service, text))

        now = view is not None and view.waiting and not view.asked_for
        fate = "" if now else "delivered when the running tool ends"
        self.write(run, f"{'Answer' if now else 'Message'} to {target}", send, fate=fate)

    def action_decide(self, decision: Literal["allow", "always"]) -> None:
        """Let the agent do what it asks permission for."""
        view = self.current_run()
        if view and view.asked_for:
            self._decide(view.run.id, view.asked_for, decision, "")

    def action_refuse(self) -> None:
        """Ask for a word to the agent, and refuse what it asks permission for."""
        view = self.current_run()
        if view and view.asked_for:
            send = partial(self._decide, view.run.id, view.asked_for, "deny")
            self.write(view.run.id, f"Refuse {view.asked_for.what}", send, fate="with a word for the agent, or none", may_be_empty=True)

    def _decide(self, run: RunId, asked: PermissionRequest, decision: Decision, text: str) -> None:
        """Answer the request that was on the screen, and no later one."""
        done = f"{'refused' if decision == 'deny' else 'allowed'}: {asked.what}"
        self.ccterm.perform(lambda service: _done(service.decide(run, asked.id, decision, text), done))

    def action_hold(self) -> None:
        """Hold the agent, or let a waiting one finish."""
        run, target, view = self._run_id(), self._target(), self.current_run()
        if view and view.waiting and not view.asked_for:
            self.ccterm.perform(lambda service: _done(service.release(run), f"{target} will finish"))
        elif view and view.run.holds:
            self.ccterm.perform(lambda service: _done(service.release(run), f"{target} will not wait for input when its turn ends"))
        else:
            self.ccterm.perform(lambda service: _done(service.hold(run), f"{target} will wait for input when its turn ends"))

    def action_continue_run(self) -> None:
        """Go on with an ended run."""
        view = self.current_run()
        if view:
            ask_for_way(self.ccterm, view.run, partial(self._ask_what_next, view.run))

    def _ask_what_next(self, run: Run, way: Way) -> None:
        comments = self.ccterm.memory.comments(run.id)

        async def go_on(service: "Service", text: str) -> str:
            try:
                started = await service.continue_(run.id, with_comments(text, comments), branch=way.branch, fresh=way.fresh)
            except CctermError:
                self.keep_unsent(run.id, text)
                raise
            self.ccterm.memory.comment(run.id, ())
            self.ccterm.update_run(await service.find(run.id))  # reviewed now
            self.ccterm.find_new_runs(focus=started.id)
            return f"{short_name(run)} goes on"

        count = f"with {len(comments)} comment{'' if len(comments) == 1 else 's'}" if comments else ""
        fate, begun = " · ".join(filter(None, (way.fate(run), count))), way.text or ("Address my comments." if comments else "")

        def send(text: str) -> None:
            self.ccterm.perform(lambda service: go_on(service, text))

        self.write(run.id, f"What is {short_name(run)} to do next?", send, fate=fate, begun=begun)

    def action_apply(self) -> None:
        """Show the changes and apply the selected ones."""
        from ccterm.tui.screens.apply import ApplyDialog  # deferred: the first frame does not need it

        run = self._run_id()

        async def show(service: "Service") -> str:
            changes = await service.pending(run)
            view = self.current_run()
            if changes and view:
                self.app.push_screen(ApplyDialog(view.run, changes), lambda paths: self._apply(run, paths or (), len(changes)))
            return "" if changes else "there is nothing to apply"

        self.ccterm.perform(show, opens=True)

    def _apply(self, run: RunId, paths: tuple[str, ...], of: int) -> None:
        async def apply(service: "Service") -> str:
            applied = await service.apply(run, only=() if len(paths) == of else paths)
            self.ccterm.update_run(applied)
            return f"{len(paths)} file{'' if len(paths) == 1 else 's'} applied to {applied.task.repo}; z undoes it"

        if paths:
            self.ccterm.perform(apply)

    def action_undo(self) -> None:
        """Undo the changes that were applied."""
        run = self._run_id()

        async def undo(service: "Service") -> str:
            undone = await service.undo(run)
            self.ccterm.update_run(undone)
            return f"{undone.task.repo} is as it was before"

        self.ccterm.perform(undo)

    def action_allow_host(self) -> None:
        """Ask which of the refused hosts further runs may reach, and how far that goes."""
        from ccterm.tui.screens.allow_host import ask_for_host  # deferred: the first frame does not need it

        view = self.current_run()
        if view:
            ask_for_host(self.ccterm, view.run, self.chosen_event())

    def chosen_event(self) -> Event | None:
        """Return the event that the user has chosen in a transcript."""
        above = self.focused.ancestors_with_self if self.focused else ()
        return next((each.chosen for each in above if isinstance(each, EventPane)), None)

    def action_fetch(self) -> None:
        """Ask for a repository and fetch the work into it."""
        run, view = self._run_id(), self.current_run()
        here = Path(view.run.task.repo) if view and Path(view.run.task.repo).is_dir() else starting_directory()

        def fetch(path: str | None) -> None:
            if path:
                self.ccterm.perform(lambda service: _fetched(service, run, Path(path).expanduser()))

        foot = f"enter fetch as refs/ccterm/{run[:10]}…, no branch is touched · esc cancel"
        self.app.push_screen(LineDialog("Fetch into which repository?", foot=foot, value=str(here)), fetch)

    def action_browse(self) -> None:
        """Open the pushed branch in the browser."""
        import webbrowser  # deferred: the first frame does not need it

        view = self.current_run()
        if view and (address := web_address(view.run)) and not webbrowser.open(address):
            self.app.copy_to_clipboard(address)
            self.app.notify(f"no browser found; copied {address}", markup=False)

    def action_copy_id(self) -> None:
        """Copy the run's id."""
        self.app.copy_to_clipboard(self._run_id())
        self.app.notify(f"copied {self._run_id()}", markup=False)

    def _target(self) -> str:
        view = self.current_run()
        return short_name(view.run) if view else ""


async def _done(work: Awaitable[None], text: str) -> str:
    await work
    return text


async def export_login(service: "Service", shown: Iterable[RunView]) -> str:
    """Re-export the Claude login; returns in words what came of it, and for which of the shown runs."""
    exported = await service.export_login()
    containers = [view.run for view in shown if view.run.task.execution_mode is ExecutionMode.DAGGER and view.run.task.agent == "claude"]
    queued = [run for run in containers if run.state is State.QUEUED]
    running = [await service.find(run.id) for run in containers if run.state is State.RUNNING]
    words = [f"login saved to {exported.path}: {exported.sentence}"]
    if exported.instead:
        words.append(f"runs use {exported.instead} instead")
    elif not exported.same:
        keeping = [run for run in running if run.manifest.credential == "access-token"]
        words += [f"{_named(queued)} will start with it"] if queued else []
        words += [f"{_named(keeping)} must be restarted to get it (c, then r)"] if keeping else []
    return "; ".join(words)


def _named(runs: Sequence[Run]) -> str:
    names = [run.task.branch or run.id for run in runs]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


async def _fetched(service: "Service", run: RunId, repo: Path) -> str:
    return f"git diff ...{await service.fetch(run, repo)}"


_PERMISSION = ("decide", "refuse")
