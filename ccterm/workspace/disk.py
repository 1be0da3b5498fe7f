"""The writes by which changes enter a working copy, one method each, so that a test can make any of them fail or be the last."""

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ccterm.storage import STORAGE, Storage
from ccterm.workspace.content import NOTHING, Content, Owner

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """Writes through directory descriptors. Every method raises OSError."""

    storage: Storage = STORAGE
    """Is told of each write before it is done."""

    def __init__(self, storage: Storage = STORAGE) -> None:
        self.storage = storage

    def _before(self, write: str, name: bytes = b"") -> None:
        self.storage.before(write, Path(os.fsdecode(name)))

    def make_file(self, name: bytes, directory: int, data: bytes, mode: int, *, exact: bool = False, like: Content = NOTHING) -> None:
        """Make a new file; unless `exact`, the user's umask applies to its mode. like: whose owner and attributes it gets, as far as it may."""
        self._before("make_file", name)
        file = os.open(name, _NEW, mode, dir_fd=directory)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self.write(file, rest) :]
            _dress(file, like)
            if exact:
                self.set_mode(file, mode)  # after its owner, a change of which takes bits away
        finally:
            os.close(file)

    def write(self, file: int, data: memoryview) -> int:
        """Write some of the data; return how much."""
        self._before("write")
        return os.write(file, data)

    def make_link(self, target: bytes, name: bytes, directory: int) -> None:
        """Make a symbolic link."""
        self._before("make_link", name)
        os.symlink(target, name, dir_fd=directory)

    def give(self, name: bytes, directory: int, owner: Owner | None) -> None:
        """Give what is at a name, be it a link, to a user and group, as far as this process may."""
        self._before("give", name)
        if owner:
            _own(owner, lambda uid, gid: os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False))

    def make_directory(self, name: bytes, directory: int, mode: int = 0o777) -> None:
        """Make a directory; root's belongs to whom the directory above belongs."""
        self._before("make_directory", name)
        os.mkdir(name, mode, dir_fd=directory)
        if os.geteuid() == 0:
            self.give(name, directory, owner_below(os.fstat(directory)))

    def set_mode(self, file: int, mode: int) -> None:
        """Set the permission bits of an open file."""
        self._before("set_mode")
        os.fchmod(file, mode)

    def exchange(self, name: bytes, directory: int, other: bytes, target: int) -> None:
        """Exchange two names. Raises CannotExchange too."""
        self._before("exchange", name)
        exchange(name, directory, other, target)

    def move(self, name: bytes, directory: int, other: bytes, target: int) -> None:
        """Rename to a free name. Raises FileExistsError when it is taken."""
        self._before("move", name)
        move(name, directory, other, target)

    def link(self, name: bytes, directory: int, other: bytes, target: int) -> None:
        """Give a file another name."""
        self._before("link", name)
        os.link(name, other, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)

    def overwrite(self, file: int, data: bytes, expected: Callable[[], bool]) -> bool:
        """Replace the content of an open file in place; return False, with nothing written, unless it is what is expected."""
        self._before("overwrite")
        if not expected():  # asked as late as can be
            return False
        done = 0
        while done < len(data):
            done += self.write_at(file, memoryview(data)[done:], done)
        self.truncate(file, len(data))
        return True

    def write_at(self, file: int, data: memoryview, at: int) -> int:
        """Write some of the data at an offset; return how much."""
        self._before("write_at")
        return os.pwrite(file, data, at)

    def truncate(self, file: int, size: int) -> None:
        """Cut a file off."""
        self._before("truncate")
        os.ftruncate(file, size)

    def remove(self, name: bytes, directory: int) -> None:
        """Remove what is not a directory."""
        self._before("remove", name)
        os.unlink(name, dir_fd=directory)

    def remove_directory(self, name: bytes, directory: int) -> None:
        """Remove an empty directory."""
        self._before("remove_directory", name)
        os.rmdir(name, dir_fd=directory)

    def sync(self, file: int) -> None:
        """Make a file or a directory durable."""
        self._before("sync")
        os.fsync(file)


def owner_below(directory: os.stat_result) -> Owner | None:
    """Return whom a new file in a directory should belong to; None leaves that to the system.

    Root, in a container or by sudo, works in directories of others, who must be able to write what it made there.
    """
    if os.geteuid() == 0:
        return directory.st_uid, directory.st_gid
    return (os.geteuid(), directory.st_gid) if directory.st_mode & stat.S_ISGID else None


def _dress(file: int, like: Content) -> None:
    found = os.fstat(file)
    if like.owner and like.owner != (found.st_uid, found.st_gid):
        _own(like.owner, lambda uid, gid: os.fchown(file, uid, gid))
    if sys.platform == "linux":
        for name, value in like.attributes:
            with suppress(OSError):
                os.setxattr(file, name, value.encode("latin-1"))


def _own(owner: Owner, change: Callable[[int, int], None]) -> None:
    """Change owner and group, or the group alone where that is all that is allowed."""
    try:
        change(*owner)
    except PermissionError:
        with suppress(PermissionError):
            change(-1, owner[1])


def mount_of(directory: int) -> int:
    """Return what is equal for two directories between which names can be moved: the number of their mount, else of their file system."""
    with suppress(OSError, ValueError, StopIteration), open(f"/proc/self/fdinfo/{directory}", encoding="ascii") as about:  # noqa: PTH123 - no Path for a number
        return int(next(line for line in about if line.startswith("mnt_id:")).split()[1])
    return os.fstat(directory).st_dev


_LINUX = (1, 2)
_DARWIN = (4, 2)
_NO_REPLACE, _EXCHANGE = _DARWIN if sys.platform == "darwin" else _LINUX
_RENAME = getattr(ctypes.CDLL(None, use_errno=True), "renameatx_np" if sys.platform == "darwin" else "renameat2", None)
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


class CannotExchange(Exception):
    """This file system cannot exchange names."""


def exchange(name: bytes, directory: int, other: bytes, target: int) -> None:
    """Exchange two names atomically. Raises CannotExchange and OSError."""
    if not _call(name, directory, other, target, _EXCHANGE):
        raise CannotExchange


def move(name: bytes, directory: int, other: bytes, target: int) -> None:
    """Rename to a free name. Raises FileExistsError when it is taken, and OSError."""
    if _call(name, directory, other, target, _NO_REPLACE):
        return
    os.link(name, other, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
    os.unlink(name, dir_fd=directory)


def _call(name: bytes, directory: int, other: bytes, target: int, flag: int) -> bool:
    """Return False where the system or the file system has no such rename."""
    if _RENAME is None:
        return False
    if _RENAME(directory, name, target, other, ctypes.c_uint(flag)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), os.fsdecode(name))
