"""The rows of a pane: paints what a reel shows, when the clock says so, and takes the mouse."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from ccterm.tui.pane.clock import FrameClock
from ccterm.tui.pane.painter import MARGIN, STYLES, Painter, highlighted, selected
from ccterm.tui.pane.source import ByteStore
from ccterm.tui.pane.textual_private import frames_waiting, rows_in_place, send
from ccterm.tui.pane.viewport import MANY, Viewport
from ccterm.tui.pane.window import Placed

SELECTED = " ctrl+c copies · esc goes on "
WHEEL = 3
"""Rows that a notch of the mouse wheel moves."""


class ViewportView(Widget, can_focus=True):
    """Paints its rows itself, ready for the terminal: so it has neither border nor padding, and no children."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"reel--{name}" for name in STYLES}
    DEFAULT_CSS = """
    ViewportView { width: 1fr; height: 1fr; background: $surface; color: $foreground; }
    ViewportView > .reel--dim { color: $text-muted; }
    ViewportView > .reel--strong { text-style: bold; }
    ViewportView > .reel--accent { color: $text-primary; }
    ViewportView > .reel--good { color: $text-success; }
    ViewportView > .reel--warn { color: $text-warning; }
    ViewportView > .reel--bad { color: $text-error; }
    ViewportView > .reel--match { color: $text-warning; background: $warning-muted; text-style: underline; }
    ViewportView > .reel--hit { text-style: reverse bold; }
    ViewportView > .reel--chip { color: $text-primary; background: $primary-muted; text-style: bold; }
    ViewportView > .reel--cursor { color: $primary; }
    """

    class Updated(Message):
        """How far one is, what was found or what was chosen has changed."""

    def __init__(self, store: ByteStore, clock: FrameClock) -> None:
        super().__init__()
        self._clock = clock
        self._store = store
        self.reel = Viewport(store)
        self._painter: Painter | None = None
        self._strips: list[Strip] = []
        self._painted: tuple[object, ...] = ()
        self._told: tuple[object, ...] = ()

    def show(self, store: ByteStore) -> None:
        """Show another transcript, from its end."""
        self._store.close()
        self._store = store
        wrap, self.reel = self.reel.rendering.wrap, Viewport(store)
        self.reel.rendering.wrap = wrap
        self.refresh_rows()

    @property
    def is_first(self) -> bool:
        """Whether a person works with it."""
        return self.has_focus

    @property
    def height(self) -> int:
        """How many rows it has."""
        return self.outer_size.height

    def look(self) -> bool:
        """Return whether there may be something to paint; while text is selected its rows stand still."""
        return self.text_selection is None and self.reel.look()

    def frame(self) -> str:
        """Bring the rows up to date, and return what puts them on the terminal; "" when that is left to Textual, or nothing changed."""
        if not self._advance():
            return ""
        text = rows_in_place(self, self._strips)
        if not text:
            self.refresh()
        return text

    def paint(self) -> None:
        """Bring the screen up to date, if what is visible has changed; at once, where that can be done."""
        if not self._advance():
            return
        if not frames_waiting(self.app) and (text := rows_in_place(self, self._strips)):
            send(self.app, text)
        else:
            self.refresh()

    def _advance(self) -> bool:
        if self.text_selection is not None:
            return False
        self.reel.advance()
        changed = bool(self.outer_size) and self._update()
        told = (self.reel.following, self.reel.new_lines, self.reel.count(), self.reel.cursor)
        if told != self._told:
            self._told = told
            self.post_message(self.Updated())
        return changed

    def refresh_rows(self) -> None:
        """Look for news and paint, without waiting for the clock."""
        self.reel.source.poll()
        self.paint()

    def on_mount(self) -> None:
        """Have the clock paint it."""
        self._clock.add(self, self.screen)

    def on_unmount(self) -> None:
        """Free the file."""
        self._clock.remove(self)
        self._store.close()

    def notify_style_update(self) -> None:
        """Take the colours of another theme, or of another state."""
        super().notify_style_update()
        self._painter = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows of a region; they are made anew only for another size or other colours."""
        if not self.is_attached:  # painted once more after it was removed, without styles
            return [Strip.blank(crop.width)] * crop.height
        resized = self._painted[:1] != (self.outer_size,)
        if self._painter is None or resized:
            self.reel.source.poll()
            self.reel.advance()
            if self._update() and not resized:  # perhaps only what lay below a toast is painted now
                self.call_next(self.refresh)
        shown = self._selected_strips()[crop.y : crop.bottom]
        return shown if (crop.x, crop.width) == (0, self.outer_size.width) else [strip.crop(crop.x, crop.right) for strip in shown]

    def render_line(self, y: int) -> Strip:
        """Return one row, which tells of each character where it is: Textual asks what lies under the mouse."""
        return self.render_lines(Region(0, y, self.outer_size.width, 1))[0].apply_offsets(0, y)

    def _selected_strips(self) -> list[Strip]:
        """Return the rows as they are shown now: with what is selected, and with how that ends."""
        selection = self.text_selection
        if selection is None or self._painter is None:
            return self._strips
        shown = highlighted(self._strips, selection, self.get_component_rich_style("reel--hit"))
        return [*shown[:-1], self._painter.with_chip(shown[-1], SELECTED)] if shown else shown

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return what is selected, and what ends it."""
        return selected(self._strips, selection), "\n"

    def text_select_all(self) -> None:
        """Select nothing: a second click unfolds."""

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll towards the begin."""
        event.stop()
        self.reel.scroll(-WHEEL)
        self.paint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll towards the end."""
        event.stop()
        self.reel.scroll(WHEEL)
        self.paint()

    def on_click(self, event: events.Click) -> None:
        """Choose the event that was clicked, and unfold it when it is chosen already; the chip follows the end."""
        if self.text_selection is not None:  # the mouse was drawn over it
            return
        placed = self.reel.rows()
        chip = self._chip(placed)
        if chip and event.y == self.height - 1 and event.x >= self.outer_size.width - len(chip) - 1:
            self.reel.follow()
        elif event.y < len(placed) and (offset := placed[event.y].offset) == self.reel.cursor:
            self.reel.fold()
        elif event.y < len(placed):
            self.reel.cursor = offset
        self.refresh_rows()

    def _update(self) -> bool:
        """Make the strips of what is to be seen now. Returns whether they are others than before."""
        reel, (width, height) = self.reel, self.outer_size
        reel.resize(max(width - MARGIN, 0), height)
        placed = reel.rows()
        chip = self._chip(placed)
        if self._painter is None or self._painter.width != width:
            self._painter = self._new_painter()
        painter = self._painter
        state = (self.outer_size, placed, chip, reel.pattern, reel.hit, reel.cursor, painter)
        if state == self._painted:
            return False
        self._painted = state
        self._strips = [self._strip(painter, each) for each in placed] + [painter.blank] * (height - len(placed))
        if chip:
            self._strips[-1] = painter.with_chip(self._strips[-1], chip)
        return True

    def _strip(self, painter: Painter, placed: Placed) -> Strip:
        offset, row = placed
        return painter.strip(row, cursor=offset == self.reel.cursor, pattern=self.reel.pattern, hit=(offset, row.line) == self.reel.hit)

    def _chip(self, placed: Sequence[Placed]) -> str:
        """Return what stands over the last row while the end is not followed: what came since, else how far down one is."""
        new = self.reel.new_lines
        if self.reel.following:
            return ""
        if new:
            return f" ↓ {new:,}{'+' if new >= MANY else ''} new line{'' if new == 1 else 's'} "
        return f" {100 * placed[-1].offset // max(self.reel.source.end, 1)} % "

    def _new_painter(self) -> Painter:
        styles = {name: self.get_component_rich_style(f"reel--{name}") for name in STYLES}
        return Painter({"": self.rich_style, **styles}, self.get_line_filters(), self.background_colors[1], self.outer_size.width)
