"""An app that shows transcripts side by side. Keys: J jumps in the first pane, Q quits, any other one shows a mark."""

import gc
import random
import sys
from pathlib import Path

from textual.app import App, ComposeResult
from textual.containers import Grid
from textual.events import Key
from textual.widgets import Static

from ccterm.tui.pane import EventPane, FrameClock
from ccterm.tui.pane.view import ViewportView


class Mark(Static):
    """The last part of a frame: the key that was pressed, and the width of the panes above."""

    text = "READY"

    def render(self) -> str:
        """Return both."""
        return f"{self.text:<8} w{self.app.query(ViewportView).last().region.right}"


class Panes(App[None]):
    """So many transcripts of a directory."""

    CSS = "Grid { height: 1fr; } #mark { height: 1; dock: bottom; width: 100%; }"

    def __init__(self, place: Path, panes: int) -> None:
        super().__init__()
        self._place, self._panes, self._jumps = place, panes, 0

    def compose(self) -> ComposeResult:
        """Lay them out."""
        clock = FrameClock()
        with Grid() as grid:
            grid.styles.grid_size_columns = 4 if self._panes > 4 else 1
            for number in range(self._panes):
                yield EventPane(self._place / f"{number}.ndjson", clock=clock)
        yield Mark(id="mark")

    def on_mount(self) -> None:
        """Give the last one the keys."""
        self.query(EventPane).last().focus()
        self.call_after_refresh(gc.freeze)  # as the terminal does

    def on_key(self, event: Key) -> None:
        """Jump, quit, or show the key."""
        if event.character == "J":
            self._jumps += 1
            self.query(EventPane).first().scroll_to_fraction(random.random())
            self._show(f"jump{self._jumps:04d}")
        elif event.character == "Q":
            self.exit()
        elif event.character:
            self._show(event.character.upper() * 6)

    def _show(self, text: str) -> None:
        mark = self.query_one(Mark)
        mark.text = text
        mark.refresh()


if __name__ == "__main__":
    Panes(Path(sys.argv[1]), int(sys.argv[2])).run()
