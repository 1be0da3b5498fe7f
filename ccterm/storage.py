"""The host's file system, as it is used for what must not be lost. It is passed in, so that a test can have any one write fail."""

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
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


def write_fix(error: OSError, path: Path) -> str:
    """Return what a user can do about a file that cannot be written. path: of the file or directory."""
    match disk_reason(error):
        case "full":
            return "free some space"
        case "io":
            return "check the disk and its file system"
        case _:
            return f"check the permissions of {path}, and of the directories above it"


def disk_words(text: str) -> str:
    """Return what `disk_reason` would, from the message of a program that could not write."""
    low = text.lower()
    return "full" if any(words in low for words in _FULL_WORDS) else "io" if any(words in low for words in _FAILING_WORDS) else ""


class Storage:
    """Writes. Every method raises OSError."""

    def before(self, write: str, path: Path) -> None:
        """Do nothing. Called before each write, where one that fails on purpose can raise OSError; `write` is the name of the method."""

    def create(self, path: Path, data: bytes) -> None:
        """Create or replace a file that only this user can read; durable when this returns."""
        self.before("create", path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._fill(descriptor, data, path)
        finally:
            os.close(descriptor)

    def replace(self, path: Path, data: bytes) -> None:
        """Replace a file's content atomically and durably."""
        self.before("replace", path)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            try:
                os.fchmod(descriptor, 0o600)
                self._fill(descriptor, data, path)
            finally:
                os.close(descriptor)
            os.rename(name, path)  # noqa: PTH104 - not a write of its own
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108
            raise
        self.sync_path(path.parent)

    def _fill(self, descriptor: int, data: bytes, path: Path) -> None:
        view = memoryview(data)
        while view:
            view = view[self.append(descriptor, view, len(data) - len(view), path) :]
        self.sync(descriptor, path)

    def append(self, descriptor: int, data: memoryview, at: int, path: Path) -> int:
        """Write some of the data at an offset of a file; return how many bytes were written. path: of the file."""
        self.before("append", path)
        return os.pwrite(descriptor, data, at)

    def make_directory(self, path: Path) -> None:
        """Make a private directory, with missing parents, unless it exists."""
        self.before("make_directory", path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or a directory."""
        self.before("rename", target)
        source.rename(target)

    def sync(self, descriptor: int, path: Path) -> None:
        """Make a file or a directory durable. path: its own."""
        self.before("sync", path)
        os.fsync(descriptor)

    def sync_path(self, path: Path) -> None:
        """Make a file, or the entries of a directory, durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self.sync(descriptor, path)
        finally:
            os.close(descriptor)

    def bulk(self, to: Path, work: Callable[[], T]) -> T:
        """Carry out work that writes in its own way at or below a path: the copy of a tree, a transaction of a database, git."""
        self.before("bulk", to)
        return work()


STORAGE = Storage()
"""What writes where nothing else is given."""
