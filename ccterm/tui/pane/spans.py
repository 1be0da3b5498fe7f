"""Lines of inked text: what the words of a pane are made of, before anybody knows how wide it is."""

from enum import StrEnum
from typing import NamedTuple


class Ink(StrEnum):
    """What a piece of text is, as colour and weight: the theme decides how it looks."""

    TEXT = "text"
    DIM = "dim"
    STRONG = "strong"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Mark(StrEnum):
    """How a tool call stands."""

    OPEN = "…"
    GOOD = "✓"
    BAD = "✗"


class Span(NamedTuple):
    """A piece of a line in one ink."""

    text: str
    ink: Ink = Ink.TEXT


class Line(NamedTuple):
    """A line of text as long as it is."""

    spans: tuple[Span, ...]
    hang: int = 0
    """Cells by which what is wrapped is indented."""
    words: bool = True
    """Break between words; else wherever the edge is."""
    single: bool = False
    """Never wrapped: cut at the edge."""
    mark: Span | None = None
    """One cell at the right edge of the first row."""

    @property
    def text(self) -> str:
        """Its characters without inks."""
        return "".join(span.text for span in self.spans)
