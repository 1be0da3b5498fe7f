"""The making of the image for boxes, as the terminal shows it: what it has said, and how it stands. It goes on whatever screen is shown."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ccterm.errors import CctermError
from ccterm.events import Event, Notice, Printed, to_line
from ccterm.models import RunId
from ccterm.tui.pane import MemoryStore

if TYPE_CHECKING:  # the service brings all that carries runs out; the first frame does without
    from ccterm.service.protocol import Service


class Making:
    """One attempt."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.store = MemoryStore()
        """What it has said, as a transcript."""
        self.under_way = True
        self.fault = ""
        """Why it failed, or ""."""
        self._clock = clock
        self._begun = self._ended = clock()
        self._said = 0

    @property
    def seconds(self) -> int:
        """How long it takes, or took."""
        return int(((self._clock() if self.under_way else self._ended) - self._begun).total_seconds())

    async def carry_out(self, service: "Service") -> str:
        """Make the image; returns what came of it. Raises CctermError."""
        try:
            async for line in service.make_image():
                self._say(Printed(stream="stdout", text=line))
        except CctermError as error:
            self.fault = error.message
            self._say(Notice(level="error", text="\n".join(filter(None, (error.message, error.fix)))))
            raise
        finally:
            self.under_way, self._ended = False, self._clock()
        return "the image is made"

    def _say(self, event: Event) -> None:
        self.store.append(to_line(event.stamped(seq=self._said, at=self._clock(), run=RunId("image"))))
        self._said += 1
