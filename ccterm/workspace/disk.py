"""The writes by which changes enter a working copy, one method each, so that a test can make any of them fail or be the last."""

import ctypes
import errno
import os
import sys

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """Writes through directory descriptors. Every method raises OSError."""

    def make_file(self, name: bytes, directory: int, data: bytes, mode: int, *, exact: bool = False) -> None:
        """Make a new file; unless `exact`, the user's umask applies to its mode."""
        file = os.open(name, _NEW, mode, dir_fd=directory)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self.write(file, rest) :]
            if exact:
                self.set_mode(file, mode)
        finally:
            os.close(file)

    def write(self, file: int, data: memoryview) -> int:
        """Write some of the data; return how much."""
        return os.write(file, data)

    def make_link(self, target: bytes, name: bytes, directory: int) -> None:
        """Make a symbolic link."""
        os.symlink(target, name, dir_fd=directory)

    def make_directory(self, name: bytes, directory: int, mode: int = 0o777) -> None:
        """Make a directory."""
        os.mkdir(name, mode, dir_fd=directory)

    def set_mode(self, file: int, mode: int) -> None:
        """Set the permission bits of an open file."""
        os.fchmod(file, mode)

    def exchange(self, name: bytes, directory: int, other: bytes, target: int) -> None:
        """Exchange two names. Raises CannotExchange too."""
        exchange(name, directory, other, target)

    def move(self, name: bytes, directory: int, other: bytes, target: int) -> None:
        """Rename to a free name. Raises FileExistsError when it is taken."""
        move(name, directory, other, target)

    def remove(self, name: bytes, directory: int) -> None:
        """Remove what is not a directory."""
        os.unlink(name, dir_fd=directory)

    def remove_directory(self, name: bytes, directory: int) -> None:
        """Remove an empty directory."""
        os.rmdir(name, dir_fd=directory)

    def sync(self, file: int) -> None:
        """Make a file or a directory durable."""
        os.fsync(file)


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
