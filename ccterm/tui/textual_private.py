"""Everything that is taken from Textual's private parts. Where one is missing, Textual's public way does the same work, only slower.

Textual's compositor walks every row of every widget for each frame, which costs more than making the rows. So while nothing covers a
pane, its rows go to the terminal directly; otherwise Textual paints them.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import perf_counter

from rich.segment import Segment
from rich.text import Text
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter
from textual.geometry import Offset, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

_log = logging.getLogger(__name__)
_DRIVING = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SEQUENCE = re.compile(r"[\x1b\[O]|P[0-9>+$!]|\][0-9]")
"""What follows an escape that begins a control sequence: a key with a name, the mouse, or an answer of the terminal."""
_APART = re.compile(rf"(?<=\x1b)(?!{_SEQUENCE.pattern})(?=.)", re.DOTALL)
"""Between an escape that is a key, and the next key."""
_SHAPE_CHANGED = (AttributeError, TypeError, ValueError)
"""What is raised when a private part is missing, or has become another one."""


class HarmlessText(LineFilter):
    """The last filter before the terminal: takes out of everything that Textual paints what would drive it. No cell is moved by that."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Return the same segments, or new ones without control characters and without those that turn the direction of text."""
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [segment if segment.text.isprintable() else _without_controls(segment) for segment in segments]


class QuietCrash(App[None]):
    """An app that ends with one sentence when it crashes: Textual would print a traceback with all local variables."""

    def _fatal_error(self) -> None:
        from ccterm.output.own_text import clean_text  # deferred: the first frame does without

        error = sys.exception()
        _log.error("the terminal crashed", exc_info=error)
        what = f"{type(error).__name__}: {error}"
        self.panic(Text(clean_text(f"ccterm: {what}; this is a bug in ccterm, please report it with its log")))


def _without_controls(segment: Segment) -> Segment:
    return Segment(_DRIVING.sub("", segment.text), segment.style)


def keep_escape_apart() -> bool:
    """Have Textual take an escape and the keys after it for what they are when they come in one read. Returns whether that is possible.

    It takes them for a key with alt, or for text that begins with ^.
    """
    try:
        from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
        from textual._xterm_parser import XTermParser
        from textual.drivers import linux_driver
    except ImportError:
        return False
    if not hasattr(XTermParser(), "_timeout_time") or not hasattr(linux_driver, "XTermParser"):
        return False

    class EscapeApart(XTermParser):
        pasting, ended_with_escape = False, False

        def feed(self, data: str) -> Iterable[Message]:
            parts = [data] if self.is_pasted(data) or data in ANSI_SEQUENCES_KEYS else _APART.split(data)
            if self.ended_with_escape and not _SEQUENCE.match(data):
                yield from self.as_key()
            for part in parts[:-1]:
                yield from super().feed(part)
                yield from self.as_key()
            yield from super().feed(parts[-1])
            self.ended_with_escape = data.endswith("\x1b")

        def as_key(self) -> Iterable[Message]:
            if self._timeout_time is not None:
                self._timeout_time = 0.0
            return self.tick()

        def is_pasted(self, data: str) -> bool:
            begins, ends = data.rfind("\x1b[200~"), data.rfind("\x1b[201~")
            was = self.pasting
            self.pasting = begins > ends if max(begins, ends) >= 0 else was
            return was or begins >= 0

    linux_driver.XTermParser = EscapeApart  # the driver looks it up there
    return True


def frames_waiting(app: object) -> int:
    """Return how many writes a slow terminal has not taken yet; 0 when unknown."""
    try:
        return int(app._driver._writer_thread._queue.qsize())  # type: ignore[attr-defined]  # private, and not there on every driver
    except _SHAPE_CHANGED:
        return 0


def watch_passes(screen: object, took: Callable[[float], None]) -> bool:
    """Call `took` with the seconds of every pass of a screen's compositor. Returns whether that is possible."""
    paint = getattr(screen, "_compositor_refresh", None)
    if not callable(paint):
        return False

    def timed() -> None:
        begin = perf_counter()
        paint()
        took(perf_counter() - begin)

    return _replace(screen, "_compositor_refresh", timed)


