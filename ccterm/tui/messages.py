"""What the app tells its screens."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from textual.message import Message

from ccterm.tui.textual_private import Answered

if TYPE_CHECKING:  # the first frame does without
    from ccterm.models import RunId


class RunsChanged(Message):
    """Something happened to these runs; many changes at once are one message."""

    def __init__(self, runs: "Collection[RunId]") -> None:
        super().__init__()
        self.runs = frozenset(runs)

    def can_replace(self, message: Message) -> bool:
        """A later message about the same runs replaces this one."""
        return isinstance(message, RunsChanged) and message.runs <= self.runs


class Ticked(Message):
    """A second passed while something is running."""

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
