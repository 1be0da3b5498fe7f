"""Choose a theme: the whole screen shows the one that is highlighted; escape goes back to the one before."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ccterm.tui.themes import ThemeChoice, theme_names

FOLLOW = "follow"


class ThemeScreen(ModalScreen[None]):
    """The themes, and the one that follows the terminal's background."""

    DEFAULT_CSS = """
    ThemeScreen {
        align: right middle; background: transparent;
        & > Vertical { width: 40; height: auto; max-height: 90%; margin: 0 2; padding: 1 2; background: $surface; border: round $primary; }
        #title { text-style: bold; margin-bottom: 1; }
        OptionList, OptionList:focus { height: auto; max-height: 50vh; border: none; background: transparent; padding: 0; }
        #foot { color: $text-muted; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, choice: ThemeChoice) -> None:
        super().__init__()
        self._choice = choice
        self._before = ""

    def compose(self) -> ComposeResult:
        """Lay out the names."""
        with Vertical():
            yield Static("Theme", id="title", markup=False)
            yield OptionList(Option("as the terminal's background", id=FOLLOW), *(Option(name, id=name) for name in theme_names()))
            lasts = "for now; the settings decide later" if self._choice.by_settings else "enter keep · esc back"
            yield Static(lasts, id="foot", markup=False)

    def on_mount(self) -> None:
        """Begin at the one that is shown."""
        self._before = self.app.theme
        listed = self.query_one(OptionList)
        listed.highlighted = listed.get_option_index(FOLLOW if self._choice.follows_terminal else self.app.theme)

    @on(OptionList.OptionHighlighted)
    def _preview(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.app.theme = self._choice.suiting if event.option_id == FOLLOW else event.option_id or self._before

    @on(OptionList.OptionSelected)
    def _keep(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._choice.pick(None if event.option_id == FOLLOW else event.option_id)
        self.dismiss()

    def action_leave(self) -> None:
        """Go back to the theme before."""
        self.app.theme = self._before
        self.dismiss()
