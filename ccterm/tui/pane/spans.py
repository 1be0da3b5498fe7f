"""Lines of styled text: what the text of a pane is made of, before its width is known."""

from enum import StrEnum
from typing import NamedTuple


class TextStyle(StrEnum):
    """What a piece of text is; the theme decides on its colour and weight."""

    TEXT = "text"
    DIM = "dim"
    STRONG = "strong"
    ACCENT = "accent"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    HEADING = "heading"
    EMPHASIS = "emphasis"
    CODE = "code"
    KEYWORD = "code-keyword"
    NAME = "code-name"
    TYPE = "code-type"
    STRING = "code-string"
    NUMBER = "code-number"
    COMMENT = "code-comment"


class CallStatus(StrEnum):
    """How a tool call ended, as its sign."""

    OPEN = "…"
    GOOD = "✓"
    BAD = "✗"


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: TextStyle = TextStyle.TEXT


class TextLine(NamedTuple):
    """A line of text, however long it is."""

    spans: tuple[Span, ...]
    hang: int = 0
    """Cells by which the wrapped rest is indented."""
    words: bool = True
    """Break between words; else wherever the edge is."""
    single: bool = False
    """Never wrapped: cut at the edge."""
    mark: Span | None = None
    """One cell at the right edge of the first row."""

    @property
    def text(self) -> str:
        """Its characters without styles."""
        return "".join(span.text for span in self.spans)