def lay_out_once(screen: object) -> bool:
    """Lay a screen out once for each size: Textual reports the size again right after a layout. Returns whether that is possible.

    Each widget that has another size then asks for a layout of its own, in case it has to scroll now; those that need not are let off.
    """
    lay_out, compositor = getattr(screen, "_screen_resized", None), getattr(screen, "_compositor", None)
    if not callable(lay_out) or not hasattr(compositor, "size"):
        return False

    def once(size: Size) -> None:
        if getattr(compositor, "size", None) != size:  # layouts that are asked for otherwise take another way
            satisfied = [widget for widget in getattr(compositor, "widgets", ()) if not getattr(widget, "_layout_required", True)]
            lay_out(size)
            for widget in satisfied:
                _settle(widget)

    return _replace(screen, "_screen_resized", once)


def _settle(widget: object) -> None:
    """Take back that a widget wants a layout, where everything in it is visible."""
    with suppress(AttributeError):
        if widget.virtual_size == widget.size and not any(widget.scrollbars_enabled):  # type: ignore[attr-defined]  # or it stays
            widget._layout_required = False  # type: ignore[attr-defined]  # private


def _replace(screen: object, name: str, method: object) -> bool:
    with suppress(AttributeError):
        setattr(screen, name, method)
        return True
    return False


def rows_in_place(widget: Widget, strips: Sequence[Strip]) -> str:
    """Return the sequence that puts a widget's rows in their place on the terminal; "" when it is covered, or that is unknown."""
    try:
        place = _uncovered(widget)
        if place is None:
            return ""
        left, top, console = place.x + 1, place.y + 1, widget.app.console
        return "".join([f"\x1b[{top + y};{left}H{strip.render(console)}" for y, strip in enumerate(strips)])
    except _SHAPE_CHANGED:
        return ""


def _uncovered(widget: Widget) -> Offset | None:
    """Return where a widget stands on the terminal, if all of it is visible and will stay so."""
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


def send(app: App[object], rows: str) -> None:
    """Write rows to the terminal as one frame and leave the cursor where the app wants it; else have Textual paint the screen."""
    try:
        begin, end, write, flush = app._begin_update, app._end_update, app._driver.write, app._driver.flush  # type: ignore[union-attr]  # None raises, too
    except AttributeError:
        app.refresh()
        return
    begin()
    write(f"{rows}\x1b[{app.cursor_position.y + 1};{app.cursor_position.x + 1}H")
    end()
    flush()


def write_to_terminal(app: App[None], sequence: str) -> None:
    """Write a control sequence that changes nothing on the screen; left out where there is no terminal, or no way to it."""
    driver = getattr(app, "_driver", None)
    if driver is not None and not app.is_headless:
        with suppress(OSError, AttributeError):
            driver.write(sequence)


class Answered(Message):
    """The terminal has answered a question. text: the part of the answer that is not the same in all."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


BACKGROUND_ANSWER = "\x1b]11;"


def takes_answers(begin: str) -> bool:
    """Whether the terminal's answers that begin so are posted as messages; Textual itself takes them for keys."""
    from textual.drivers import linux_driver

    return any(vars(kind).get("begin") == begin for kind in getattr(linux_driver, "XTermParser", object).__mro__)


def take_answers(begin: str, kind: type[Answered]) -> None:
    """Have the terminal's answers that begin so posted as messages, from the next start of an app on, where that is possible."""
    from textual.drivers import linux_driver

    if takes_answers(begin) or not hasattr(linux_driver, "XTermParser"):
        return
    answer = re.compile(rf"{re.escape(begin)}([^\x07\x1b]{{0,64}})(?:\x07|\x1b\\)")
    cut = re.compile(
        "|".join(f"{re.escape(begin[:end])}$" for end in range(2, len(begin))) + rf"|{re.escape(begin)}[^\x07\x1b]{{0,64}}\x1b?$"
    )

    class WithAnswers(linux_driver.XTermParser):  # type: ignore[misc,name-defined]  # with whatever has been added to it
        def __init__(self, debug: bool = False) -> None:
            super().__init__(debug)
            self._held = ""

        def feed(self, data: str) -> Iterable[Message]:
            if not data:  # the end of input
                yield from super().feed(data)
                return
            *parts, rest = answer.split(self._held + data)
            for text, answered in zip(parts[::2], parts[1::2], strict=True):
                if text:
                    yield from super().feed(text)
                yield kind(answered)
            found = cut.search(rest)
            rest, self._held = (rest[: found.start()], found[0]) if found else (rest, "")
            if rest:
                yield from super().feed(rest)

    WithAnswers.begin = begin  # what takes_answers looks for
    linux_driver.XTermParser = WithAnswers  # the driver looks it up there
