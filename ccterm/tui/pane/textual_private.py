"""The private parts of Textual that panes touch, all in one place. Where one is missing everything works as well, only for more.

Textual's compositor walks every row of every widget for each frame, which costs more than making the rows. So while nothing lies over a
pane, its rows go to the terminal directly; otherwise Textual paints them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter

from textual.app import App
from textual.geometry import Offset, Size
from textual.strip import Strip
from textual.widget import Widget


def frames_waiting(app: object) -> int:
    """Return how many writes wait for a terminal that is too slow for them; 0 where that cannot be told."""
    writer = getattr(getattr(app, "_driver", None), "_writer_thread", None)
    queue = getattr(writer, "_queue", None)
    return int(queue.qsize()) if queue is not None else 0


def watch_passes(screen: object, took: Callable[[float], None]) -> bool:
    """Call `took` with the seconds of every pass of a screen's compositor. Returns whether that is possible."""
    paint = getattr(screen, "_compositor_refresh", None)
    if not callable(paint):
        return False

    def timed() -> None:
        begin = perf_counter()
        paint()
        took(perf_counter() - begin)

    with suppress(AttributeError):
        setattr(screen, "_compositor_refresh", timed)  # noqa: B010 - an attribute of somebody else's
        return True
    return False


def lay_out_once(screen: object) -> bool:
    """Lay a screen out once for each size: Textual tells it of its size again when it has just been laid out. Returns whether that is possible."""
    lay_out, compositor = getattr(screen, "_screen_resized", None), getattr(screen, "_compositor", None)
    if not callable(lay_out) or not hasattr(compositor, "size"):
        return False

    def once(size: Size) -> None:
        if getattr(compositor, "size", None) != size:  # what else asks for a layout gets its own
            lay_out(size)

    setattr(screen, "_screen_resized", once)  # noqa: B010 - an attribute of somebody else's
    return True


def rows_in_place(widget: Widget, strips: Sequence[Strip]) -> str:
    """Return what puts a widget's rows where they stand on the terminal; "" when something lies over them, or that cannot be told."""
    try:
        place = _uncovered(widget)
        if place is None:
            return ""
        left, top, console = place.x + 1, place.y + 1, widget.app.console
        return "".join([f"\x1b[{top + y};{left}H{strip.render(console)}" for y, strip in enumerate(strips)])
    except AttributeError:
        return ""


def _uncovered(widget: Widget) -> Offset | None:
    """Return where a widget begins on a terminal, if all of it is to be seen there, and stays so."""
    app, screen = widget.app, widget.screen
    settled = not (screen._layout_required or screen._scroll_required or screen._repaint_required or app._batch_count)
    if app.screen is not screen or app.is_headless or app.is_inline or not settled:
        return None
    shown = screen._compositor.visible_widgets
    if widget not in shown:
        return None
    region, clip = shown[widget]
    if region.size != widget.outer_size or not clip.contains_region(region):
        return None
    for other, (place, its_clip) in shown.items():
        if other is widget:
            return region.offset
        if place.intersection(its_clip).overlaps(region):
            return None
    return None


def send(app: App[object], text: str) -> None:
    """Write to the terminal, as one frame, and leave the cursor where the app wants it."""
    driver = app._driver
    if driver is not None:
        app._begin_update()
        driver.write(f"{text}\x1b[{app.cursor_position.y + 1};{app.cursor_position.x + 1}H")
        app._end_update()
        driver.flush()
