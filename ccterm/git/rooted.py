"""Reads a directory that somebody hostile may have filled: every step goes through a descriptor, and no link is ever followed."""

import os
import stat
import sys
from typing import NamedTuple, Self

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Node(NamedTuple):
    """What lies at a path: its mode as lstat gives it, and its size."""

    mode: int
    size: int

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def git_mode(self) -> int:
        """Return the mode that git would record; 0 for what git knows nothing of."""
        if self.is_link:
            return 0o120000
        if not self.is_file:
            return 0
        return 0o100755 if self.mode & stat.S_IXUSR else 0o100644


class Root:
    """A directory. Paths are bytes relative to it, without leading or trailing slashes. Every method may raise OSError."""

    def __init__(self, path: str | bytes) -> None:
        self._top = os.open(path, _DIRECTORY)
        self._chain: list[tuple[bytes, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._shorten(0)
        os.close(self._top)

    def directory(self, path: bytes) -> int:
        """Return a descriptor of a directory, good until the next call."""
        parts = path.split(b"/") if path else []
        same = 0
        while same < min(len(parts), len(self._chain)) and self._chain[same][0] == parts[same]:
            same += 1
        self._shorten(same)
        for part in parts[same:]:
            self._chain.append((part, _open(part, self._chain[-1][1] if self._chain else self._top, _DIRECTORY, 0o700)))
        return self._chain[-1][1] if self._chain else self._top

    def list(self, path: bytes) -> dict[bytes, Node]:
        """Return name -> node of everything in a directory."""
        with os.scandir(self.directory(path)) as entries:
            return {os.fsencode(entry.name): _node(entry.stat(follow_symlinks=False)) for entry in entries}

    def node(self, path: bytes) -> Node:
        """Return what lies at a path."""
        parent, name = _split(path)
        return _node(os.stat(name, dir_fd=self.directory(parent), follow_symlinks=False))

    def open(self, path: bytes) -> int:
        """Return a descriptor of a regular file; it is the caller's to close."""
        parent, name = _split(path)
        file = _open(name, self.directory(parent), _FILE, 0o400)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(f"{os.fsdecode(path)} is no regular file")
        return file

    def read(self, path: bytes, limit: int) -> bytes:
        """Return the first `limit` bytes of a regular file."""
        with os.fdopen(self.open(path), "rb") as file:
            return file.read(limit)

    def link(self, path: bytes) -> bytes:
        """Return the target of a symbolic link."""
        parent, name = _split(path)
        return os.readlink(name, dir_fd=self.directory(parent))

    def remove(self, path: bytes) -> None:
        """Remove what is no directory."""
        parent, name = _split(path)
        os.unlink(name, dir_fd=self.directory(parent))

    def _shorten(self, length: int) -> None:
        while len(self._chain) > length:
            os.close(self._chain.pop()[1])


def _node(found: os.stat_result) -> Node:
    return Node(found.st_mode, found.st_size)


def _split(path: bytes) -> tuple[bytes, bytes]:
    parent, _, name = path.rpartition(b"/")
    return parent, name


def _open(name: bytes, parent: int, flags: int, wanted: int) -> int:
    """Open, as owner also what the owner took his own rights from."""
    try:
        return os.open(name, flags, dir_fd=parent)
    except PermissionError:
        _permit(name, parent, wanted)
        return os.open(name, flags, dir_fd=parent)


def _permit(name: bytes, parent: int, wanted: int) -> None:
    mode = stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode) | wanted
    if sys.platform != "linux":
        os.chmod(name, mode, dir_fd=parent, follow_symlinks=False)
        return
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{handle}", mode)
    finally:
        os.close(handle)
