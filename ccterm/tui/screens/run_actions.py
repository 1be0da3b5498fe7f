"""What a user can have done to a run, the same keys on every screen that shows one. Each order says on the screen what came of it."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from ccterm.models import Mode, Run, RunId, State
from ccterm.tui.app_base import Host
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.dialogs import Choice, ChoiceDialog, LineDialog

if TYPE_CHECKING:  # the service brings all that carries runs out; the first frame does without
    from ccterm.service.protocol import Service


class Hosted:
    """A screen that knows its app as its host."""

    app: App[object]

    @property
    def host(self) -> Host:
        """The app."""
        assert isinstance(self.app, Host)
        return self.app


class RunScreen(Hosted, Screen[None]):
    """A screen that has a run at hand."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "steer", "Steer", tooltip="Say something to the running agent"),
        Binding("h", "hold", "Hold", tooltip="Let the agent wait for a word when its turn ends; again: let it end"),
        Binding("c", "cancel", "Cancel", tooltip="Stop the run; its work is kept unless you say otherwise"),
        Binding("r", "retry", "Retry", tooltip="Run the same task again"),
        Binding("P", "push", "Push", tooltip="Deliver the work that was kept"),
        Binding("a", "apply", "Apply", tooltip="Choose which changes come into the working copy, and bring them in"),
        Binding("z", "undo", "Undo", show=False, tooltip="Put back what the changes replaced in the working copy"),
        Binding("b", "fetch", "Fetch", show=False, tooltip="Bring the work into a local repository as refs/ccterm/RUN"),
        Binding("o", "browse", "Open", show=False, tooltip="Open the pushed branch in the browser"),
        Binding("i", "copy_id", "Copy id", show=False, tooltip="Copy the run's id"),
        Binding("m", "review", "Seen", show=False, tooltip="Mark the run as reviewed and put it away"),
    ]

    def at_hand(self) -> RunView | None:
        """Return the run that orders go to."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done to the run at hand."""
        sight = self.at_hand()
        if action in _POSSIBLE:
            return sight is not None and _POSSIBLE[action](sight)
        if action in ("copy_id", "zoom", "pin"):
            return sight is not None
        return super().check_action(action, parameters)

    def _run(self) -> RunId:
        sight = self.at_hand()
        assert sight is not None, "the action is offered only with a run at hand"
        return sight.run.id

    def action_steer(self) -> None:
        """Say something to the agent."""
        run, target, sight = self._run(), self._target(), self.at_hand()

        def say(text: str | None) -> None:
            if text:
                self.host.order(lambda service: _told(service.steer(run, text), f"told {target}"))

        taken = "it goes on with this at once" if sight and sight.waits else "taken up when the running tool ends"
        foot = f"{taken} · enter say it · esc back"
        self.app.push_screen(LineDialog(f"What should {target} know?", foot=foot), say)

    def action_hold(self) -> None:
        """Hold the agent, or let a waiting one end."""
        run, sight = self._run(), self.at_hand()
        if sight and sight.waits:
            self.host.order(lambda service: _told(service.release(run), f"{self._target()} may end"))
        else:
            self.host.order(lambda service: _told(service.hold(run), f"{self._target()} will wait for a word when its turn ends"))

    def action_cancel(self) -> None:
        """Ask how to stop, and stop."""
        run, target = self._run(), self._target()

        def stop(answer: str | None) -> None:
            if answer:
                self.host.order(lambda service: _told(service.cancel(run, now=answer == "k"), f"{target} is being stopped"))

        choices = [Choice("s", "stop it and keep its work"), Choice("k", "kill it at once and keep nothing")]
        self.app.push_screen(ChoiceDialog(f"Stop {target}?", choices), stop)

    def action_retry(self) -> None:
        """Run the same task again."""
        run = self._run()

        async def retry(service: "Service") -> str:
            fresh = await service.retry(run)
            self.host.look(fresh.id)
            return f"{fresh.task.target} is queued again"

        self.host.order(retry)

    def action_push(self) -> None:
        """Deliver the work that was kept."""
        run = self._run()

        async def push(service: "Service") -> str:
            delivered = await service.push(run)
            self.host.take(delivered)
            return f"{delivered.task.target} is pushed"

        self.host.order(push)

    def action_apply(self) -> None:
        """Show the changes and bring in what is chosen."""
        from ccterm.tui.screens.apply import ApplyDialog  # deferred: the first frame does without

        run = self._run()

        async def show(service: "Service") -> str:
            changes = await service.pending(run)
            sight = self.at_hand()
            if changes and sight:
                self.app.push_screen(ApplyDialog(sight.run, changes), lambda paths: self._bring_in(run, paths or (), len(changes)))
            return "" if changes else "there is nothing to bring in"

        self.host.order(show)

    def _bring_in(self, run: RunId, paths: tuple[str, ...], of: int) -> None:
        async def apply(service: "Service") -> str:
            applied = await service.apply(run, only=() if len(paths) == of else paths)
            self.host.take(applied)
            return f"{len(paths)} file{'' if len(paths) == 1 else 's'} brought into {applied.task.repo}; z takes it back"

        if paths:
            self.host.order(apply)

    def action_undo(self) -> None:
        """Put back what the changes replaced."""
        run = self._run()

        async def undo(service: "Service") -> str:
            undone = await service.undo(run)
            self.host.take(undone)
            return f"{undone.task.repo} is as it was"

        self.host.order(undo)

    def action_fetch(self) -> None:
        """Ask for a repository and bring the work there."""
        run, sight = self._run(), self.at_hand()
        here = Path(sight.run.task.repo) if sight and Path(sight.run.task.repo).is_dir() else Path.cwd()

        def fetch(path: str | None) -> None:
            if path:
                self.host.order(lambda service: _fetched(service, run, Path(path).expanduser()))

        foot = f"enter fetch it as refs/ccterm/{run[:10]}… · esc back · no branch is touched"
        self.app.push_screen(LineDialog("Into which repository?", foot=foot, value=str(here)), fetch)

    def action_browse(self) -> None:
        """Open the pushed branch in the browser."""
        import webbrowser  # deferred: the first frame does without

        sight = self.at_hand()
        if sight and (address := web_address(sight.run)) and not webbrowser.open(address):
            self.app.copy_to_clipboard(address)
            self.app.notify(f"no browser here; copied {address}", markup=False)

    def action_copy_id(self) -> None:
        """Copy the run's id."""
        self.app.copy_to_clipboard(self._run())
        self.app.notify(f"copied {self._run()}", markup=False)

    def action_review(self) -> None:
        """Mark the run as reviewed."""
        run = self._run()

        async def review(service: "Service") -> str:
            self.host.take(await service.review(run))
            return ""

        self.host.order(review)

    def _target(self) -> str:
        sight = self.at_hand()
        return sight.run.task.target if sight else ""


