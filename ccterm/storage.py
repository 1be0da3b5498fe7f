"""The host's file system, as it is used for what must not be lost. It is passed in, so that a test can have any one write fail."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FAILING = frozenset({errno.EIO, errno.EROFS})
_FULL_WORDS = tuple(os.strerror(number).lower() for number in sorted(_FULL))
_FAILING_WORDS = tuple(os.strerror(number).lower() for number in sorted(_FAILING))


def disk_reason(error: OSError) -> str:
    """Return "full" or "io" when an error means that the disk is full or failing, else ""."""
    return "full" if error.errno in _FULL else "io" if error.errno in _FAILING else ""


def disk_words(text: str) -> str:
    """Return what `disk_reason` would, from the message of a program that could not write."""
    low = text.lower()
    return "full" if any(words in low for words in _FULL_WORDS) else "io" if any(words in low for words in _FAILING_WORDS) else ""


class Storage:
    """Writes. Every method raises OSError."""

    def create(self, path: Path, data: bytes) -> None:
        """Create or replace a file that only this user can read; durable when this returns."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[self.append(descriptor, view, len(data) - len(view)) :]
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def append(self, descriptor: int, data: memoryview, at: int) -> int:
        """Write at an offset; return how many bytes were written."""
        return os.pwrite(descriptor, data, at)

    def make_directory(self, path: Path) -> None:
        """Make a private directory, with missing parents, unless it exists."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or a directory."""
        source.rename(target)

    def sync(self, descriptor: int) -> None:
        """Make a file or a directory durable."""
        os.fsync(descriptor)

    def sync_path(self, path: Path) -> None:
        """Make a file, or the entries of a directory, durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def bulk(self, to: Path, work: Callable[[], T]) -> T:  # noqa: ARG002 - for one that fails on purpose
        """Carry out work that writes much below a path, such as the copy of a tree."""
        return work()
