"""The line below a pane in which the user types a search or a filter."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static


class Prompt(Horizontal):
    """One row: a label, the query, and how much it found."""

    DEFAULT_CSS = """
    Prompt { height: 1; background: $panel; }
    Prompt > .prompt--label { width: auto; padding: 0 1; color: $text-accent; }
    Prompt > Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    Prompt > Input:focus { border: none; }
    Prompt > .prompt--count { width: auto; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Close", show=False)]

    class Changed(Message):
        """The query has changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Accepted(Message):
        """The query is complete; the keys go back to the pane."""

    class Closed(Message):
        """The prompt was closed."""

    def __init__(self, *, filters: bool) -> None:
        """filters: the query is a filter; else it is a search."""
        super().__init__()
        self.filters = filters

    def compose(self) -> ComposeResult:
        """Lay out the row."""
        yield Static("filter" if self.filters else "/", classes="prompt--label", markup=False)
        yield Input(placeholder="words, @said @tool @output @error …" if self.filters else "")
        yield Static("", classes="prompt--count", markup=False)

    def on_mount(self) -> None:
        """Focus the input."""
        self.ask()

    def ask(self) -> None:
        """Focus the input."""
        self.query_one(Input).focus()

    def show_count(self, text: str) -> None:
        """Show how much was found."""
        self.query_one(".prompt--count", Static).update(text)

    @on(Input.Changed)
    def _change(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def _accept(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Accepted())

    def action_close(self) -> None:
        """Close the prompt."""
        self.post_message(self.Closed())