async def _told(work: Awaitable[None], text: str) -> str:
    await work
    return text


async def export(service: "Service") -> str:
    """Re-export the Claude login."""
    exported = await service.export_login()
    return f"the login is in {exported.path}, good until {exported.until.astimezone():%H:%M}"


async def _fetched(service: "Service", run: RunId, repo: Path) -> str:
    return f"git diff ...{await service.fetch(run, repo)}"


def web_address(run: Run) -> str:
    """Return where a pushed branch can be looked at, or "" when its remote is no web page."""
    if run.pushed is None or not run.pushed.remote.startswith("https://"):
        return ""
    return f"{run.pushed.remote.removesuffix('.git')}/tree/{run.pushed.ref.removeprefix('refs/heads/')}"


_POSSIBLE: Mapping[str, Callable[[RunView], bool]] = {
    "steer": lambda sight: sight.run.state is State.RUNNING,
    "hold": lambda sight: sight.run.state is State.RUNNING,
    "cancel": lambda sight: not sight.run.state.final,
    "retry": lambda sight: sight.run.state.final,
    "push": lambda sight: (
        sight.run.task.mode is Mode.PIPELINE and sight.run.state.final and sight.run.salvage is not None and not sight.run.salvage.delivered
    ),
    "apply": lambda sight: sight.run.awaits_apply,
    "undo": lambda sight: sight.run.synced is not None and not sight.run.synced.undone,
    "fetch": lambda sight: sight.run.commit is not None,
    "browse": lambda sight: bool(web_address(sight.run)),
    "review": lambda sight: sight.run.state.final and not sight.run.reviewed,
    "diff": lambda sight: sight.run.changes is not None or sight.run.salvage is not None,
}
"""Action -> whether it can be done to a run."""
