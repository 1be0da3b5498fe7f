"""The making of the image below the checks: how it stands, and all that it says as it says it."""

from textual.app import ComposeResult
from textual.containers import Vertical

from ccterm.tui.image_build import Making
from ccterm.tui.pane import EventPane, FrameClock
from ccterm.tui.widgets.split_line import SplitLine


class ImageBuildView(Vertical):
    """Not there until an image is made."""

    DEFAULT_CSS = """
    ImageBuildView {
        height: 1fr; display: none;
        #making { background: $panel; color: $text; text-style: bold; }
        &.-failed #making { background: $error-muted; }
        &.-shown { display: block; }
    }
    """

    def __init__(self, clock: FrameClock) -> None:
        super().__init__()
        self._clock = clock
        self._making: Making | None = None

    def compose(self) -> ComposeResult:
        """Lay out title and log."""
        yield SplitLine(id="making")
        yield EventPane(clock=self._clock)

    def show(self, making: Making | None) -> None:
        """Show this one as it stands now."""
        if making is None:
            return
        if making is not self._making:
            self._making = making
            self.query_one(EventPane).show(making.store)
        self.add_class("-shown")
        self.set_class(bool(making.fault), "-failed")
        stands = "making the image" if making.under_way else f"not made: {making.fault}" if making.fault else "the image is made"
        self.query_one("#making", SplitLine).show(stands, f"{making.seconds // 60}:{making.seconds % 60:02}")
