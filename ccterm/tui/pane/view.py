"""The rows of a pane: paints a viewport when the clock says so, and handles the mouse."""

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
from ccterm.tui.pane.query import MANY
from ccterm.tui.pane.source import ByteStore
from ccterm.tui.pane.viewport import Viewport
from ccterm.tui.pane.window import PlacedRow
from ccterm.tui.textual_private import frames_waiting, rows_in_place, send

SELECTED = " ctrl+c copy · esc resume "
WHEEL = 3
"""Rows that one notch of the mouse wheel scrolls."""


class ViewportView(Widget, can_focus=True):
    """Paints its rows itself, ready for the terminal; so it has neither border nor padding, and no children."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"viewport--{name}" for name in STYLES}
    DEFAULT_CSS = """
    ViewportView { width: 1fr; height: 1fr; background: $surface; color: $foreground; }
    ViewportView > .viewport--dim { color: $text-muted; }
    ViewportView > .viewport--strong { text-style: bold; }
    ViewportView > .viewport--accent { color: $text-primary; }
    ViewportView > .viewport--good { color: $text-success; }
    ViewportView > .viewport--warn { color: $text-warning; }
    ViewportView > .viewport--bad { color: $text-error; }
    ViewportView > .viewport--heading { color: $text-primary; text-style: bold; }
    ViewportView > .viewport--emphasis { text-style: italic; }
    ViewportView > .viewport--code { color: $text-accent; }
    ViewportView > .viewport--code-keyword { color: $text-accent; }
    ViewportView > .viewport--code-name { color: $text-primary; }
    ViewportView > .viewport--code-type { color: $text-primary; }
    ViewportView > .viewport--code-string { color: $text-success; }
    ViewportView > .viewport--code-number { color: $text-warning; }
    ViewportView > .viewport--code-comment { text-style: dim italic; }
    ViewportView > .viewport--match { color: $text-warning; background: $warning-muted; text-style: underline; }
    ViewportView > .viewport--hit { text-style: reverse bold; }
    ViewportView > .viewport--badge { color: $text-primary; background: $primary-muted; text-style: bold; }
    ViewportView > .viewport--cursor { color: $primary; }
    """

    class Updated(Message):
        """The position, the search or the chosen event has changed."""

    def __init__(self, store: ByteStore, clock: FrameClock) -> None:
        super().__init__()
        self._clock = clock
        self._store = store
        self.viewport = Viewport(store, clock.lexers)
        self._painter: Painter | None = None
        self._strips: list[Strip] = []
        self._painted: tuple[object, ...] = ()
        self._reported: tuple[object, ...] = ()

    def show(self, store: ByteStore) -> None:
        """Show another transcript, from its end."""
        self._store.close()
        self._store = store
        before, self.viewport = self.viewport.rendering, Viewport(store, self._clock.lexers)
        self.viewport.rendering.wrap, self.viewport.rendering.markdown = before.wrap, before.markdown
        self.refresh_rows()

    @property
    def is_focused(self) -> bool:
        """Whether it has the focus."""
        return self.has_focus

    @property
    def height(self) -> int:
        """How many rows it has."""
        return self.outer_size.height

    def poll(self) -> bool:
        """Return whether there may be something to paint; while text is selected the rows do not move."""
        return self.text_selection is None and self.viewport.poll()

    def frame(self) -> str:
        """Update the rows and return the sequence that paints them on the terminal; "" when Textual paints them, or nothing changed."""
        if not self._advance():
            return ""
        text = rows_in_place(self, self._strips)
        if not text:
            self.refresh()
        return text

    def paint(self) -> None:
        """Update the screen if what is visible has changed, at once where that is possible."""
        if not self._advance():
            return
        if not frames_waiting(self.app) and (text := rows_in_place(self, self._strips)):
            send(self.app, text)
        else:
            self.refresh()

    def _advance(self) -> bool:
        if self.text_selection is not None:
            return False
        self.viewport.advance()
        changed = bool(self.outer_size) and self._update()
        state = (self.viewport.following, self.viewport.new_lines, self.viewport.count(), self.viewport.cursor)
        if state != self._reported:
            self._reported = state
            self.post_message(self.Updated())
        return changed

    def refresh_rows(self) -> None:
        """Read what is new and paint, without waiting for the clock."""
        self.viewport.source.poll()
        self.paint()

    def on_mount(self) -> None:
        """Register with the clock."""
        self._clock.add(self, self.screen)

    def on_unmount(self) -> None:
        """Close the file."""
        self._clock.remove(self)
        self._store.close()

    def notify_style_update(self) -> None:
        """Use the colours of another theme or state."""
        super().notify_style_update()
        self._painter = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows of a region; they are made again only for another size or other colours."""
        if not self.is_attached:  # Textual paints it once more after it was removed, without styles
            return [Strip.blank(crop.width)] * crop.height
        resized = self._painted[:1] != (self.outer_size,)
        if self._painter is None or resized:
            self.viewport.source.poll()
            self.viewport.advance()
            if self._update() and not resized:  # perhaps only the part below a toast is being painted
                self.call_next(self.refresh)
        shown = self._selected_strips()[crop.y : crop.bottom]
        return shown if (crop.x, crop.width) == (0, self.outer_size.width) else [strip.crop(crop.x, crop.right) for strip in shown]

    def render_line(self, y: int) -> Strip:
        """Return one row with the offset of each character: Textual asks what is under the mouse."""
        return self.render_lines(Region(0, y, self.outer_size.width, 1))[0].apply_offsets(0, y)

    def _selected_strips(self) -> list[Strip]:
        """Return the rows with the selection highlighted, and with the keys that end it."""
        selection = self.text_selection
        if selection is None or self._painter is None:
            return self._strips
        shown = highlighted(self._strips, selection, self.get_component_rich_style("viewport--hit"))
        return [*shown[:-1], self._painter.with_badge(shown[-1], SELECTED)] if shown else shown

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text and what separates it from the next."""
        return selected(self._strips, selection), "\n"

    def text_select_all(self) -> None:
        """Select nothing: a double click unfolds."""

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll towards the start."""
        event.stop()
        self.viewport.scroll(-WHEEL)
        self.paint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll towards the end."""
        event.stop()
        self.viewport.scroll(WHEEL)
        self.paint()

    def on_click(self, event: events.Click) -> None:
        """Choose the clicked event, or unfold it if it is chosen already; a click on the badge follows the end."""
        if self.text_selection is not None:  # the end of a selection
            return
        placed = self.viewport.rows()
        badge = self._badge(placed)
        if badge and event.y == self.height - 1 and event.x >= self.outer_size.width - len(badge) - 1:
            self.viewport.follow()
        elif event.y < len(placed) and (offset := placed[event.y].offset) == self.viewport.cursor:
            self.viewport.fold()
        elif event.y < len(placed):
            self.viewport.cursor = offset
        self.refresh_rows()

    def _update(self) -> bool:
        """Make the strips that are visible now. Returns whether they have changed."""
        viewport, (width, height) = self.viewport, self.outer_size
        viewport.resize(max(width - MARGIN, 0), height)
        placed = viewport.rows()
        badge = self._badge(placed)
        if self._painter is None or self._painter.width != width:
            self._painter = self._new_painter()
        painter = self._painter
        state = (self.outer_size, placed, badge, viewport.pattern, viewport.hit, viewport.cursor, painter)
        if state == self._painted:
            return False
        self._painted = state
        self._strips = [self._strip(painter, each) for each in placed] + [painter.blank] * (height - len(placed))
        if badge:
            self._strips[-1] = painter.with_badge(self._strips[-1], badge)
        return True

    def _strip(self, painter: Painter, placed: PlacedRow) -> Strip:
        offset, row = placed
        return painter.strip(
            row, cursor=offset == self.viewport.cursor, pattern=self.viewport.pattern, hit=(offset, row.line) == self.viewport.hit
        )

    def _badge(self, placed: Sequence[PlacedRow]) -> str:
        """Return the text over the end of the last row while the end is not followed: how much is new, else the position."""
        new = self.viewport.new_lines
        if self.viewport.following:
            return ""
        if new:
            return f" ↓ {new:,}{'+' if new >= MANY else ''} new line{'' if new == 1 else 's'} "
        return f" {100 * placed[-1].offset // max(self.viewport.source.end, 1)} % "

    def _new_painter(self) -> Painter:
        key = (self.app.theme, self.rich_style)
        if key not in self._clock.styles:  # a pane has no colours of its own: what one of them has looked up serves all
            self._clock.styles[key] = {name: self.get_component_rich_style(f"viewport--{name}") for name in STYLES}
        styles = {"": self.rich_style, **self._clock.styles[key]}
        return Painter(styles, self.get_line_filters(), self.background_colors[1], self.outer_size.width)
