"""Copies and removes whole trees of unknown origin: links are never followed, special files never opened, odd modes no obstacle.

Names are bytes here because they need not be text, which pathlib requires.
"""
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH115, PTH118, PTH211

import contextlib
import ctypes
import errno
import fcntl
import fnmatch
import itertools
import os
import secrets
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_FICLONE = 0x40049409
_SMALL = 128 * 1024
_PIECE = 1 << 30


def copy_tree(source: Path, target: Path, *, exclude: Sequence[str] = ()) -> list[str]:
    """Copy a directory to a new one: modes, times, links, fifos and sockets as they are, files shared where the file system can.

    exclude: globs on the path relative to `source`. Returns what could not be copied, one line per path with the first reason.
    Raises OSError when the top directory cannot be read or written, or the disk is full.
    """
    return _Copy(os.fsencode(source), os.fsencode(target), [os.fsencode(pattern) for pattern in exclude]).run()


def remove_tree(path: Path) -> None:
    """Remove a tree whatever its modes and depth; a link is removed, not followed. What cannot be removed stays."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
    top, count = os.fsencode(path), itertools.count()
    own = secrets.token_hex(8).encode()  # a removal that was killed half-way may have left such names
    waiting = [top]
    while waiting:  # each directory moves to the top before it is emptied: paths stay short, and nothing recurses
        directory = waiting.pop()
        for inner in _emptied(directory):
            raised = b"%s/.removing-%s-%d" % (top, own, next(count))
            with contextlib.suppress(OSError):
                os.rename(inner, raised)
                waiting.append(raised)
        if directory != top:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
    with contextlib.suppress(OSError):
        os.rmdir(top)


def _emptied(directory: bytes) -> list[bytes]:
    """Remove everything in a directory except its subdirectories; return those."""
    inner = []
    with contextlib.suppress(OSError):
        os.chmod(directory, 0o700)
        for entry in list(os.scandir(directory)):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)  # a directory without write permission cannot be moved either
                inner.append(entry.path)
            else:
                _unlink(entry.path)
    return inner


def _unlink(path: bytes) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


class _Copy:
    """One copy in progress."""

    def __init__(self, source: bytes, target: bytes, exclude: Sequence[bytes]) -> None:
        self._source, self._target, self._exclude = source, target, exclude
        self._left_out: dict[bytes, str] = {}
        self._clone = _cloner()

    def run(self) -> list[str]:
        os.mkdir(self._target, 0o700)
        directories = [b""]
        for relative in directories:  # grows during the loop: the tree, top down
            directories.extend(self._directory(relative))
        for relative in reversed(directories):
            self._finish(relative)
        return [f"{os.fsdecode(relative)}: {reason}" for relative, reason in self._left_out.items()]

    def _directory(self, relative: bytes) -> list[bytes]:
        """Copy the contents of a directory; its subdirectories are only created, and returned."""
        inner = []
        try:
            entries = list(os.scandir(os.path.join(self._source, relative)))
        except OSError as error:
            if not relative:
                raise
            self._leave_out(relative, error)
            return []
        for entry in entries:
            name = os.path.join(relative, entry.name)
            if any(fnmatch.fnmatch(name, pattern) for pattern in self._exclude):
                continue
            try:
                if self._entry(entry, os.path.join(self._target, name)):
                    inner.append(name)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._leave_out(name, error)
        return inner

    def _entry(self, entry: "os.DirEntry[bytes]", target: bytes) -> bool:
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(target, 0o700)
            return True
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_file(follow_symlinks=False):
            self._file(entry.path, target)
        else:
            facts = entry.stat(follow_symlinks=False)
            os.mknod(target, facts.st_mode, facts.st_rdev)  # special files are never opened
        return False

    def _file(self, source: bytes, target: bytes) -> None:
        if self._clone and self._clone(source, target):
            return
        reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            facts = os.fstat(reading)
            writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                self._content(reading, writing, facts.st_size, facts.st_blocks)
                os.fchmod(writing, stat.S_IMODE(facts.st_mode))
                os.utime(writing, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            finally:
                os.close(writing)
        finally:
            os.close(reading)

    def _content(self, reading: int, writing: int, size: int, blocks: int) -> None:
        if size <= _SMALL:
            if size:
                os.write(writing, os.read(reading, _SMALL))
            return
        if sys.platform == "linux" and _shares(reading, writing):
            return
        os.ftruncate(writing, size)
        if blocks * 512 >= size:
            _range(reading, writing, 0, size)
            return
        start = _next_data(reading, 0)
        while start is not None and start < size:  # holes stay holes
            end = _next_hole(reading, start, size)
            _range(reading, writing, start, end)
            start = _next_data(reading, end)

    def _finish(self, relative: bytes) -> None:
        try:
            facts = os.lstat(os.path.join(self._source, relative))
            target = os.path.join(self._target, relative)
            os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            os.chmod(target, stat.S_IMODE(facts.st_mode))
        except OSError as error:
            self._leave_out(relative, error)

    def _leave_out(self, relative: bytes, error: OSError) -> None:
        self._left_out.setdefault(relative, error.strerror or str(error))  # a directory may fail twice: when listed and when finished


def _shares(reading: int, writing: int) -> bool:
    """Make two files share their blocks where the file system supports it (Linux)."""
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError:
        return False
    return True


def _range(reading: int, writing: int, start: int, end: int) -> None:
    os.lseek(reading, start, os.SEEK_SET)
    os.lseek(writing, start, os.SEEK_SET)
    while start < end:
        if sys.platform == "linux":
            done = os.sendfile(writing, reading, None, min(_PIECE, end - start))
        else:
            done = os.write(writing, os.read(reading, min(1 << 20, end - start)))
        if not done:
            return
        start += done


def _next_data(reading: int, start: int) -> int | None:
    """Return where data begins at or after `start`, or None when only a hole follows; without support for holes, all is data."""
    try:
        return os.lseek(reading, start, os.SEEK_DATA)
    except OSError as error:
        return None if error.errno == errno.ENXIO else start


def _next_hole(reading: int, start: int, size: int) -> int:
    try:
        return os.lseek(reading, start, os.SEEK_HOLE)
    except OSError:
        return size


def _cloner() -> Callable[[bytes, bytes], bool] | None:
    """Return the system call that clones a file by name with modes and times (macOS), or None."""
    clonefile = getattr(ctypes.CDLL(None), "clonefile", None)
    no_follow = 1
    return clonefile and (lambda source, target: clonefile(source, target, no_follow) == 0)
