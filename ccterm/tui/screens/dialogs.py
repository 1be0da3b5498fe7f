"""Questions over a screen: choose one of a few answers, type a line, quit while runs are active. Escape always cancels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ccterm.tui.app_base import AppBase
from ccterm.tui.messages import RunsChanged
from ccterm.tui.run_text import short_name
from ccterm.tui.run_view import RunView
from ccterm.tui.runs import Runs

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service

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
    &.-low {{
        & > Vertical {{ padding: 0 1; max-height: 100%; }}
        #title {{ margin-bottom: 0; }}
        #foot {{ margin-top: 0; }}
    }}
}}
"""
LOW = [(0, "-low"), (15, "-high")]
"""On screens of less than 15 lines a dialog does without empty ones."""


class Choice(NamedTuple):
    """An answer: its key, and what it means."""

    key: str
    text: str


class ChoiceDialog(ModalScreen[str]):
    """Asks for one of a few answers; returns its key, or "" for none."""

    DEFAULT_CSS = DIALOG_CSS.format(name="ChoiceDialog")
    VERTICAL_BREAKPOINTS = LOW
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
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id or "")

    def on_key(self, event: events.Key) -> None:
        """Choose an answer by its key."""
        if any(choice.key == event.key for choice in self._choices):
            event.stop()
            self.dismiss(event.key)


class JoinedInput(Input):
    """A line of text into which several can be pasted: as one, where Textual's own would take the first and drop the others."""

    def on_paste(self, event: events.Paste) -> None:
        """Put in the pasted text."""
        event.prevent_default()
        event.stop()
        text, selection = " ".join(event.text.split()), self.selection
        if selection.is_empty:
            self.insert_text_at_cursor(text)
        else:
            self.replace(text, *selection)


class LineDialog(ModalScreen[str]):
    """Asks for a line of text; returns it, or "" for none."""

    DEFAULT_CSS = DIALOG_CSS.format(name="LineDialog")
    VERTICAL_BREAKPOINTS = LOW
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Back")]

    def __init__(self, title: str, *, foot: str, value: str = "", placeholder: str = "") -> None:
        super().__init__()
        self._title = title
        self._foot = foot
        self._value = value
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """Lay out question and input."""
        with Vertical():
            yield Static(self._title, id="title", markup=False)
            yield JoinedInput(self._value, placeholder=self._placeholder, select_on_focus=False)
            yield Static(self._foot, id="foot", markup=False)

    @on(Input.Submitted)
    def _accept(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())


LEAVE, WAIT, STOP = "l", "w", "s"


def leave_dialog(active: int, *, detached: bool, keeps: bool = True) -> ChoiceDialog:
    """Return the question before quitting with active runs. detached: the daemon would carry on with them. keeps: as opposed to a demo."""
    subject = "1 run is" if active == 1 else f"{active} runs are"
    leave: Sequence[Choice] = [Choice(LEAVE, "leave them running; start ccterm to see them again")] if detached else []
    stop = "stop them and keep their work" if keeps else "stop them"
    choices = [*leave, Choice(WAIT, "wait here and quit when they have finished"), Choice(STOP, stop)]
    fate = "" if keeps else " The demo and all its work are removed then."
    return ChoiceDialog(f"{subject} still active. Quit?{fate}", choices)


class WaitDialog(ModalScreen[bool]):
    """Waits until no run is active; returns False when the user decides to stay."""

    DEFAULT_CSS = DIALOG_CSS.format(name="WaitDialog")
    VERTICAL_BREAKPOINTS = LOW
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Stay"),
        Binding("h", "release", "Finish"),
    ]

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._runs = runs

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        with Vertical():
            yield Static(id="title", markup=False)
            yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        """Show how many runs are left."""
        self._count()

    def on_screen_resume(self) -> None:
        """Show what has happened behind another dialog."""
        self._count()

    @on(RunsChanged)
    def _count(self) -> None:
        active = self._runs.active
        if active == 0:
            if self.is_active:  # else it has been closed already, or is when it comes back
                self.dismiss(True)
        else:
            self.query_one("#title", Static).update(f"waiting for {active} run{'' if active == 1 else 's'} to finish")
            waiting = [short_name(view.run) for view in self._waiting]
            first = f"{waiting[0]} itself waits for you" if len(waiting) == 1 else f"{len(waiting)} of them wait for you"
            foot = f"{first} · h let finish · esc stay and answer" if waiting else "quits by itself when they have finished · esc stay"
            self.query_one("#foot", Static).update(foot)

    @property
    def _waiting(self) -> list[RunView]:
        return [view for view in self._runs if view.waiting]

    def action_release(self) -> None:
        """Let those that wait for the user finish."""
        runs = [view.run.id for view in self._waiting]

        async def release(service: "Service") -> str:
            for run in runs:
                await service.release(run)
            return ""

        if runs and isinstance(self.app, AppBase):
            self.app.perform(release)
