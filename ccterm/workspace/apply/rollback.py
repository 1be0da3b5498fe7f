"""Undoes an apply that failed, or whose process died at any instruction: every path gets back what it held before.

A path that holds neither what the apply found nor what it wrote was changed by someone else; it is left alone and named.
"""

import os
from collections.abc import Callable, Collection

from ccterm.git.rooted import Root
from ccterm.workspace.apply.changeset import FileChange
from ccterm.workspace.apply.forward import make_way, remove_if_empty, sync_file
from ccterm.workspace.apply.journal import Journal
from ccterm.workspace.apply.linked import linked_files
from ccterm.workspace.apply.stage import Stage, Stages, any_stage, make_stages, stage_paths, staged
from ccterm.workspace.content import Content, Kind, content_of
from ccterm.workspace.disk import CannotExchange, Disk


class Rollback:
    """One rollback. backup: returns the bytes that the path of change N held."""

    def __init__(self, root: Root, disk: Disk, journal: Journal, backup: Callable[[int], bytes]) -> None:
        self._root, self._disk, self._journal, self._backup = root, disk, journal, backup
        self.foreign: list[str] = []
        """Paths that someone else changed meanwhile."""

    def run(self) -> None:
        """Roll back. Raises OSError when that fails too; the journal then stays."""
        if not any_stage(self._root, self._journal):
            return  # nothing was started
        make_stages(self._root, self._disk, self._journal)
        with staged(self._root, self._journal) as stages:
            self._restore_linked(stages)
            self._restore(stages, deletions=False)
            for name in sorted(self._journal.made, key=lambda each: -len(each)):
                remove_if_empty(self._root, self._disk, name.encode("latin-1"))
            self._restore(stages, deletions=True)  # last, because a directory may have replaced a file
        clear_stage(self._root, self._disk, self._journal, keep=self.foreign)

    def _restore_linked(self, stages: Stages) -> None:
        """Restore the files that have several names, before what depends on their content is looked at."""
        for number, file in linked_files(self._disk, stages, self._journal).items():
            change, stage, new = self._journal.ops[number], stages.of(self._journal.ops[number].path), b"%d" % number
            if not file.restore(self._backup(number), stage.read(new) if stage.has(new) else None):
                self.foreign.append(change.shown)

    def _restore(self, stages: Stages, *, deletions: bool) -> None:
        for number, change in reversed(list(enumerate(self._journal.ops))):
            self._root.forget()
            if (change.new.kind is Kind.NOTHING) is deletions and not self._restored(stages.of(change.path), number, change):
                self.foreign.append(change.shown)
        self.foreign = list(dict.fromkeys(self.foreign))

    def _restored(self, stage: Stage, number: int, change: FileChange) -> bool:
        """Restore one path; return whether it then holds what it held, or what the user made of it before the apply reached it."""
        here = content_of(self._root, change.path)
        aside = b"%d.old" % number
        if here.same(change.old):
            return True
        if number in self._journal.in_place:
            return False
        if change.old.kind is Kind.NOTHING:
            return here.kind in (Kind.NOTHING, Kind.DIRECTORY) or (here.same(change.new) and self._removed(stage, number, change))
        if here.kind is Kind.NOTHING:
            return (change.new.kind is Kind.NOTHING or stage.has(aside)) and self._put_back(stage, aside, number, change)
        if not here.same(change.new):
            return False
        return self._swapped(stage, number, change)

    def _removed(self, stage: Stage, number: int, change: FileChange) -> bool:
        """Remove what the apply made, unless it was changed just now."""
        gone = b"%d.gone" % number
        directory, name = self._root.parent(change.path)
        self._disk.move(name, directory, gone, stage.descriptor)
        if stage.content(gone).same(change.new):
            return True
        self._disk.move(gone, stage.descriptor, name, directory)
        return False

    def _put_back(self, stage: Stage, aside: bytes, number: int, change: FileChange) -> bool:
        """Put back what was moved away."""
        if not stage.has(aside):
            aside = self._from_backup(stage, number, change)
        above, _, name = change.path.rpartition(b"/")
        try:
            self._disk.move(aside, stage.descriptor, name, make_way(self._root, self._disk, above, self._journal))
        except (FileExistsError, NotADirectoryError):
            return False
        return content_of(self._root, change.path).same(change.old)

    def _swapped(self, stage: Stage, number: int, change: FileChange) -> bool:
        """Exchange what was replaced with what replaced it."""
        old = next((name for name in (b"%d.old" % number, b"%d" % number) if stage.has(name)), None)
        old = old or self._from_backup(stage, number, change)
        directory, name = self._root.parent(change.path)
        try:
            self._disk.exchange(old, stage.descriptor, name, directory)
        except CannotExchange:
            return self._removed(stage, number, change) and self._put_back(stage, old, number, change)
        if not stage.content(old).same(change.new):
            self._disk.exchange(old, stage.descriptor, name, directory)
            return False
        return content_of(self._root, change.path).same(change.old)

    def _from_backup(self, stage: Stage, number: int, change: FileChange) -> bytes:
        name, data = b"%d.kept" % number, self._backup(number)
        if stage.has(name):
            self._disk.remove(name, stage.descriptor)
        if change.old.kind is Kind.LINK:
            self._disk.make_link(data, name, stage.descriptor)
            self._disk.give(name, stage.descriptor, change.old.owner)
            return name
        self._disk.make_file(name, stage.descriptor, data, change.old.mode, exact=True, like=change.old)
        sync_file(self._disk, stage.descriptor, name)
        return name


def _is_ours(content: Content, change: FileChange) -> bool:
    return content.same(change.old) or content.same(change.new)


def clear_stage(root: Root, disk: Disk, journal: Journal, keep: Collection[str] = ()) -> None:
    """Remove the stages with their contents, except what may be someone else's: at the paths in `keep`. Raises OSError."""
    with staged(root, journal) as stages:
        for stage in stages:
            for name in map(os.fsencode, os.listdir(stage.descriptor)):  # noqa: PTH208 - of a descriptor
                number = name.split(b".")[0]
                change = journal.ops[int(number)] if number.isdigit() and int(number) < len(journal.ops) else None
                if change is None or change.shown not in keep or stage.is_elsewhere(name) or _is_ours(stage.content(name), change):
                    disk.remove(name, stage.descriptor)
    for path in stage_paths(journal).values():
        remove_if_empty(root, disk, path)
