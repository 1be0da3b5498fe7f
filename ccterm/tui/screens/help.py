"""Help: all keys that do something on the screen below, and what the signs mean. Made from the bindings, so it is always true."""

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from ccterm.tui.words import SIGNS, TONES

KEY_WIDTH = 16


class HelpScreen(ModalScreen[None]):
    """The keys of another screen."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 84; max-width: 95%; height: auto; max-height: 90%;
        padding: 1 2; background: $surface; border: round $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Back")]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._lines = list(_keys(screen))

    def compose(self) -> ComposeResult:
        """Lay out keys, then signs."""
        with VerticalScroll():
            yield Static(Content("\n").join([*self._lines, Content(""), *_signs(), Content(""), _foot()]), markup=False)


def _keys(screen: Screen[object]) -> Iterator[Content]:
    seen = set[str]()
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.system or binding.action in seen or binding.action.startswith("focus_number"):
            continue
        seen.add(binding.action)
        key = screen.app.get_key_display(binding)
        text = binding.tooltip or binding.description
        yield Content.assemble((f"{key:<{KEY_WIDTH}}", "bold $text-accent"), (text, "" if active.enabled else "$text-muted"))
    yield Content.assemble((f"{'1-9':<{KEY_WIDTH}}", "bold $text-accent"), "Choose a run by its number")
    yield Content.assemble((f"{'ctrl+p':<{KEY_WIDTH}}", "bold $text-accent"), "Every action by name")
    yield Content.assemble((f"{'ctrl+c':<{KEY_WIDTH}}", "bold $text-accent"), "Copy what is selected; without a selection: quit")


def _signs() -> Iterator[Content]:
    pairs = [Content.assemble((sign, TONES[sign]), f" {text:<20}") for sign, text in SIGNS.items()]
    for index in range(0, len(pairs), 3):
        yield Content("").join(pairs[index : index + 3])


def _foot() -> Content:
    return Content.styled("The mouse works too: click a pane or a line, scroll, select text. esc back", "$text-muted")
