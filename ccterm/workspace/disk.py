"""The writes of bringing changes into a working copy, one method each, so that a test can let any of them fail or be the last one."""

import ctypes
import errno
import os
import sys

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """Writes through directory descriptors. Every method raises OSError."""

    def make_file(self, name: bytes, directory: int, data: bytes, mode: int, *, exact: bool = False) -> None:
        """Make a file that is not there yet; unless `exact`, the user's umask holds for its mode."""
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

    def exchange(self, name: bytes, directory: int, other: bytes, elsewhere: int) -> None:
        """Let two names change places. Raises CannotExchange too."""
        exchange(name, directory, other, elsewhere)

    def move(self, name: bytes, directory: int, other: bytes, elsewhere: int) -> None:
        """Rename to a free name. Raises FileExistsError when it is not free."""
        move(name, directory, other, elsewhere)

    def remove(self, name: bytes, directory: int) -> None:
        """Remove what is no directory."""
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
    """This file system does not exchange names."""


def exchange(name: bytes, directory: int, other: bytes, elsewhere: int) -> None:
    """Let two names change places in one instant. Raises CannotExchange, or OSError."""
    if not _call(name, directory, other, elsewhere, _EXCHANGE):
        raise CannotExchange


def move(name: bytes, directory: int, other: bytes, elsewhere: int) -> None:
    """Rename to a name that is free. Raises FileExistsError when it is not, and OSError."""
    if _call(name, directory, other, elsewhere, _NO_REPLACE):
        return
    os.link(name, other, src_dir_fd=directory, dst_dir_fd=elsewhere, follow_symlinks=False)
    os.unlink(name, dir_fd=directory)


def _call(name: bytes, directory: int, other: bytes, elsewhere: int, flag: int) -> bool:
    """Return False where system or file system know no such rename."""
    if _RENAME is None:
        return False
    if _RENAME(directory, name, elsewhere, other, ctypes.c_uint(flag)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), os.fsdecode(name))
