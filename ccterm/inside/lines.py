"""Cuts a byte stream into lines of text: lines of many megabytes are normal here, and none may be lost or cut inside a character."""

import codecs
from collections.abc import Iterator

from ccterm.inside.protocol import PART


class Splitter:
    """Feeds on chunks, gives lines; an over-long line comes in parts, all but the last marked as such."""

    def __init__(self, part: int = PART) -> None:
        self._part = part
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text: list[str] = []
        self._length = 0

    def feed(self, data: bytes) -> Iterator[tuple[str, bool]]:
        """Yield (text, part) for each line, or part of one, that is complete now."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            yield from self._take(line, final=True)
            yield self._give(), False
        yield from self._take(rest, final=False)

    def close(self) -> Iterator[tuple[str, bool]]:
        """Yield what the stream ended with, when that was no line break."""
        yield from self._take(b"", final=True)
        if self._length:
            yield self._give(), False

    def _take(self, data: bytes, *, final: bool) -> Iterator[tuple[str, bool]]:
        text = self._decoder.decode(data, final)
        self._text.append(text)
        self._length += len(text)
        while self._length > self._part:
            text = self._give()
            yield text[: self._part], True
            self._text, self._length = [text[self._part :]], len(text) - self._part

    def _give(self) -> str:
        text = self._text[0] if len(self._text) == 1 else "".join(self._text)
        self._text, self._length = [], 0
        return text
