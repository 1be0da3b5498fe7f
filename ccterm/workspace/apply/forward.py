"""Brings changes into a working copy: all of them, or none. Whatever is replaced is first moved aside and checked, so that an edit made
at the last moment is found and put back.

The new contents are staged in a directory on the same file system, and exchanged with the old ones atomically. Files with several names
are written in place instead, see `linked.py`.
"""

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Sequence

from ccterm.git.names import shown
from ccterm.git.rooted import Root, open_regular
from ccterm.workspace.apply.changeset import ChangeSet, FileChange
from ccterm.workspace.apply.journal import Journal
from ccterm.workspace.apply.linked import linked_files, names_durable
from ccterm.workspace.apply.stage import Stage, Stages, make_stages, staged
from ccterm.workspace.content import Content, Kind, content_of
from ccterm.workspace.disk import CannotExchange, Disk, owner_below

_FEW = 40


QuickMark = tuple[int, int, int, int]


def quick_mark(found: os.stat_result) -> QuickMark:
    """Return what distinguishes a file from one that was saved in its place."""
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns


class Conflict(Exception):
    """A path holds neither what the snapshot held nor what was just written."""

    def __init__(self, path: bytes) -> None:
        super().__init__(shown(path))
        self.path = path


class RollForward:
    """One apply. Raises Conflict and OSError; what was done until then stays, for `Rollback` to undo."""

    def __init__(self, root: Root, disk: Disk, journal: Journal, changes: ChangeSet, marks: Sequence[QuickMark | None]) -> None:
        """marks: what lstat said of each path when it was checked; None for nothing."""
        self._root, self._disk, self._journal, self._changes, self._marks = root, disk, journal, changes, marks

    def run(self) -> None:
        """Apply, check everything once more, and leave the stage for the caller to clear."""
        make_stages(self._root, self._disk, self._journal)
        with staged(self._root, self._journal) as stages:
            self._fill(stages)
            numbered = list(enumerate(self._journal.ops))
            for number, change in numbered:
                if change.new.kind is Kind.NOTHING:
                    self._take(stages.of(change.path), number, change)
            self._remove_emptied()
            for number, change in numbered:
                if change.new.kind is not Kind.NOTHING and number not in self._journal.in_place:
                    self._place(stages.of(change.path), number, change)
            self._write_linked(stages)
            self._make_names_durable(stages)
            self._verify(stages)

    def _fill(self, stages: Stages) -> None:
        names: dict[int, list[bytes]] = {}
        for number, change in enumerate(self._journal.ops):
            name, stage = b"%d" % number, stages.of(change.path)
            if change.new.kind is Kind.LINK:
                self._disk.make_link(self._changes.data(change), name, stage.descriptor)
                self._disk.give(name, stage.descriptor, self._like(change).owner)
            elif change.new.kind is Kind.FILE:
                names.setdefault(stage.descriptor, []).append(name)
                mode, exact = self._mode(change)
                self._disk.make_file(name, stage.descriptor, self._changes.data(change), mode, exact=exact, like=self._like(change))
        for descriptor, made in names.items():
            make_durable(self._disk, descriptor, made)

    def _like(self, change: FileChange) -> Content:
        """Return whose owner and attributes a new file gets: those that are to be restored, those of what it replaces, or its directory's owner."""
        if change.new.owner or change.old.owner:
            return change.new if change.new.owner else change.old
        above = change.path.rpartition(b"/")[0]
        while (found := self._root.stat(above) if above else os.fstat(self._root.directory(b""))) is None or not stat.S_ISDIR(
            found.st_mode
        ):
            above = above.rpartition(b"/")[0]
        return Content(owner=owner_below(found))

    def _mode(self, change: FileChange) -> tuple[int, bool]:
        """Return the mode of a new file, and whether it is exact: a file keeps the permissions that the user gave it."""
        if self._journal.exact:
            return change.new.mode, True
        if change.old.kind is Kind.FILE:
            return _kept_mode(change.old.mode, executable=change.new.executable), True
        return 0o777 if change.new.executable else 0o666, False

    def _take(self, stage: Stage, number: int, change: FileChange) -> None:
        """Move away what is to be deleted, if it is unchanged."""
        directory, name = self._parent(change)
        aside = b"%d.old" % number
        try:
            self._disk.move(name, directory, aside, stage.descriptor)
        except FileNotFoundError as error:
            raise Conflict(change.path) from error
        if not self._untouched(stage, aside, number, change):
            self._disk.move(aside, stage.descriptor, name, directory)
            raise Conflict(change.path)

    def _place(self, stage: Stage, number: int, change: FileChange) -> None:
        """Put new content where nothing is, or in place of what is unchanged."""
        directory, name = self._parent(change)
        staged_name = b"%d" % number
        if change.old.kind is Kind.NOTHING:
            try:
                self._disk.move(staged_name, stage.descriptor, name, directory)
            except FileExistsError as error:
                raise Conflict(change.path) from error
            return
        try:
            self._disk.exchange(staged_name, stage.descriptor, name, directory)
        except CannotExchange:
            self._take(stage, number, change)
            self._disk.move(staged_name, stage.descriptor, name, directory)
            return
        except FileNotFoundError as error:
            raise Conflict(change.path) from error
        if not self._untouched(stage, staged_name, number, change):
            self._disk.exchange(staged_name, stage.descriptor, name, directory)
            raise Conflict(change.path)

    def _untouched(self, stage: Stage, aside: bytes, number: int, change: FileChange) -> bool:
        """Whether what was moved aside is what the check found; `_verify` reads its bytes again."""
        found = os.stat(aside, dir_fd=stage.descriptor, follow_symlinks=False)
        return self._marks[number] == quick_mark(found) or stage.content(aside).same(change.old)

    def _write_linked(self, stages: Stages) -> None:
        """Write files that have several names, once all of them can be found again."""
        files = linked_files(self._disk, stages, self._journal)
        for number, file in files.items():
            change = self._journal.ops[number]
            try:
                file.take(*self._parent(change))
            except FileNotFoundError as error:
                raise Conflict(change.path) from error
            if (mark := self._marks[number]) is None or mark[0] != file.id[1]:
                raise Conflict(change.path)  # it is another file now, and may have other names
        if files:
            names_durable(self._root, self._disk, stages, self._journal)
        for number, file in files.items():
            change = self._journal.ops[number]
            if not file.write(self._changes.data(change), self._mode(change)[0]):
                raise Conflict(change.path)

    def _parent(self, change: FileChange) -> tuple[int, bytes]:
        self._root.forget()  # a directory may have been swapped for a link since
        above, _, name = change.path.rpartition(b"/")
        try:
            return make_way(self._root, self._disk, above, self._journal), name
        except (NotADirectoryError, FileNotFoundError) as error:
            raise Conflict(change.path) from error

    def _remove_emptied(self) -> None:
        for directory in sorted(self._journal.directories, key=lambda each: -len(each.name)):
            remove_if_empty(self._root, self._disk, directory.name.encode("latin-1"))

    def _make_names_durable(self, stages: Stages) -> None:
        self._root.forget()
        directories = sorted({change.path.rpartition(b"/")[0] for change in self._journal.ops})
        if len(directories) > _FEW and all(_sync_all(stage.descriptor) for stage in stages):
            return
        for above in directories:
            try:
                self._disk.sync(self._root.directory(above))
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was empty and has been removed

    def _verify(self, stages: Stages) -> None:
        """Raise Conflict unless every path holds its new content, and nothing was written to what was replaced while it was moved."""
        written = {file.id: self._journal.ops[number].new for number, file in linked_files(self._disk, stages, self._journal).items()}
        for number, change in enumerate(self._journal.ops):
            stage = stages.of(change.path)
            if not content_of(self._root, change.path).same(change.new):
                if change.new.kind is Kind.NOTHING and content_of(self._root, change.path).kind is Kind.DIRECTORY:
                    continue  # a directory replaced a file
                raise Conflict(change.path)
            if number in self._journal.in_place:
                continue
            aside = next((name for name in (b"%d.old" % number, b"%d" % number) if stage.has(name)), None)
            if aside and not stage.content(aside).same(written.get(stage.id(aside), change.old)):
                raise Conflict(change.path)


def make_way(root: Root, disk: Disk, path: bytes, journal: Journal) -> int:
    """Return the descriptor of a directory; make it if the journal says so, or that it was there before. Raises OSError."""
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
    """Remove a directory if it is empty. Raises OSError."""
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
    """Make the bytes of new files durable: one by one, or if they are many, by a sync of their file system (Linux)."""
    if len(names) > _FEW and _sync_all(directory):
        return
    for name in names:
        sync_file(disk, directory, name)


def sync_file(disk: Disk, directory: int, name: bytes) -> None:
    """Make the bytes of one file durable. Raises OSError."""
    file = open_regular(name, directory)
    try:
        disk.sync(file)
    finally:
        os.close(file)


def _sync_all(directory: int) -> bool:
    """Sync the file system of a directory (Linux); return False where that is not possible."""
    return sys.platform == "linux" and bool(ctypes.CDLL(None).syncfs(directory) == 0)


def _kept_mode(mode: int, *, executable: bool) -> int:
    """Return the user's permission bits, with execution allowed to those who may read, or to nobody."""
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111
