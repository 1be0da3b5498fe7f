"""Leaving while runs are live: the question, and the wait for those that are to end first."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from ccterm.tui.messages import RunsChanged
from ccterm.tui.runs import Runs
from ccterm.tui.screens.dialogs import DIALOG_CSS, Choice, ChoiceDialog

LEAVE, WAIT, STOP = "l", "w", "s"


def leave_dialog(live: int, *, outlives: bool) -> ChoiceDialog:
    """Return the question. outlives: whether another process would go on with the runs."""
    subject = "1 run is" if live == 1 else f"{live} runs are"
    leave: Sequence[Choice] = [Choice(LEAVE, "leave them running; ccterm comes back to them")] if outlives else []
    choices = [*leave, Choice(WAIT, "wait here, quit when they have ended"), Choice(STOP, "stop them and keep their work")]
    return ChoiceDialog(f"{subject} live. Quit?", choices)


class WaitDialog(ModalScreen[bool]):
    """Waits until no run is live; returns False when the user would rather stay."""

    DEFAULT_CSS = DIALOG_CSS.format(name="WaitDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Stay")]

    def __init__(self, roster: Runs) -> None:
        super().__init__()
        self._roster = roster

    def compose(self) -> ComposeResult:
        """Lay out the words."""
        with Vertical():
            yield Static(id="title", markup=False)
            yield Static("quits by itself when they have ended · esc stay", id="foot", markup=False)

    def on_mount(self) -> None:
        """Say how many are left."""
        self._count()

    @on(RunsChanged)
    def _count(self) -> None:
        live = self._roster.live
        if live == 0:
            self.dismiss(True)
        else:
            self.query_one("#title", Static).update(f"waiting for {live} run{'' if live == 1 else 's'} to end")
