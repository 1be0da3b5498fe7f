"""A file that only ever grows by whole lines: whatever goes wrong, no reader sees a partial one."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ccterm.state_dir import private_file
from ccterm.storage import STORAGE, Storage

_BLOCK = 64 * 1024


class LineFile:
    """Appends whole lines to a private file. Opening it removes what an interrupted write left after the last line break.

    Methods may be called from any thread. Raises StateError when it cannot be opened.
    """

    def __init__(self, path: Path, storage: Storage = STORAGE) -> None:
        self._path = path
        self._storage = storage
        self._descriptor = private_file(path)
        self._lock = threading.Lock()
        self.size = after_last_break(self._descriptor, os.fstat(self._descriptor).st_size)
        """Bytes of whole lines."""
        self._cut(self.size)

    def write(self, data: bytes) -> OSError | None:
        """Append whole lines. After an error, which is returned, the file ends with the last line that fitted, at `size`."""
        with self._lock:
            begin, view = self.size, memoryview(data)
            done, error = self._write(view)
            if error:
                done = data.rfind(b"\n", 0, done) + 1
                self._cut(begin + done)
            self.size = begin + done
            return error

    def _write(self, view: memoryview) -> tuple[int, OSError | None]:
        done = 0
        try:
            while done < len(view):
                done += self._storage.append(self._descriptor, view[done:], self.size + done, self._path)
        except OSError as error:
            return done, error
        return done, None

    def _cut(self, size: int) -> None:
        with suppress(OSError):  # readers stop at the last line break, and the next write overwrites the rest
            os.ftruncate(self._descriptor, size)

    def sync(self) -> OSError | None:
        """Make everything written so far durable, without blocking writes."""
        try:
            with self._lock:
                descriptor = os.dup(self._descriptor)
            try:
                self._storage.sync(descriptor, self._path)
            finally:
                os.close(descriptor)
        except OSError as error:
            return error
        return None

    def close(self) -> None:
        """Close the file after any write in progress; a later write fails, and never hits another file with the same descriptor."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1


def after_last_break(descriptor: int, before: int) -> int:
    """Return the offset after the last line break before an offset; 0 when there is none."""
    while before > 0:
        begin = max(0, before - _BLOCK)
        if (at := os.pread(descriptor, before - begin, begin).rfind(b"\n")) >= 0:
            return begin + at + 1
        before = begin
    return 0


def lines_backwards(descriptor: int) -> Iterator[bytes]:
    """Yield a file's whole lines, with their line breaks, from the last to the first."""
    end = after_last_break(descriptor, os.fstat(descriptor).st_size)
    while end > 0:
        begin = after_last_break(descriptor, end - 1)
        yield os.pread(descriptor, end - begin, begin)
        end = begin
