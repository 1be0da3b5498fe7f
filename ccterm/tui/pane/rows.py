"""From lines to rows: wrapped, cut and padded to exactly so many cells. Pure, and the last door before the terminal."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from ccterm import events
from ccterm.events import Event
from ccterm.tui.pane.cells import cells, reach, safe, shorten
from ccterm.tui.pane.lines import lines
from ccterm.tui.pane.spans import Ink, Line, Mark, Span


class Row(NamedTuple):
    """One row of the screen; its spans take exactly the width it was made for."""

    spans: tuple[Span, ...]
    line: int
    """Number of the event's line that it is part of."""

    @property
    def text(self) -> str:
        """Its characters, padding included."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True)
class Look:
    """How an event is to be shown."""

    wrap: bool = True
    """Whether what is too long goes on in the next row; else it is cut."""
    unfolded: bool = False
    mark: Mark | None = None


def rows(event: Event, width: int, look: Look = Look()) -> list[Row]:
    """Return an event as rows of exactly `width` cells; none when there is nothing to say, or no room."""
    return list(_rows(event, width, look))


def first_rows(event: Event, width: int, count: int, look: Look = Look()) -> list[Row]:
    """Return the first rows of an event, up to `count` of them; the others are not made."""
    return list(islice(_rows(event, width, look), count))


def _rows(event: Event, width: int, look: Look) -> Iterator[Row]:
    if width < 1:
        return
    for number, line in enumerate(lines(event, unfolded=look.unfolded, mark=look.mark)):
        yield from _wrapped(line, width, number, wrap=look.wrap)


def last_rows(event: Event, width: int, count: int, look: Look = Look()) -> list[Row]:
    """Return the last rows of an event, `count` or more of them; a flood of lines that are not asked for costs nothing."""
    if isinstance(event, events.Printed | events.Said | events.Typing):
        kept = event.text.rstrip("\n").rsplit("\n", count)[-count:]
        event = event.model_copy(update={"text": "\n".join(kept)})
    return rows(event, width, look)


def _wrapped(line: Line, width: int, number: int, *, wrap: bool) -> Iterator[Row]:
    spans = tuple(Span(safe(span.text), span.ink) for span in line.spans)
    room = width - 2 if line.mark and width > 3 else width
    text = "".join(span.text for span in spans)
    if cells(text) <= room:
        yield Row((*_padded(spans, text, room), *_mark(line, width)), number)
    elif line.single or not wrap:
        yield Row((*_cut(spans, room), *_mark(line, width)), number)
    elif len(spans) == 1 and not line.words and not line.mark and text.isascii():
        yield from _chopped(text, spans[0].ink, room, number, min(line.hang, room // 2))
    else:
        yield from _broken(line, spans, text, room, number, width)


def _mark(line: Line, width: int) -> tuple[Span, ...]:
    return (Span(" "), line.mark) if line.mark and width > 3 else ()


def _padded(spans: tuple[Span, ...], text: str, room: int) -> tuple[Span, ...]:
    missing = room - cells(text)
    return (*spans, Span(" " * missing)) if missing > 0 else spans


def _cut(spans: tuple[Span, ...], room: int) -> tuple[Span, ...]:
    kept: list[Span] = []
    left = room
    for span in spans:
        text = shorten(span.text, left)
        kept.append(Span(text, span.ink))
        left -= cells(text)
        if text is not span.text:
            break
    return (*kept, Span(" " * left)) if left > 0 else tuple(kept)


def _chopped(text: str, ink: Ink, room: int, number: int, hang: int) -> Iterator[Row]:
    """Yield the rows of plain output as `_broken` would, in a fifth of its time: there may be thousands a second."""
    yield Row((Span(text[:room], ink),), number)
    lead = Span(" " * hang)
    for begin in range(room, len(text), room - hang):
        piece = Span(text[begin : begin + room - hang].ljust(room - hang), ink)
        yield Row((lead, piece) if hang else (piece,), number)


def _broken(line: Line, spans: tuple[Span, ...], text: str, room: int, number: int, width: int) -> Iterator[Row]:
    begin, hang = 0, 0
    while begin < len(text):
        end, after = _break(text, begin, room - hang, words=line.words)
        piece = text[begin:end] if end > begin else "?"  # a wide character where only one cell is left
        lead = (Span(" " * hang),) if hang else ()
        inked = (*lead, *(_slice(spans, begin, end) if end > begin else (Span(piece),)))
        yield Row((*_padded(inked, " " * hang + piece, room), *(_mark(line, width) if not begin else _blank(line, width))), number)
        begin = max(after, begin + 1)
        hang = min(line.hang, room // 2)


def _blank(line: Line, width: int) -> tuple[Span, ...]:
    return (Span("  "),) if line.mark and width > 3 else ()


def _break(text: str, begin: int, room: int, *, words: bool) -> tuple[int, int]:
    """Return where a row that begins here ends, and where the next one begins."""
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
            found.append(Span(span.text[low:high], span.ink))
        at += len(span.text)
    return tuple(found)


def empty(width: int) -> Row:
    """Return a row without text."""
    return Row((Span(" " * max(width, 0)),), 0)
