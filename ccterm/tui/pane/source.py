"""The lines of a transcript by byte offset: from its end backwards, from any offset on, and as it grows. The file is the only truth.

Nothing is kept of a line that was read; the operating system keeps the file in memory.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

BLOCK = 64 * 1024
_FIRST_BLOCK = 8 * 1024
_LAST_BLOCK = 512
LINE_CAP = 4 * 1024 * 1024
"""Longest line that is read; what is longer is no event of ours."""
_CALL = re.compile(rb'[^{]*"kind":"tool_called","id":("(?:[^"\\]|\\.)*")')
_KIND = re.compile(rb'\{"seq":-?\d+,"at":(?:"[^"]*"|null),"run":"[^"]*","kind":"([a-z_]+)"')


class RawLine(NamedTuple):
    """One whole line of a transcript, without its line break."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Offset of the line behind it."""
        return self.offset + len(self.data) + 1

    @property
    def kind(self) -> str:
        """The event's kind, told without parsing it; "" when it does not look like an event."""
        found = _KIND.match(self.data)
        return found[1].decode() if found else ""

    @property
    def call(self) -> str:
        """The id of the tool call that it is; "" when it is none."""
        found = _CALL.match(self.data, 1)
        return str(json.loads(found[1])) if found else ""


class ByteStore(Protocol):
    """Bytes that only ever grow."""

    def size(self) -> int:
        """Return how many bytes there are now; 0 when there are none yet."""
        ...

    def read(self, count: int, offset: int) -> bytes:
        """Return up to so many bytes from an offset on; fewer when there are no more."""
        ...

    def close(self) -> None:
        """Free what it holds; it may be read again."""
        ...


class FileStore:
    """A file that another one writes, and that may not be there yet. A file that shrinks or is replaced is read anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def size(self) -> int:
        """Return the file's size; 0 when it is not there, cannot be read, or was replaced since."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(self._descriptor)
        except OSError:
            return 0
        if not status.st_nlink:
            self.close()
            return 0
        return status.st_size

    def read(self, count: int, offset: int) -> bytes:
        """Return bytes of the file; none when the disk refuses them."""
        if self._descriptor is None:
            return b""
        try:
            return os.pread(self._descriptor, count, offset)
        except OSError:
            return b""

    def close(self) -> None:
        """Free the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


class MemoryStore:
    """A transcript in memory: for tests, pictures and whatever comes without a file."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._data += data

    def size(self) -> int:
        """Return how many bytes there are."""
        return len(self._data)

    def read(self, count: int, offset: int) -> bytes:
        """Return a part of them."""
        return bytes(self._data[offset : offset + count])

    def close(self) -> None:
        """Hold nothing that needs to be freed."""


class Source:
    """The whole lines of a byte store, as far as `poll` saw them."""

    def __init__(self, store: ByteStore) -> None:
        self._store = store
        self._seen = 0
        self.end = 0
        """Offset behind the last whole line."""
        self.epoch = 0
        """Counts how often the store began anew."""

    def poll(self) -> bool:
        """Look how far the store has grown. Returns whether there are new lines, or none of the old."""
        size = self._store.size()
        if size == self._seen:
            return False
        before = self.end
        if size < self._seen:
            self.end, self._seen, self.epoch = 0, 0, self.epoch + 1
        self.end = self._behind_last_break(size)
        self._seen = size
        return self.end != before

    def before(self, offset: int) -> Iterator[RawLine]:
        """Yield the lines in front of an offset, the last first."""
        held, block = b"", _FIRST_BLOCK
        at = offset
        while at > 0:
            begin = max(0, at - block)
            held = self._store.read(at - begin, begin) + held
            at, block = begin, BLOCK
            whole = held.find(b"\n") + 1 if at else 0
            if len(held) >= LINE_CAP and whole in (0, len(held)):
                whole = 0  # no event of ours is that long: it comes in pieces, none of which can be read
            elif at and whole in (0, len(held)):
                continue
            yield from _backwards(held[whole:], at + whole)
            held = held[:whole]

    def after(self, offset: int, *, end: int | None = None) -> Iterator[RawLine]:
        """Yield the lines from an offset on, which must be where one begins."""
        end = self.end if end is None else min(end, self.end)
        block = _FIRST_BLOCK
        while offset < end:
            data = self._store.read(min(block, end - offset), offset)
            last = data.rfind(b"\n") + 1
            if not last and len(data) == block and block < LINE_CAP:
                block *= 4
                continue
            if not data:
                return
            yield from _forwards(data[: last or len(data)], offset)
            offset += last or len(data)
            block = BLOCK

    def line(self, offset: int) -> RawLine | None:
        """Return the line that begins at an offset."""
        return next(self.after(offset), None)

    def begin_of_line(self, offset: int) -> int:
        """Return where the line begins that a byte belongs to."""
        while offset > 0:
            begin = max(0, offset - BLOCK)
            if (at := self._store.read(offset - begin, begin).rfind(b"\n")) >= 0:
                return begin + at + 1
            offset = begin
        return 0

    def find(self, needle: bytes, begin: int, end: int) -> int:
        """Return where a needle begins first within a range of bytes; -1 when it does not."""
        found = self._store.read(end - begin + len(needle) - 1, begin).find(needle)
        return begin + found if found >= 0 else -1

    def read(self, begin: int, end: int) -> bytes:
        """Return a range of bytes."""
        return self._store.read(end - begin, begin)

    def _behind_last_break(self, size: int) -> int:
        at, block = size, _LAST_BLOCK
        while at > self.end:
            begin = max(self.end, at - block)
            if (found := self._store.read(at - begin, begin).rfind(b"\n")) >= 0:
                return begin + found + 1
            at, block = begin, BLOCK
        return self.end


def _forwards(data: bytes, offset: int) -> Iterator[RawLine]:
    for line in data.removesuffix(b"\n").split(b"\n"):
        yield RawLine(offset, line)
        offset += len(line) + 1


def _backwards(data: bytes, offset: int) -> Iterator[RawLine]:
    end = len(data)
    while end > 0:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        yield RawLine(offset + begin, data[begin : end - 1] if data[end - 1 : end] == b"\n" else data[begin:end])
        end = begin
