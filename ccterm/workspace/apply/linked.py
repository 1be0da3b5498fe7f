"""Changes files that have several names (hard links): their bytes are written in place, so that each name shows them, and the file keeps
its owner, its attributes and its names.

The stage gets a name of such a file first. By that it is found again after a crash, whatever became of its path meanwhile.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence

from ccterm.git.rooted import Root, open_to_write
from ccterm.workspace.apply.changeset import FileChange
from ccterm.workspace.apply.journal import Journal
from ccterm.workspace.apply.stage import Stage, Stages, stage_paths
from ccterm.workspace.content import FileId, Kind
from ccterm.workspace.disk import Disk

_BLOCK = 512


def linked_groups(ops: Sequence[FileChange], files: Mapping[int, FileId]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Divide the changes to files with several names, by their numbers: what is written in place, by file, and what wants unlike contents of one.

    files: change -> file, where it has several names.
    """
    by_file: dict[FileId, list[int]] = {}
    for number, file in files.items():
        if ops[number].new.kind is Kind.FILE:
            by_file.setdefault(file, []).append(number)
    alike, unlike = list[tuple[int, ...]](), list[int]()
    for numbers in by_file.values():
        if all(ops[number].new.same(ops[numbers[0]].new) for number in numbers):
            alike.append(tuple(numbers))
        else:
            unlike += numbers
    return alike, unlike


class LinkedFile:
    """A file that change N writes in place, by its name in the stage. Its methods raise OSError."""

    def __init__(self, disk: Disk, stage: Stage, number: int, change: FileChange) -> None:
        self._disk, self._stage, self._change = disk, stage, change
        self.name = b"%d.link" % number

    @property
    def id(self) -> FileId:
        """Which file it is."""
        return self._stage.id(self.name)

    def take(self, directory: int, name: bytes) -> None:
        """Give the file at a name its name in the stage. Raises FileNotFoundError."""
        self._disk.link(name, directory, self.name, self._stage.descriptor)

    def write(self, data: bytes, mode: int) -> bool:
        """Write the new content; return False, with nothing written, if the file does not hold the old one any more."""
        return self._put(data, mode, lambda: self._stage.content(self.name).same(self._change.old))

    def restore(self, old: bytes, new: bytes | None) -> bool:
        """Put the old content in place of the new one or of a part of it; return False, with nothing written, if it is somebody's edit.

        new: None if it is not known any more.
        """
        if not self._stage.has(self.name) or self._stage.content(self.name).same(self._change.old):
            return True
        return self._put(old, self._change.old.mode, lambda: self._is_ours(old, new))

    def _is_ours(self, old: bytes, new: bytes | None) -> bool:
        here = self._stage.content(self.name)
        if here.kind is not Kind.FILE or here.sha256 in (self._change.old.sha256, self._change.new.sha256):
            return here.kind is Kind.FILE
        return new is not None and is_between(self._stage.read(self.name), old, new)

    def _put(self, data: bytes, mode: int, expected: Callable[[], bool]) -> bool:
        if not expected():  # it may be a link or a FIFO by now
            return False
        try:
            file = open_to_write(self.name, self._stage.descriptor)
        except PermissionError as error:
            raise OSError(error.errno, error.strerror, self._change.path) from error
        try:
            if not self._disk.overwrite(file, data, expected):
                return False
            if stat.S_IMODE(os.fstat(file).st_mode) != mode:
                self._disk.set_mode(file, mode)
            self._disk.sync(file)
        finally:
            os.close(file)
        return True


def linked_files(disk: Disk, stages: Stages, journal: Journal) -> dict[int, LinkedFile]:
    """Return number -> file for each that is written in place."""
    numbers = (writer for writer, *_ in journal.linked)
    return {number: LinkedFile(disk, stages.of(journal.ops[number].path), number, journal.ops[number]) for number in numbers}


def names_durable(root: Root, disk: Disk, stages: Stages, journal: Journal) -> None:
    """Make it durable that the stages are there, and which files they have names of. Raises OSError."""
    for stage in stages:
        disk.sync(stage.descriptor)
    for path in stage_paths(journal).values():
        disk.sync(root.parent(path)[0])


def is_between(data: bytes, old: bytes, new: bytes) -> bool:
    """Whether data are what a write of one content over another leaves that broke off: each block is from either, or cut from one to the other."""
    if not min(len(old), len(new)) <= len(data) <= max(len(old), len(new)):
        return False
    blocks = ((data[at : at + _BLOCK], old[at : at + _BLOCK], new[at : at + _BLOCK]) for at in range(0, len(data), _BLOCK))
    return all(part in (first, second) or _is_cut(part, first, second) or _is_cut(part, second, first) for part, first, second in blocks)


def _is_cut(part: bytes, first: bytes, second: bytes) -> bool:
    """Whether a block begins as the one and goes on as the other."""
    same = next((at for at, (here, there) in enumerate(zip(part, first, strict=False)) if here != there), min(len(part), len(first)))
    return part[same:] == second[same : len(part)]
