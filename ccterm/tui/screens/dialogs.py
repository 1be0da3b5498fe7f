"""Questions in front of a screen: choose one of a few, or say a line. Escape always means: nothing."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

DIALOG_CSS = """
{name} {{
    align: center middle;
    & > Vertical {{
        width: 72; max-width: 90%; height: auto; max-height: 90%;
        padding: 1 2; background: $surface; border: round $primary;
    }}
    #title {{ text-style: bold; margin-bottom: 1; }}
    OptionList, OptionList:focus {{ height: auto; border: none; background: transparent; padding: 0; }}
    #foot {{ color: $text-muted; margin-top: 1; }}
}}
"""


class Choice(NamedTuple):
    """One answer: the key that gives it, and what it means."""

    key: str
    text: str


class ChoiceDialog(ModalScreen[str]):
    """Asks for one of a few answers; returns its key, or "" for none."""

    DEFAULT_CSS = DIALOG_CSS.format(name="ChoiceDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Back")]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title = title
        self._choices = choices

    def compose(self) -> ComposeResult:
        """Lay out question and answers."""
        with Vertical():
            yield Static(self._title, id="title", markup=False)
            yield OptionList(
                *(
                    Option(Content.assemble((f" {choice.key} ", "bold $text-accent"), choice.text), id=choice.key)
                    for choice in self._choices
                )
            )
            yield Static("enter choose · esc back", id="foot", markup=False)

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id or "")

    def on_key(self, event: events.Key) -> None:
        """Take an answer by its key."""
        if any(choice.key == event.key for choice in self._choices):
            event.stop()
            self.dismiss(event.key)


class LineDialog(ModalScreen[str]):
    """Asks for a line of text; returns it, or "" for none."""

    DEFAULT_CSS = DIALOG_CSS.format(name="LineDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Back")]

    def __init__(self, title: str, *, foot: str, value: str = "", placeholder: str = "") -> None:
        super().__init__()
        self._title = title
        self._foot = foot
        self._value = value
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """Lay out the question and the line."""
        with Vertical():
            yield Static(self._title, id="title", markup=False)
            yield Input(self._value, placeholder=self._placeholder, select_on_focus=False)
            yield Static(self._foot, id="foot", markup=False)

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())
