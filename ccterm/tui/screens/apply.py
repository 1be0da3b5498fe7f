"""Asks which of a run's changes to apply to the working copy: all are selected at first, below any findings of the policy."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from ccterm.models import Run
from ccterm.render import change_numbers
from ccterm.tui.screens.dialogs import DIALOG_CSS, LOW
from ccterm.values import PendingChange

_LETTERS = {"added": "A", "modified": "M", "retyped": "T", "deleted": "D"}


class ApplyDialog(ModalScreen[tuple[str, ...]]):
    """Shows the changes of one run; returns the selected paths, none to cancel."""

    VERTICAL_BREAKPOINTS = LOW
    DEFAULT_CSS = (
        DIALOG_CSS.format(name="ApplyDialog") + "ApplyDialog SelectionList { height: auto; max-height: 24; border: none; padding: 0; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("a", "apply", "Apply", priority=True),
    ]

    def __init__(self, run: Run, changes: Sequence[PendingChange]) -> None:
        super().__init__()
        self._run = run
        self._changes = changes

    def compose(self) -> ComposeResult:
        """Lay out findings, files and keys."""
        with Vertical():
            yield Static(f"Apply these changes to {self._run.task.repo}?", id="title", markup=False)
            findings = self._run.verdict.findings if self._run.verdict else ()
            for finding in findings:
                yield Static(Content.styled(f"! {finding.text}", "$text-warning"), markup=False)
            yield Static(change_numbers(self._run), markup=False)
            yield SelectionList[str](*(Selection(_entry(change), change.path, initial_state=True) for change in self._changes))
            yield Static("a apply the selected files · space select · esc cancel", id="foot", markup=False)

    def action_apply(self) -> None:
        """Return the selected paths."""
        chosen = self.query_one(SelectionList).selected
        self.dismiss(tuple(str(path) for path in chosen))

    def action_leave(self) -> None:
        """Select nothing."""
        self.dismiss(())


def _entry(change: PendingChange) -> Content:
    return Content.assemble((f"{_LETTERS[change.status]} ", "bold"), change.path)
