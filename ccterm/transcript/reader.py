"""Reads a transcript forwards, from any number on, while it may still grow; usable from any process."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ccterm.errors import StateError
from ccterm.event_lines import SEQ_OF_LINE
from ccterm.events import Event, Finished, Notice, from_line
from ccterm.models import RunId
from ccterm.transcript.lines import lines_backwards

_CHUNK = 64 * 1024


class EventReader:
    """Reads the events of one transcript after number `after`, as far as its lines are complete."""

    def __init__(self, path: Path, after: int = -1) -> None:
        self._path = path
        self._after = after
        self._number = -1
        """Of the last line read, whether it was returned or not."""
        self._offset = 0
        self._descriptor: int | None = None
        self.over = False
        """Whether the run's final event was read, even if before `after`."""

    def read(self) -> list[Event]:
        """Return the next events, about 64 KiB at most; none when there are no more yet. Raises StateError."""
        try:
            if self._descriptor is None and not self._open():
                return []
            while data := self._whole_lines():
                if found := list(self._parse(data)):
                    return found
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return []

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> bool:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self._offset = _seek(self._descriptor, self._after)
        return True

    def _whole_lines(self) -> bytes:
        assert self._descriptor is not None
        size = _CHUNK
        while True:
            data = os.pread(self._descriptor, size, self._offset)
            end = data.rfind(b"\n") + 1
            if end or len(data) < size:
                return data[:end]
            size *= 4  # the line is longer than what was read

    def _parse(self, data: bytes) -> Iterator[Event]:
        for line in data[:-1].split(b"\n"):
            event = self._event(line)
            self._offset += len(line) + 1
            self.over = self.over or isinstance(event, Finished)
            self._number = event.seq
            if event.seq > self._after:
                self._after = event.seq
                yield event

    def _event(self, line: bytes) -> Event:
        try:
            return from_line(line)
        except ValidationError:
            text = f"a line of this transcript cannot be read: {len(line)} bytes at {self._offset} of {self._path.name}"
            return Notice(level="error", text=text, seq=self._number + 1, run=RunId(self._path.parent.name))


def _seek(descriptor: int, after: int) -> int:
    """Return the start of a line at or before the event after `after`, by bisection: numbers increase along the file."""
    low, high = 0, os.fstat(descriptor).st_size if after >= 0 else 0
    while high - low > _CHUNK:
        middle = (low + high) // 2
        begin, seq = _number_after(descriptor, middle)
        if seq is not None and seq <= after and begin < high:
            low = begin
        else:
            high = middle
    return low


def _number_after(descriptor: int, offset: int) -> tuple[int, int | None]:
    """Return start and number of the first line that starts after an offset; None when none is near."""
    data = os.pread(descriptor, _CHUNK, offset)
    begin = data.find(b"\n") + 1
    found = SEQ_OF_LINE.match(data, begin) if begin else None
    return offset + begin, int(found[1]) if found else None


def read_events(path: Path, after: int = -1) -> Iterator[Event]:
    """Yield the events of a transcript after number `after`, up to the last complete line.

    A line in the middle that cannot be read becomes a notice in its place.
    """
    reader = EventReader(path, after)
    try:
        while batch := reader.read():
            yield from batch
    finally:
        reader.close()


def last_event(path: Path) -> tuple[Event | None, int]:
    """Return the last event that can be read, and how many unreadable lines follow it. Raises StateError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, 0
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return _last(lines_backwards(descriptor))
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)


def _last(lines: Iterator[bytes]) -> tuple[Event | None, int]:
    unreadable = 0
    for line in lines:
        try:
            return from_line(line), unreadable
        except ValidationError:
            unreadable += 1
    return None, unreadable


def _unreadable(path: Path, error: OSError) -> StateError:
    return StateError(f"{path} cannot be read: {error.strerror}", "check its permissions, and the disk that it is on")
