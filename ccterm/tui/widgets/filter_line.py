"""The input line that filters runs."""

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from ccterm.tui.run_filter import HELP


class FilterLine(Input):
    """Words that a run must contain; hidden until it is opened, and again when it is left empty."""

    DEFAULT_CSS = """
    FilterLine { height: 1; background: $surface; display: none; }
    FilterLine.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Keep filter"),
        Binding("escape", "clear", "Show all runs"),
    ]

    class Filtered(Message):
        """Only runs that contain these words are to be shown. done: the keys may go back to the runs."""

        def __init__(self, words: str, *, done: bool) -> None:
            super().__init__()
            self.words = words
            self.done = done

    def __init__(self, words: str = "") -> None:
        """words: what is filtered by at first."""
        super().__init__(words, placeholder=HELP, compact=True, select_on_focus=False, classes="-open" if words else "")

    def open(self) -> None:
        """Show it and give it the keys."""
        self.add_class("-open")
        self.focus()

    def put(self, words: str) -> None:
        """Filter by these words, and leave the keys where they are."""
        with self.prevent(Input.Changed):
            self.value = words
        self.set_class(bool(words), "-open")
        self.post_message(self.Filtered(words, done=False))

    def close(self) -> None:
        """Hide it and show all runs again."""
        with self.prevent(Input.Changed):
            self.value = ""
        self.remove_class("-open")
        self.post_message(self.Filtered("", done=True))

    def action_clear(self) -> None:
        """Show all runs again."""
        self.close()

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Filtered(self.value, done=False))

    @on(Input.Submitted)
    def _keep(self, event: Input.Submitted) -> None:
        event.stop()
        self.set_class(bool(self.value), "-open")
        self.post_message(self.Filtered(self.value, done=True))
