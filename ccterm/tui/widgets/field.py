"""One line of a form: a label, an input, and below it what is wrong with it, if anything is."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static


class Field(Vertical):
    """A labelled input. Its id is the field's name."""

    DEFAULT_CSS = """
    Field {
        height: auto; width: 1fr;
        Horizontal { height: 1; }
        Label { width: 13; color: $text-muted; padding: 0 1; }
        &:focus-within Label { color: $text-accent; text-style: bold; }
        Input { width: 1fr; background: $surface; }
        &:focus-within Input { background: $panel; }
        #note { width: auto; max-width: 50%; height: 1; color: $text-muted; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #wrong { height: auto; color: $text-error; padding: 0 1 0 14; display: none; }
        &.-wrong #wrong { display: block; }
    }
    """

    def __init__(self, name: str, label: str, *, value: str = "", placeholder: str = "") -> None:
        super().__init__(id=name)
        self._label = label
        self.input = Input(value, placeholder=placeholder, compact=True, select_on_focus=False)
        self._note = Static("", id="note", markup=False)
        self._wrong = Static("", id="wrong", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out label, input, note, and what is wrong."""
        with Horizontal():
            yield Label(self._label, markup=False)
            yield self.input
            yield self._note
        yield self._wrong

    def say(self, *, wrong: str = "", note: str = "") -> None:
        """Say what is wrong, and what there is to know."""
        self.set_class(bool(wrong), "-wrong")
        self._wrong.update(wrong)
        self._note.update(note)
