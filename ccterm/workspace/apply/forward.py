"""Brings changes into a working copy: all of them, or none. Whatever is replaced is first taken aside and looked at, so that an edit
made in the very last moment is found and put back.

The new contents wait in a directory in the root, on the same file system; names change places with the old ones in one instant.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ccterm.git.names import shown
from ccterm.workspace.apply.changeset import ChangeSet, Op
from ccterm.workspace.apply.journal import Journal
from ccterm.workspace.disk import CannotExchange, Disk
from ccterm.workspace.rooted import Content, Kind, Root, content_at

_FEW = 40
_STAGE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


QuickMark = tuple[int, int, int, int]


def quick_mark(found: os.stat_result) -> QuickMark:
    """Return what tells a file from one that was saved in its place."""
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns


class Conflict(Exception):
    """Something else lies at a path than the snapshot held, or what was just written."""

    def __init__(self, path: bytes) -> None:
        super().__init__(shown(path))
        self.path = path


class Stage:
    """The directory beside the user's files where contents wait, by number: `N` the new one, `N.old` what it replaced."""

    def __init__(self, root: Root, name: str) -> None:
        self.name = os.fsencode(name)
        self.descriptor = os.open(self.name, _STAGE, dir_fd=root.directory(b""))

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)

    def has(self, name: bytes) -> bool:
        """Whether something waits by that name."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def content(self, name: bytes) -> Content:
        """Return what waits by that name."""
        return content_at(self.descriptor, name)


@contextmanager
def staged(root: Root, name: str) -> Iterator[Stage]:
    """Open the stage. Raises OSError."""
    stage = Stage(root, name)
    try:
        yield stage
    finally:
        stage.close()


class Apply:
    """One apply, on its way forward. Raises Conflict and OSError; what was done then stands, for `Rollback` to take back."""

    def __init__(self, root: Root, disk: Disk, journal: Journal, changes: ChangeSet, marks: Sequence[QuickMark | None]) -> None:
        """Take what it needs. marks: of each path, what lstat said when it was checked; None for nothing."""
        self._root, self._disk, self._journal, self._changes, self._marks = root, disk, journal, changes, marks

    def run(self) -> None:
        """Carry it out, look at everything once more, and leave the stage for the caller to clear."""
        self._disk.make_directory(os.fsencode(self._journal.stage), self._root.directory(b""), 0o700)
        with staged(self._root, self._journal.stage) as stage:
            self._fill(stage)
            numbered = list(enumerate(self._journal.ops))
            for number, op in numbered:
                if op.new.kind is Kind.NOTHING:
                    self._take(stage, number, op)
            self._remove_emptied()
            for number, op in numbered:
                if op.new.kind is not Kind.NOTHING:
                    self._place(stage, number, op)
            self._settle()
            self._look_again(stage)

    def _fill(self, stage: Stage) -> None:
        names = []
        for number, op in enumerate(self._journal.ops):
            name = b"%d" % number
            if op.new.kind is Kind.LINK:
                self._disk.make_link(self._changes.data(op), name, stage.descriptor)
            elif op.new.kind is Kind.FILE:
                names.append(name)
                mode, exact = self._mode(op)
                self._disk.make_file(name, stage.descriptor, self._changes.data(op), mode, exact=exact)
        make_durable(self._disk, stage.descriptor, names)

    def _mode(self, op: Op) -> tuple[int, bool]:
        """Return the mode of a new file, and whether it is exactly that: a file keeps the permissions that its user gave it."""
        if self._journal.exact:
            return op.new.mode, True
        if op.old.kind is Kind.FILE:
            return _kept_mode(op.old.mode, executable=op.new.executable), True
        return 0o777 if op.new.executable else 0o666, False

    def _take(self, stage: Stage, number: int, op: Op) -> None:
        """Take away what is to be deleted, if it is still what it was."""
        directory, name = self._parent(op)
        aside = b"%d.old" % number
        try:
            self._disk.move(name, directory, aside, stage.descriptor)
        except FileNotFoundError as error:
            raise Conflict(op.path) from error
        if not self._untouched(stage, aside, number, op):
            self._disk.move(aside, stage.descriptor, name, directory)
            raise Conflict(op.path)

    def _place(self, stage: Stage, number: int, op: Op) -> None:
        """Put new content where there is nothing, or in the place of what is still what it was."""
        directory, name = self._parent(op)
        waiting = b"%d" % number
        if op.old.kind is Kind.NOTHING:
            try:
                self._disk.move(waiting, stage.descriptor, name, directory)
            except FileExistsError as error:
                raise Conflict(op.path) from error
            return
        try:
            self._disk.exchange(waiting, stage.descriptor, name, directory)
        except CannotExchange:
            self._take(stage, number, op)
            self._disk.move(waiting, stage.descriptor, name, directory)
            return
        except FileNotFoundError as error:
            raise Conflict(op.path) from error
        if not self._untouched(stage, waiting, number, op):
            self._disk.exchange(waiting, stage.descriptor, name, directory)
            raise Conflict(op.path)

    def _untouched(self, stage: Stage, aside: bytes, number: int, op: Op) -> bool:
        """Whether what was taken aside is what the check found; its bytes are read once more when all is in."""
        found = os.stat(aside, dir_fd=stage.descriptor, follow_symlinks=False)
        return self._marks[number] == quick_mark(found) or stage.content(aside).same(op.old)

    def _parent(self, op: Op) -> tuple[int, bytes]:
        self._root.forget()  # a directory may have been swapped for a link since
        above, _, name = op.path.rpartition(b"/")
        try:
            return make_way(self._root, self._disk, above, self._journal), name
        except (NotADirectoryError, FileNotFoundError) as error:
            raise Conflict(op.path) from error

    def _remove_emptied(self) -> None:
        for directory in sorted(self._journal.directories, key=lambda each: -len(each.name)):
            remove_if_empty(self._root, self._disk, directory.name.encode("latin-1"))

    def _settle(self) -> None:
        """Make the names durable."""
        self._root.forget()
        directories = sorted({op.path.rpartition(b"/")[0] for op in self._journal.ops})
        if len(directories) > _FEW and _sync_all(self._root.directory(b"")):
            return
        for above in directories:
            try:
                self._disk.sync(self._root.directory(above))
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was emptied, and is gone

    def _look_again(self, stage: Stage) -> None:
        """Raise Conflict unless every path holds what it shall, and what was replaced was not written to while we took it aside."""
        for number, op in enumerate(self._journal.ops):
            if not self._root.content(op.path).same(op.new):
                if op.new.kind is Kind.NOTHING and self._root.content(op.path).kind is Kind.DIRECTORY:
                    continue  # a directory took the place of a file
                raise Conflict(op.path)
            aside = next((name for name in (b"%d.old" % number, b"%d" % number) if stage.has(name)), None)
            if aside and not stage.content(aside).same(op.old):
                raise Conflict(op.path)


def make_way(root: Root, disk: Disk, path: bytes, journal: Journal) -> int:
    """Return the descriptor of a directory, making what the journal says is to be made, or was there before. Raises OSError."""
    try:
        return root.directory(path)
    except FileNotFoundError:
        name = path.decode("latin-1")
        known = next((each.mode for each in journal.directories if each.name == name), None)
        if known is None and name not in journal.made:
            raise
    above, _, last = path.rpartition(b"/")
    parent = make_way(root, disk, above, journal)
    disk.make_directory(last, parent, 0o777)
    if known is not None:
        disk.set_mode(root.directory(path), known)
    return root.directory(path)


def remove_if_empty(root: Root, disk: Disk, path: bytes) -> None:
    """Remove a directory unless something is in it. Raises OSError."""
    root.forget()
    try:
        directory, name = root.parent(path)
        disk.remove_directory(name, directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ELOOP, errno.EBUSY):
            raise
    finally:
        root.forget()


def make_durable(disk: Disk, directory: int, names: list[bytes]) -> None:
    """Make the bytes of new files durable: one by one, or, when they are many, with all that waits for their disk (Linux)."""
    if len(names) > _FEW and _sync_all(directory):
        return
    for name in names:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
        try:
            disk.sync(file)
        finally:
            os.close(file)


def _sync_all(directory: int) -> bool:
    """Make durable all that waits for the disk of a directory (Linux); False where that cannot be asked for."""
    return sys.platform == "linux" and bool(ctypes.CDLL(None).syncfs(directory) == 0)


def _kept_mode(mode: int, *, executable: bool) -> int:
    """Return the user's permission bits, with execution allowed to those who may read, or to nobody."""
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111
