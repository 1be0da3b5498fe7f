"""Reads and changes a working copy through one descriptor of its root: every step down is a descriptor, and no link is ever followed.

Paths are bytes relative to the root. A path one of whose directories is a link, or no directory, holds nothing.
"""

import errno
import hashlib
import os
import stat
from enum import StrEnum
from pathlib import Path
from typing import Self

from ccterm.models import Value

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BLOCK = 1 << 20
_LINK_ERRORS = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


class Kind(StrEnum):
    """What kind of thing it is."""

    NOTHING = "nothing"
    FILE = "file"
    LINK = "link"
    DIRECTORY = "directory"
    OTHER = "other"
    """A socket, a FIFO, a device: never read, never replaced."""


class Content(Value):
    """What lies at a path."""

    kind: Kind = Kind.NOTHING
    mode: int = 0
    """Permission bits of a file."""
    size: int = 0
    sha256: str = ""
    """Of a file's bytes, or of a link's target."""

    @property
    def executable(self) -> bool:
        """Whether its owner may execute the file."""
        return bool(self.mode & stat.S_IXUSR)

    def same(self, other: "Content") -> bool:
        """Whether both are the same to git: kind, bytes and executability."""
        mine, theirs = (self.kind, self.sha256, self.executable), (other.kind, other.sha256, other.executable)
        return mine == theirs

    @classmethod
    def of(cls, data: bytes, git_mode: int, *, mode: int | None = None) -> "Content":
        """Return what data becomes that git knows with a mode; `mode` says the permission bits when they are known."""
        digest = hashlib.sha256(data).hexdigest()
        if stat.S_ISLNK(git_mode):
            return cls(kind=Kind.LINK, size=len(data), sha256=digest)
        bits = (0o755 if git_mode & stat.S_IXUSR else 0o644) if mode is None else mode
        return cls(kind=Kind.FILE, mode=bits, size=len(data), sha256=digest)


NOTHING = Content()


class Root:
    """A directory of the user. A context manager; its methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self._top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._chain: list[tuple[bytes, int]] = []
        self._last: tuple[bytes, int] = (b"", self._top)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.forget()
        os.close(self._top)

    def forget(self) -> None:
        """Walk down anew next time: directories may have been moved since."""
        self._shorten(0)

    def directory(self, path: bytes) -> int:
        """Return a descriptor of a directory, good until the next call."""
        if path == self._last[0]:  # most questions in a row are about one directory
            return self._last[1]
        parts = path.split(b"/") if path else []
        same = 0
        while same < min(len(parts), len(self._chain)) and self._chain[same][0] == parts[same]:
            same += 1
        self._shorten(same)
        for part in parts[same:]:
            self._chain.append((part, os.open(part, _DIRECTORY, dir_fd=self._chain[-1][1] if self._chain else self._top)))
        self._last = (path, self._chain[-1][1] if self._chain else self._top)
        return self._last[1]

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """Return the descriptor of a path's directory and its last name."""
        above, _, name = path.rpartition(b"/")
        return self.directory(above), name

    def stat(self, path: bytes) -> os.stat_result | None:
        """Return what lstat says of a path, or None when nothing is there."""
        try:
            directory, name = self.parent(path)
            return os.stat(name, dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if is_link_error(error):
                return None
            raise

    def open(self, path: bytes) -> int:
        """Return a descriptor of a regular file; it is the caller's to close."""
        directory, name = self.parent(path)
        return os.open(name, _FILE, dir_fd=directory)

    def link(self, path: bytes) -> bytes:
        """Return the target of a symbolic link."""
        directory, name = self.parent(path)
        return os.readlink(name, dir_fd=directory)

    def content(self, path: bytes) -> Content:
        """Return what lies at a path, read anew."""
        found = self.stat(path)
        return NOTHING if found is None else content_at(*self.parent(path), found)

    def _shorten(self, length: int) -> None:
        self._last = (b"", self._top)
        while len(self._chain) > length:
            os.close(self._chain.pop()[1])


def content_at(directory: int, name: bytes, found: os.stat_result | None = None) -> Content:
    """Return what lies at a name in a directory. Raises OSError; nothing there is `NOTHING`."""
    try:
        found = found or os.stat(name, dir_fd=directory, follow_symlinks=False)
        match kind_of(found.st_mode):
            case Kind.LINK:
                return Content.of(os.readlink(name, dir_fd=directory), stat.S_IFLNK)
            case Kind.FILE:
                return _file(directory, name)
            case kind:
                return Content(kind=kind)
    except FileNotFoundError:
        return NOTHING
    except OSError as error:
        if is_link_error(error):  # it became a link just now
            return Content(kind=Kind.OTHER)
        raise


def _file(directory: int, name: bytes) -> Content:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(name, _FILE, dir_fd=directory), "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    return Content(kind=Kind.FILE, mode=mode, size=size, sha256=digest.hexdigest())


def is_link_error(error: OSError) -> bool:
    """Whether a descent ended at a symbolic link."""
    return error.errno in _LINK_ERRORS


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.LINK, stat.S_IFDIR: Kind.DIRECTORY}


def kind_of(mode: int) -> Kind:
    """Return the kind that a mode of lstat speaks of."""
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
