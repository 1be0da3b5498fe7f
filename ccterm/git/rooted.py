"""Works in a directory through descriptors: each step down is one, and no symbolic link is ever followed.

Paths are bytes relative to the directory, without slashes at either end. A path with a link, or anything else that is no directory, among
the directories above it holds nothing.
"""

import errno
import os
import stat
import sys
from typing import NamedTuple, Self

_TOP = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DIRECTORY = _TOP | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LINK_ERRORS = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


class FileNode(NamedTuple):
    """What is at a path: its mode as lstat gives it, and its size."""

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
        """Return the mode that git would record; 0 for what git does not record."""
        if self.is_link:
            return 0o120000
        if not self.is_file:
            return 0
        return 0o100755 if self.mode & stat.S_IXUSR else 0o100644


class Root:
    """A directory. A context manager; its methods raise OSError.

    hostile: an agent filled it. Then a link in place of the directory itself is refused too, and what the owner of a file or directory
    took their own rights from is made readable again; nothing in a user's own directory is ever changed for reading.
    """

    def __init__(self, path: str | bytes | os.PathLike[str], *, hostile: bool = False) -> None:
        self._hostile = hostile
        self._top = os.open(path, _DIRECTORY if hostile else _TOP)
        self._chain: list[tuple[bytes, int]] = []
        self._last: tuple[bytes, int] = (b"", self._top)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.forget()
        os.close(self._top)

    def forget(self) -> None:
        """Walk down from the top next time: directories may have been moved since."""
        self._shorten(0)

    def directory(self, path: bytes) -> int:
        """Return a descriptor of a directory, good until the next call."""
        if path == self._last[0]:  # most calls in a row are about one directory
            return self._last[1]
        parts = path.split(b"/") if path else []
        same = 0
        while same < min(len(parts), len(self._chain)) and self._chain[same][0] == parts[same]:
            same += 1
        self._shorten(same)
        for part in parts[same:]:
            above = self._chain[-1][1] if self._chain else self._top
            self._chain.append((part, self._open(part, above, _DIRECTORY, 0o700)))
        self._last = (path, self._chain[-1][1] if self._chain else self._top)
        return self._last[1]

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """Return the descriptor of a path's directory and its last name."""
        above, _, name = path.rpartition(b"/")
        return self.directory(above), name

    def list(self, path: bytes) -> dict[bytes, FileNode]:
        """Return name -> node of everything in a directory."""
        with os.scandir(self.directory(path)) as entries:
            return {os.fsencode(entry.name): _node(entry.stat(follow_symlinks=False)) for entry in entries}

    def node(self, path: bytes) -> FileNode:
        """Return what is at a path."""
        directory, name = self.parent(path)
        return _node(os.stat(name, dir_fd=directory, follow_symlinks=False))

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
        """Return a descriptor of a regular file, for the caller to close."""
        directory, name = self.parent(path)
        return _regular(self._open(name, directory, _FILE, 0o400), name)

    def read(self, path: bytes, limit: int) -> bytes:
        """Return the first `limit` bytes of a regular file."""
        with os.fdopen(self.open(path), "rb") as file:
            return file.read(limit)

    def link(self, path: bytes) -> bytes:
        """Return the target of a symbolic link."""
        directory, name = self.parent(path)
        return os.readlink(name, dir_fd=directory)

    def remove(self, path: bytes) -> None:
        """Remove what is not a directory."""
        directory, name = self.parent(path)
        os.unlink(name, dir_fd=directory)

    def _open(self, name: bytes, directory: int, flags: int, wanted: int) -> int:
        try:
            return os.open(name, flags, dir_fd=directory)
        except PermissionError:
            if not self._hostile:
                raise
            _permit(name, directory, wanted)
            return os.open(name, flags, dir_fd=directory)

    def _shorten(self, length: int) -> None:
        self._last = (b"", self._top)
        while len(self._chain) > length:
            os.close(self._chain.pop()[1])


def open_regular(name: bytes, directory: int) -> int:
    """Return a descriptor of the regular file of a name, for the caller to close. Raises OSError; ENXIO when it is not one."""
    return _regular(os.open(name, _FILE, dir_fd=directory), name)


def open_to_write(name: bytes, directory: int) -> int:
    """Return a descriptor of the regular file of a name, to write to it in place. Raises OSError; ENXIO when it is not one."""
    return _regular(os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=directory), name)


def is_link_error(error: OSError) -> bool:
    """Whether a descent ended at a symbolic link, or at something else that is not a directory."""
    return error.errno in _LINK_ERRORS


def _regular(file: int, name: bytes) -> int:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.ENXIO, "not a regular file", os.fsdecode(name))  # the code by which the system itself refuses a socket
    return file


def _node(found: os.stat_result) -> FileNode:
    return FileNode(found.st_mode, found.st_size)


def _permit(name: bytes, directory: int, wanted: int) -> None:
    """Give the owner of a file or directory rights that they took from themselves."""
    mode = stat.S_IMODE(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode) | wanted
    if sys.platform != "linux":
        os.chmod(name, mode, dir_fd=directory, follow_symlinks=False)
        return
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    try:
        os.chmod(f"/proc/self/fd/{handle}", mode)
    finally:
        os.close(handle)
