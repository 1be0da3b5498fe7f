"""What travels from the app to its screens."""

from collections.abc import Collection

from textual.message import Message

from ccterm.models import RunId


class RunsChanged(Message):
    """Something happened to these runs; many changes at once are one message."""

    def __init__(self, runs: Collection[RunId]) -> None:
        super().__init__()
        self.runs = frozenset(runs)

    def can_replace(self, message: Message) -> bool:
        """A later one that is about the same runs says all that this one would."""
        return isinstance(message, RunsChanged) and message.runs <= self.runs


class Ticked(Message):
    """A second went by while something runs."""

    def can_replace(self, message: Message) -> bool:
        """One is enough."""
        return isinstance(message, Ticked)


class Connected(Message):
    """The service can be asked from now on."""


class ImageMade(Message):
    """The making of the image has ended, well or not."""
