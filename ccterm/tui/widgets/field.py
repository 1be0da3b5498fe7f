"""A labelled control of a form with what is wrong with it, and the fold for those that are seldom needed."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from ccterm.tui.widgets.choices import Choices, OpenChoices

Control = Input | Choices | OpenChoices


class Field(Vertical):
    """A labelled control. Its id is the name of the field."""

    DEFAULT_CSS = """
    Field {
        height: auto; width: 1fr;
        & > Horizontal { height: 1; }
        Label { width: 16; color: $text-muted; padding: 0 1; }
        &:focus-within Label { color: $text-accent; text-style: bold; }
        Input { width: 1fr; background: $surface; }
        &:focus-within Input { background: $panel; }
        #note { height: auto; color: $text-muted; padding: 0 1 0 16; display: none; }
        &.-noted #note { display: block; }
        #problem { height: auto; color: $text-error; padding: 0 1 0 16; display: none; }
        &.-wrong #problem { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "Previous field", show=False),
        Binding("down", "app.focus_next", "Next field", show=False),
    ]

    def __init__(self, name: str, label: str, control: Control) -> None:
        super().__init__(id=name)
        self.label = label
        self.control = control
        self._note = Static("", id="note", markup=False)
        self._problem = Static("", id="problem", markup=False)

    @classmethod
    def text(cls, name: str, label: str, value: str = "", *, placeholder: str = "") -> "Field":
        """Return a field for a line of text."""
        return cls(name, label, Input(value, placeholder=placeholder, compact=True, select_on_focus=False))

    @property
    def value(self) -> str:
        """The value as text."""
        return self.control.value

    @value.setter
    def value(self, value: str) -> None:
        self.control.value = value

    def compose(self) -> ComposeResult:
        """Lay out label, control, note and problem."""
        with Horizontal():
            yield Label(self.label, markup=False)
            yield self.control
        yield self._note
        yield self._problem

    def show(self, *, problem: str = "", note: Content | str = "") -> None:
        """Show what is wrong with the value, else a note about it."""
        self.set_class(bool(problem), "-wrong")
        self.set_class(bool(note) and not problem, "-noted")
        self._problem.update(problem)
        self._note.update(note)

    def take_focus(self) -> None:
        """Give the keys to the control."""
        target = self.control if self.control.can_focus else next(iter(self.control.query(Choices)), self.control)
        target.focus()


class Fold(Widget, can_focus=True):
    """The line that shows or hides the fields below it, with what they hold while they are hidden: two or three where it is narrow."""

    DEFAULT_CSS = """
    Fold { height: auto; width: 1fr; padding: 0 1; color: $text-muted; }
    Fold:focus { color: $text-accent; text-style: bold; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "fold", "Show or hide"),
        Binding("up", "app.focus_previous", "Previous field", show=False),
        Binding("down", "app.focus_next", "Next field", show=False),
    ]

    is_open: reactive[bool] = reactive(False, layout=True)
    """Whether the fields are shown."""
    held: reactive[str] = reactive("", layout=True)
    """What they hold, in words."""

    class Toggled(Message):
        """The fields are to be shown or hidden."""

    def __init__(self, names: str) -> None:
        super().__init__()
        self._names = names

    def watch_is_open(self) -> None:
        """Tell that it changed."""
        self.post_message(self.Toggled())

    def render(self) -> Content:
        """Return the sign, and what is hidden."""
        if self.is_open:
            return Content("▾ less")
        return Content.assemble(f"▸ more: {self._names}", (f"  ·  {self.held}", "bold") if self.held else "")

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Take letters, as the fields around it do; keys of the app would do something else."""
        return key != "space" and character is not None and character.isprintable()

    def on_key(self, event: events.Key) -> None:
        """Do nothing for a letter."""
        if self.check_consume_key(event.key, event.character):
            event.stop()

    def action_fold(self) -> None:
        """Show or hide the fields."""
        self.is_open = not self.is_open

    def on_click(self) -> None:
        """Show or hide the fields."""
        self.action_fold()
