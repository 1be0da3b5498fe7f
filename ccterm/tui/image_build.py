"""A build of the image for boxes: its log and state, which outlive the screen that started it, and the widget that shows them."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical

from ccterm.errors import CctermError
from ccterm.events import Event, Notice, Printed, to_line
from ccterm.models import RunId
from ccterm.tui.pane import EventPane, FrameClock, MemoryStore
from ccterm.tui.widgets.header import SplitLine

if TYPE_CHECKING:  # importing the service takes long, and the first frame does not need it
    from ccterm.service.protocol import Service


class ImageBuildProgress:
    """One attempt to build the image."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.log = MemoryStore()
        """The output so far, as a transcript."""
        self.running = True
        self.error = ""
        """Why it failed, or ""."""
        self._clock = clock
        self._started = self._ended = clock()
        self._events = 0

    @property
    def seconds(self) -> int:
        """How long it has taken so far, or took."""
        return int(((self._clock() if self.running else self._ended) - self._started).total_seconds())

    async def carry_out(self, service: "Service") -> str:
        """Build the image; returns the result in words. Raises CctermError."""
        try:
            async for line in service.make_image():
                self._append(Printed(stream="stdout", text=line))
        except CctermError as error:
            self.error = error.message
            self._append(Notice(level="error", text="\n".join(filter(None, (error.message, error.fix)))))
            raise
        finally:
            self.running, self._ended = False, self._clock()
        return "image built"

    def _append(self, event: Event) -> None:
        self.log.append(to_line(event.stamped(seq=self._events, at=self._clock(), run=RunId("image"))))
        self._events += 1


class ImageBuildView(Vertical):
    """A build's state and log; hidden until the first build."""

    DEFAULT_CSS = """
    ImageBuildView {
        height: 1fr; display: none;
        #build-state { background: $panel; color: $text; text-style: bold; }
        &.-failed #build-state { background: $error-muted; }
        &.-shown { display: block; }
    }
    """

    def __init__(self, clock: FrameClock) -> None:
        super().__init__()
        self._clock = clock
        self._build: ImageBuildProgress | None = None

    def compose(self) -> ComposeResult:
        """Lay out title and log."""
        yield SplitLine(id="build-state")
        yield EventPane(clock=self._clock)

    def show(self, build: ImageBuildProgress | None) -> None:
        """Show the current state of a build."""
        if build is None:
            return
        if build is not self._build:
            self._build = build
            self.query_one(EventPane).show(build.log)
        self.add_class("-shown")
        self.set_class(bool(build.error), "-failed")
        state = "building the image" if build.running else f"build failed: {build.error}" if build.error else "image built"
        self.query_one("#build-state", SplitLine).show(state, f"{build.seconds // 60}:{build.seconds % 60:02}")
