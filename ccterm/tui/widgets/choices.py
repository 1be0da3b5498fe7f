"""One of a few values on one line, readable without colour: ● this one  ○ another. The last may be one that is typed."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

_GAP = 3
OTHER = "other"
"""The value of a choice beside which one is typed."""


class Choices(Widget, can_focus=True):
    """Values, one of them chosen with the arrow keys, the space bar, its first letter or a click; where they do not fit, only that one is shown."""

    DEFAULT_CSS = """
    Choices { height: 1; width: 1fr; }
    Choices:focus { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "step(1)", "Next choice", show=False),
        Binding("left", "step(-1)", "Previous choice", show=False),
    ]

    value: reactive[str] = reactive("", init=False)
    """The chosen value."""

    class Changed(Message):
        """Another value was chosen."""

    def __init__(self, choices: Mapping[str, str], value: str) -> None:
        """Offer values by their names. A value that is not among them is replaced by the first."""
        super().__init__()
        self._choices = dict(choices)
        self.set_reactive(Choices.value, value if value in choices else next(iter(choices)))

    @property
    def offered(self) -> Sequence[str]:
        """The values."""
        return tuple(self._choices)

    def validate_value(self, value: str) -> str:
        """Keep to the choices."""
        return value if value in self._choices else self.value

    def watch_value(self) -> None:
        """Tell that it changed."""
        self.post_message(self.Changed())

    def render(self) -> Content:
        """Return the choices on one line, or the chosen one between arrows."""
        line = self._line()
        if line.cell_length <= self.content_size.width:
            return line
        return Content.assemble(("‹ ", "dim"), self._part(self.value), (" ›", "dim"))

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002 - Textual passes it
        """Return the width of all choices."""
        return min(self._line().cell_length, container.width)

    def _line(self) -> Content:
        return Content(" " * _GAP).join([self._part(value) for value in self._choices])

    def _part(self, value: str) -> Content:
        chosen = value == self.value
        tone = ("bold $text-accent" if self.has_focus else "bold") if chosen else "dim"
        return Content.assemble(("● " if chosen else "○ ", tone), (self._choices[value], tone))

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Take letters, which choose; keys of the app would do something else."""
        return key != "space" and character is not None and character.isprintable()

    def on_key(self, event: events.Key) -> None:
        """Choose the next one that begins with a letter."""
        if not self.check_consume_key(event.key, event.character):
            return
        event.stop()
        values = list(self._choices)
        here = values.index(self.value) + 1
        letter = (event.character or "").lower()
        self.value = next((value for value in values[here:] + values[:here] if self._choices[value].startswith(letter)), self.value)

    def action_step(self, by: int) -> None:
        """Choose the next or the previous one."""
        values = list(self._choices)
        self.value = values[(values.index(self.value) + by) % len(values)]

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        event.stop()
        at = 0
        for value in self._choices:
            at += self._part(value).cell_length + _GAP
            if event.x < at:
                self.value = value
                return


class OpenChoices(Horizontal):
    """A choice whose last value, `OTHER`, is typed beside it."""

    DEFAULT_CSS = """
    OpenChoices { height: 1; width: 1fr; }
    OpenChoices Choices { width: auto; }
    OpenChoices Input { width: 1fr; margin-left: 2; display: none; }
    OpenChoices.-other Input { display: block; }
    """

    def __init__(self, choices: Mapping[str, str], value: str, *, other: str, placeholder: str = "") -> None:
        """Offer values by their names, and `other` as the name of what is typed."""
        super().__init__()
        typed = value not in choices
        self._choice = Choices({**choices, OTHER: other}, OTHER if typed else value)
        self._input = Input(value if typed else "", placeholder=placeholder, compact=True, select_on_focus=False)
        self.set_class(typed, "-other")

    def compose(self) -> ComposeResult:
        """Lay out the choices and the input."""
        yield self._choice
        yield self._input

    @property
    def value(self) -> str:
        """The chosen value, or the one that was typed."""
        return self._input.value if self._choice.value == OTHER else self._choice.value

    @value.setter
    def value(self, value: str) -> None:
        self._choice.value = value if value in self._choice.offered[:-1] else OTHER
        self._input.value = "" if value in self._choice.offered[:-1] else value

    @on(Choices.Changed)
    def _open(self) -> None:
        typed = self._choice.value == OTHER
        self.set_class(typed, "-other")
        if typed and self._choice.has_focus:
            self._input.focus()
