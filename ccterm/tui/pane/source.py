"""The lines of a transcript by byte offset: backwards from its end, forwards from any offset, and as it grows.

No line is kept after it was read; the operating system caches the file.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from ccterm.event_lines import FORMER_KINDS, HOW_OFTEN, ID_OF_CALL, KIND_OF_LINE, REFUSED_HOST
from ccterm.git.bounded_json import read_json

BLOCK = 64 * 1024
_FIRST_BLOCK = 8 * 1024
_LAST_BLOCK = 512
LINE_CAP = 4 * 1024 * 1024
"""Longest line that is read; no event is longer."""


class HostRefusal(NamedTuple):
    """What a line says of a refused host. key: what all lines about it have; empty = the line says nothing of that kind. times: how often."""

    key: bytes = b""
    times: int = 0

    def __bool__(self) -> bool:
        return bool(self.key)


class RawLine(NamedTuple):
    """One complete line of a transcript, without its line break."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Offset of the next line."""
        return self.offset + len(self.data) + 1

    @property
    def kind(self) -> str:
        """The event's kind by its current name, read without parsing the event; "" when this is no event."""
        found = KIND_OF_LINE.match(self.data)
        kind = found[1].decode() if found else ""
        return FORMER_KINDS.get(kind, kind)

    @property
    def call(self) -> str:
        """The id of the tool call; "" when the event is not a tool call."""
        found = ID_OF_CALL.match(self.data)
        return str(read_json(found[1])) if found else ""

    @property
    def refusal(self) -> HostRefusal:
        """The refused host that the event is about."""
        found = REFUSED_HOST.match(self.data)
        told = HOW_OFTEN.match(self.data, found.end()) if found else None
        return HostRefusal(found[1], int(told[1])) if found and told else HostRefusal()


class ByteStore(Protocol):
    """Bytes that only grow."""

    def size(self) -> int:
        """Return how many bytes there are now; 0 when there are none yet."""
        ...

    def read(self, count: int, offset: int) -> bytes:
        """Return up to `count` bytes from an offset on."""
        ...

    def close(self) -> None:
        """Release its resources; it may be read again."""
        ...


class FileStore:
    """A file that somebody else writes and that need not exist yet. A file that shrinks or is replaced is read again from its start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def size(self) -> int:
        """Return the file's size; 0 when it does not exist, cannot be read, or was replaced."""
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
        """Return bytes of the file; none when it cannot be read."""
        if self._descriptor is None:
            return b""
        try:
            return os.pread(self._descriptor, count, offset)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


class MemoryStore:
    """A transcript in memory: for what has no file, and for tests."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._data += data

    def size(self) -> int:
        """Return how many bytes there are."""
        return len(self._data)

    def read(self, count: int, offset: int) -> bytes:
        """Return some of them."""
        return bytes(self._data[offset : offset + count])

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class LineSource:
    """The complete lines of a byte store, up to the last `poll`."""

    def __init__(self, store: ByteStore) -> None:
        self._store = store
        self._seen = 0
        self.end = 0
        """Offset after the last complete line."""
        self.epoch = 0
        """Counts how often the store has started again."""

    def poll(self) -> bool:
        """Check how far the store has grown. Returns whether there are new lines, or the old ones are gone."""
        size = self._store.size()
        if size == self._seen:
            return False
        before = self.end
        if size < self._seen:
            self.end, self._seen, self.epoch = 0, 0, self.epoch + 1
        self.end = self._after_last_break(size)
        self._seen = size
        return self.end != before

    def before(self, offset: int) -> Iterator[RawLine]:
        """Yield the lines before an offset, the last first."""
        held, block = b"", _FIRST_BLOCK
        at = offset
        while at > 0:
            begin = max(0, at - block)
            held = self._store.read(at - begin, begin) + held
            at, block = begin, BLOCK
            whole = held.find(b"\n") + 1 if at else 0
            if len(held) >= LINE_CAP and whole in (0, len(held)):
                whole = 0  # no event is that long: it comes in pieces, which do not parse
            elif at and whole in (0, len(held)):
                continue
            yield from _backwards(held[whole:], at + whole)
            held = held[:whole]

    def after(self, offset: int, *, end: int | None = None) -> Iterator[RawLine]:
        """Yield the lines from an offset on, which must be the start of a line."""
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
        """Return the line that starts at an offset."""
        return next(self.after(offset), None)

    def begin_of_line(self, offset: int) -> int:
        """Return the start of the line that contains a byte."""
        while offset > 0:
            begin = max(0, offset - BLOCK)
            if (at := self._store.read(offset - begin, begin).rfind(b"\n")) >= 0:
                return begin + at + 1
            offset = begin
        return 0

    def find(self, needle: bytes, begin: int, end: int) -> int:
        """Return the offset of the first needle that starts within a range of bytes; -1 when there is none."""
        found = self._store.read(end - begin + len(needle) - 1, begin).find(needle)
        return begin + found if found >= 0 else -1

    def read(self, begin: int, end: int) -> bytes:
        """Return a range of bytes."""
        return self._store.read(end - begin, begin)

    def _after_last_break(self, size: int) -> int:
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
