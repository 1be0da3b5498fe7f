"""A small app that shows panes, and what a user sees of them."""

from pathlib import Path

from rich.console import Console
from textual.app import App, ComposeResult
from textual.containers import Grid
from textual.driver import Driver
from textual.geometry import Region
from textual.message import Message

from ccterm.tui.pane import ByteStore, EventPane, FrameClock
from ccterm.tui.pane.view import ViewportView


class PaneApp(App[None]):
    """Panes side by side. Keeps the messages that they post."""

    CSS = "Grid { grid-gutter: 0 1; }"

    def __init__(self, *what: Path | ByteStore, columns: int = 1, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self.what = what
        self.columns = columns
        self.clock = FrameClock()
        self.messages: list[Message] = []

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        with Grid() as grid:
            grid.styles.grid_size_columns = self.columns
            for number, _ in enumerate(self.what):
                yield EventPane(clock=self.clock, id=f"pane{number}")

    def on_mount(self) -> None:
        """Show a transcript in each."""
        for pane, what in zip(self.query(EventPane), self.what, strict=True):
            pane.show(what, run=pane.id or "")
        self.query(EventPane).first().focus()

    def on_event_pane_scrolled(self, message: EventPane.Scrolled) -> None:
        """Keep it."""
        self.messages.append(message)

    def on_event_pane_copied(self, message: EventPane.Copied) -> None:
        """Keep it."""
        self.messages.append(message)


def visible_rows(pane: EventPane) -> list[str]:
    """Return the rows of a pane as they are painted, without the space at their ends."""
    view = pane.query_one(ViewportView)
    return [strip.text.rstrip() for strip in view.render_lines(Region(0, 0, *view.size))]


def terminal_output(pane: EventPane) -> str:
    """Return a pane as it is sent to the terminal, row by row."""
    console = Console(force_terminal=True, color_system="truecolor")
    view = pane.query_one(ViewportView)
    return "\n".join(strip.render(console) for strip in view.render_lines(Region(0, 0, *view.size)))
