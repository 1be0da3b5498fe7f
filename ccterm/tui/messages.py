"""What the app tells its screens, and which of them the user sees."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.message import Message
from textual.screen import Screen

from ccterm.tui.textual_private import Answered

if TYPE_CHECKING:  # the first frame does without
    from ccterm.models import RunId


class RunsChanged(Message):
    """Something happened to these runs, or may have while their screen was covered; many changes at once are one message."""

    def __init__(self, runs: "Collection[RunId]") -> None:
        super().__init__()
        self.runs = frozenset(runs)

    def can_replace(self, message: Message) -> bool:
        """A later message about the same runs, and perhaps others, replaces this one."""
        return isinstance(message, RunsChanged) and self.runs <= message.runs


class Ticked(Message):
    """A second passed while something is running; else a minute."""

    def can_replace(self, message: Message) -> bool:
        """One is enough."""
        return isinstance(message, Ticked)


class Connected(Message):
    """The service can be used from now on."""


class BackgroundAnswered(Answered):
    """The terminal has said what its background is."""


class Checked(Message):
    """The checks of this machine say something new."""


class ImageBuilt(Message):
    """The build of the image has ended, successfully or not."""


def visible_screens(app: App[Any]) -> Sequence[Screen[Any]]:
    """Return the screen on top, and those below it as far as what is above them is transparent; none once the last one is closed."""
    found: list[Screen[Any]] = []
    for screen in reversed(app.screen_stack):
        found.append(screen)
        if screen.styles.background.a == 1:
            break
    return found
