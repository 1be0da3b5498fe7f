"""Files that hold a secret: written whole or not at all, readable by this user alone from birth, and never through a planted name."""

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

from ccterm.credentials.login import LARGEST
from ccterm.errors import PreflightError

_ABANDONED_SECONDS = 60.0


def write_secret(path: Path, data: bytes) -> None:
    """Replace a file's content; it and its directory, made if need be, are open to this user alone. Raises PreflightError."""
    try:
        directory = _open_directory(path.parent)
        try:
            _refuse_planted(directory, path)
            _replace(directory, path.name, data)
        finally:
            os.close(directory)
    except OSError as error:
        raise PreflightError(f"{path} cannot be written: {error.strerror}", f"look at {path.parent}, then try again") from error


def read_secret(path: Path) -> bytes | None:
    """Return a file's content, or None if there is none. Raises PreflightError for one that others can read, or that is not this user's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PreflightError(f"{path} cannot be read: {error.strerror}", "move it away") from error
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
            raise PreflightError(f"{path} is not a regular file of this user", "move it away")
        if info.st_mode & 0o077:
            raise PreflightError(f"{path} can be read by others", f"chmod 600 {path}; its secret should be replaced")
        return os.read(descriptor, LARGEST)
    finally:
        os.close(descriptor)


def _open_directory(path: Path) -> int:
    """Return a descriptor of the directory, created if need be; the file goes into this one, whatever happens to its name later."""
    with suppress(FileExistsError):  # an existing one is checked below
        path.mkdir(mode=0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    info = os.fstat(descriptor)
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        os.close(descriptor)
        raise PreflightError(f"{path} belongs to another user or can be written to by others", f"chmod 700 {path}")
    os.fchmod(descriptor, 0o700)
    return descriptor


def _refuse_planted(directory: int, path: Path) -> None:
    try:
        info = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        raise PreflightError(f"{path} is not a regular file of this user", "move it away")


def _replace(directory: int, name: str, data: bytes) -> None:
    _remove_unfinished(directory, name)
    unfinished = f"{name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # an umask may have removed our own permissions
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(unfinished, dir_fd=directory)
        raise
    os.fsync(directory)


def _remove_unfinished(directory: int, name: str) -> None:
    """Remove what a writer that was killed left behind: it holds a secret. Others may be writing just now."""
    for left in os.listdir(directory):
        with suppress(FileNotFoundError):
            info = os.stat(left, dir_fd=directory, follow_symlinks=False)
            if left.startswith(f"{name}.") and stat.S_ISREG(info.st_mode) and info.st_mtime < time.time() - _ABANDONED_SECONDS:
                os.unlink(left, dir_fd=directory)
