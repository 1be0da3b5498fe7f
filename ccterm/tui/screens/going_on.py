"""How an ended run is to go on, where the same conversation on the same branch cannot be had."""

from collections.abc import Callable
from typing import NamedTuple

from ccterm.causes import Cause
from ccterm.models import Mode, Run
from ccterm.proof import work_kept
from ccterm.tui.app_base import AppBase
from ccterm.tui.run_text import short_name
from ccterm.tui.screens.dialogs import Choice, ChoiceDialog, LineDialog

NEW_BRANCH, SAME_BRANCH = "b", "t"


class Way(NamedTuple):
    """branch: a new one, from where the earlier run began; None = the same. fresh: whether a new conversation begins.

    text: what no agent has been told yet.
    """

    branch: str | None = None
    fresh: bool = False
    text: str = ""

    def fate(self, run: Run) -> str:
        """Return what becomes of the conversation and the work, for the user who writes."""
        if self.fresh:
            return "there is no conversation to go on with: a new one begins, which is told what came of it"
        if self.branch:
            return f"on {self.branch}, from where the earlier run began"
        return "its work comes along" if work_kept(run) else "same conversation"


def ask_for_way(app: AppBase, run: Run, then: Callable[[Way], None]) -> None:
    """Call `then` with how the run is to go on; the user chooses where its work and newer commits on its branch do not go together."""
    if run.session_id is None or (run.cause, run.reason) == (Cause.CHECKOUT, "earlier"):
        agent_began = any(step.name == "agent" for step in run.steps)
        then(Way(fresh=True, text="" if agent_began else run.task.prompt))
    elif run.cause is Cause.CONFLICT and run.reason in ("merge", "base") and run.task.mode is Mode.PIPELINE:
        _ask(app, run, then)
    else:
        then(Way())


def _ask(app: AppBase, run: Run, then: Callable[[Way], None]) -> None:
    def name_branch(branch: str | None) -> None:
        if branch:
            then(Way(branch, text=run.task.prompt))

    def choose(answer: str | None) -> None:
        if answer == NEW_BRANCH:
            foot = "enter go on · esc cancel"
            app.push_screen(LineDialog("What is the new branch called?", foot=foot, value=f"{run.task.branch}-2"), name_branch)
        elif answer == SAME_BRANCH:
            then(Way(text=run.task.prompt))

    choices = [
        Choice(NEW_BRANCH, "on a new branch, from where the earlier run began"),
        Choice(SAME_BRANCH, "on the same branch, which may have changed since"),
    ]
    app.push_screen(ChoiceDialog(f"Where is {short_name(run)} to go on? Its work and newer commits conflict.", choices), choose)
