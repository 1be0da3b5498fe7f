"""From lines to rows: wrapped, cut and padded to an exact width; pure. The last step before the terminal, so every text is made safe here."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from ccterm import events
from ccterm.events import Event
from ccterm.tui.pane.cells import cells, reach, safe, shorten
from ccterm.tui.pane.lines import LineOptions, lines
from ccterm.tui.pane.markdown import open_fence
from ccterm.tui.pane.spans import Span, TextLine, TextStyle


class PaneRow(NamedTuple):
    """One row of a pane; its spans take exactly the width it was made for."""

    spans: tuple[Span, ...]
    line: int
    """Number of the line of the event that it belongs to."""

    @property
    def text(self) -> str:
        """Its characters, including padding."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True)
class RowOptions(LineOptions):
    """How an event is shown."""

    wrap: bool = True
    """Whether long lines continue in the next row; else they are cut."""


def rows(event: Event, width: int, options: RowOptions = RowOptions()) -> list[PaneRow]:
    """Return an event as rows of exactly `width` cells; none when it says nothing, or there is no room."""
    return list(_rows(event, width, options))


def first_rows(event: Event, width: int, count: int, options: RowOptions = RowOptions()) -> list[PaneRow]:
    """Return the first rows of an event, up to `count` of them; the others are not made."""
    return list(islice(_rows(event, width, options), count))


def _rows(event: Event, width: int, options: RowOptions) -> Iterator[PaneRow]:
    if width < 1:
        return
    for number, line in enumerate(lines(event, options)):
        yield from _wrapped(line, width, number, wrap=options.wrap)


def last_rows(event: Event, width: int, count: int, options: RowOptions = RowOptions()) -> list[PaneRow]:
    """Return the last rows of an event, `count` or more of them; long output costs no more than what is asked for."""
    if isinstance(event, events.Printed | events.Said | events.Typing):
        text = event.text.rstrip("\n")
        kept = "\n".join(text.rsplit("\n", count)[-count:])
        if options.colour and isinstance(event, events.Said):
            options = replace(options, inside=open_fence(text[: len(text) - len(kept)]))
        event = event.model_copy(update={"text": kept})
    return rows(event, width, options)


def _wrapped(line: TextLine, width: int, number: int, *, wrap: bool) -> Iterator[PaneRow]:
    spans = tuple(Span(safe(span.text), span.style) for span in line.spans)
    room = width - 2 if line.mark and width > 3 else width
    text = "".join(span.text for span in spans)
    if cells(text) <= room:
        yield PaneRow((*_padded(spans, text, room), *_mark(line, width)), number)
    elif line.single or not wrap:
        yield PaneRow((*_cut(spans, room), *_mark(line, width)), number)
    elif len(spans) == 1 and not line.words and not line.mark and text.isascii():
        yield from _chopped(text, spans[0].style, room, number, min(line.hang, room // 2))
    else:
        yield from _broken(line, spans, text, room, number, width)


def _mark(line: TextLine, width: int) -> tuple[Span, ...]:
    return (Span(" "), line.mark) if line.mark and width > 3 else ()


def _padded(spans: tuple[Span, ...], text: str, room: int) -> tuple[Span, ...]:
    missing = room - cells(text)
    return (*spans, Span(" " * missing)) if missing > 0 else spans


def _cut(spans: tuple[Span, ...], room: int) -> tuple[Span, ...]:
    kept: list[Span] = []
    left = room
    for span in spans:
        text = shorten(span.text, left)
        kept.append(Span(text, span.style))
        left -= cells(text)
        if text is not span.text:
            break
    return (*kept, Span(" " * left)) if left > 0 else tuple(kept)


def _chopped(text: str, style: TextStyle, room: int, number: int, hang: int) -> Iterator[PaneRow]:
    """Yield the rows of plain output as `_broken` would, five times as fast: there may be thousands a second."""
    yield PaneRow((Span(text[:room], style),), number)
    lead = Span(" " * hang)
    for begin in range(room, len(text), room - hang):
        piece = Span(text[begin : begin + room - hang].ljust(room - hang), style)
        yield PaneRow((lead, piece) if hang else (piece,), number)


def _broken(line: TextLine, spans: tuple[Span, ...], text: str, room: int, number: int, width: int) -> Iterator[PaneRow]:
    begin, hang = 0, 0
    while begin < len(text):
        end, after = _break(text, begin, room - hang, words=line.words)
        piece = text[begin:end] if end > begin else "?"  # a wide character in a row of one cell
        lead = (Span(" " * hang),) if hang else ()
        styled = (*lead, *(_slice(spans, begin, end) if end > begin else (Span(piece),)))
        yield PaneRow((*_padded(styled, " " * hang + piece, room), *(_mark(line, width) if not begin else _blank(line, width))), number)
        begin = max(after, begin + 1)
        hang = min(line.hang, room // 2)


def _blank(line: TextLine, width: int) -> tuple[Span, ...]:
    return (Span("  "),) if line.mark and width > 3 else ()


def _break(text: str, begin: int, room: int, *, words: bool) -> tuple[int, int]:
    """Return where a row that begins at `begin` ends, and where the next one begins."""
    end = reach(text, begin, room)
    if end >= len(text) or not words:
        return end, end
    if text[end] == " ":
        return end, end + 1
    space = text.rfind(" ", begin, end)
    if space <= begin or not text[begin:space].strip():
        return end, end
    return space, space + 1


def _slice(spans: tuple[Span, ...], begin: int, end: int) -> tuple[Span, ...]:
    found: list[Span] = []
    at = 0
    for span in spans:
        low, high = max(begin - at, 0), end - at
        if high > 0 and low < len(span.text):
            found.append(Span(span.text[low:high], span.style))
        at += len(span.text)
    return tuple(found)


def empty(width: int) -> PaneRow:
    """Return a row without text."""
    return PaneRow((Span(" " * max(width, 0)),), 0)
