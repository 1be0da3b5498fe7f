"""Two ways to rename that lose nothing whoever else writes at that moment: exchange two names, and take a name only when it is free."""

import ctypes
import errno
import os
import sys

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
