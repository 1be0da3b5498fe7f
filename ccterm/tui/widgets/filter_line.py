"""The line that is typed into to see only some of the runs."""

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterLine(Input):
    """Words that a run must hold; not there until it is asked for, and gone when it is empty."""

    DEFAULT_CSS = """
    FilterLine { height: 1; background: $surface; display: none; }
    FilterLine.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Keep filter"),
        Binding("escape", "clear", "All runs"),
    ]

    class Words(Message):
        """Only runs that hold these words are wanted. done: the keys may go back to the runs."""

        def __init__(self, words: str, *, done: bool) -> None:
            super().__init__()
            self.words = words
            self.done = done

    def __init__(self) -> None:
        super().__init__(placeholder="words that a run must hold, such as: failed login", compact=True, select_on_focus=False)

    @property
    def is_open(self) -> bool:
        """Whether it is shown."""
        return self.has_class("-open")

    def open(self) -> None:
        """Show it, and take the keys."""
        self.add_class("-open")
        self.focus()

    def close(self) -> None:
        """Ask for all runs again."""
        with self.prevent(Input.Changed):
            self.value = ""
        self.remove_class("-open")
        self.post_message(self.Words("", done=True))

    def action_clear(self) -> None:
        """Ask for all runs again."""
        self.close()

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Words(self.value, done=False))

    @on(Input.Submitted)
    def _keep(self, event: Input.Submitted) -> None:
        event.stop()
        self.set_class(bool(self.value), "-open")
        self.post_message(self.Words(self.value, done=True))
