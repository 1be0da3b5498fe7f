"""Asks which of a run's changes come into the working copy: all are chosen at first, and what a rule found stands above them."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from ccterm.models import PendingChange, Run
from ccterm.render import change_numbers
from ccterm.tui.screens.dialogs import DIALOG_CSS

_MARKS = {"added": "A", "modified": "M", "deleted": "D"}


class ApplyDialog(ModalScreen[tuple[str, ...]]):
    """Asks about the changes of one run; returns the paths that were chosen, none for nothing."""

    DEFAULT_CSS = (
        DIALOG_CSS.format(name="ApplyDialog") + "ApplyDialog SelectionList { height: auto; max-height: 24; border: none; padding: 0; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("a", "apply", "Bring in", priority=True),
    ]

    def __init__(self, run: Run, changes: Sequence[PendingChange]) -> None:
        super().__init__()
        self._run = run
        self._changes = changes

    def compose(self) -> ComposeResult:
        """Lay out what a rule found, the files, and the keys."""
        with Vertical():
            yield Static(f"Bring these changes into {self._run.task.repo}?", id="title", markup=False)
            findings = self._run.verdict.findings if self._run.verdict else ()
            for finding in findings:
                yield Static(Content.styled(f"! {finding.text}", "$text-warning"), markup=False)
            yield Static(change_numbers(self._run), markup=False)
            yield SelectionList[str](*(Selection(_entry(change), change.path, initial_state=True) for change in self._changes))
            yield Static("a bring in what is chosen · space choose · esc back; nothing is changed until then", id="foot", markup=False)

    def action_apply(self) -> None:
        """Give the chosen paths back."""
        chosen = self.query_one(SelectionList).selected
        self.dismiss(tuple(str(path) for path in chosen))

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(())


def _entry(change: PendingChange) -> Content:
    return Content.assemble((f"{_MARKS[change.deed]} ", "bold"), change.path)
