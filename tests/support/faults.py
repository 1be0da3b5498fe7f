"""A storage of which a chosen write fails, as on a disk that is full or broken."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from ccterm.storage import Storage

NEED_NO_SPACE = {"rename", "exchange", "move", "remove", "remove_directory", "set_mode", "sync"}
"""Writes that succeed on a full disk."""


class FaultyStorage(Storage):
    """Fails the Nth write after `armed` said yes for the first time; `at` 0 = none, they are only counted.

    until: while it says no, all later writes fail too that the error concerns; None = that one write alone.
    """

    def __init__(self, code: int, at: int, *, armed: Callable[[], bool] = lambda: True, until: Callable[[], bool] | None = None) -> None:
        self.count = 0
        self.failed: list[str] = []
        self._code, self._at, self._armed, self._until = code, at, armed, until
        self._began = False

    def before(self, write: str, path: Path) -> None:
        """Count the write, or fail it. Raises OSError."""
        self._began = self._began or self._armed()
        if not self._began or (self._code == errno.ENOSPC and write in NEED_NO_SPACE):
            return
        self.count += 1
        lasts = bool(self.failed) and self._until is not None and not self._until()
        if self.count == self._at or lasts:
            self.failed.append(f"{write} {path}")
            raise OSError(self._code, os.strerror(self._code), str(path))

    def append(self, descriptor: int, data: memoryview, at: int, path: Path) -> int:
        """Write half of the data, as a disk does that fills up."""
        return super().append(descriptor, data[: max(1, len(data) // 2)], at, path)
