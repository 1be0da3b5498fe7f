"""Takes an apply back, whether it failed just now or its process died at any instruction: every path to what it held before.

A path that holds neither what the apply found nor what it wrote was changed by somebody else; it is left alone and named.
"""

import os
from collections.abc import Callable, Collection

from ccterm.workspace.apply.changeset import Op
from ccterm.workspace.apply.forward import Stage, make_way, remove_if_empty, staged
from ccterm.workspace.apply.journal import Journal
from ccterm.workspace.disk import CannotExchange, Disk
from ccterm.workspace.rooted import Content, Kind, Root


class Rollback:
    """One way back. backup: gives the bytes that the path of a number held."""

    def __init__(self, root: Root, disk: Disk, journal: Journal, backup: Callable[[int], bytes]) -> None:
        self._root, self._disk, self._journal, self._backup = root, disk, journal, backup
        self.foreign: list[str] = []
        """Paths that somebody else changed meanwhile."""

    def run(self) -> None:
        """Carry it out. Raises OSError when even that cannot be done; the journal then stays."""
        if not self._root.stat(os.fsencode(self._journal.stage)):
            return  # nothing was begun
        with staged(self._root, self._journal.stage) as stage:
            self._restore(stage, deletions=False)
            for name in sorted(self._journal.made, key=lambda each: -len(each)):
                remove_if_empty(self._root, self._disk, name.encode("latin-1"))
            self._restore(stage, deletions=True)  # last, for a directory may have come into the place of a file
        clear_stage(self._root, self._disk, self._journal, keep=self.foreign)

    def _restore(self, stage: Stage, *, deletions: bool) -> None:
        for number, op in reversed(list(enumerate(self._journal.ops))):
            self._root.forget()
            if (op.new.kind is Kind.NOTHING) is deletions and not self._restored(stage, number, op):
                self.foreign.append(op.shown)

    def _restored(self, stage: Stage, number: int, op: Op) -> bool:
        """Bring one path back; return whether it then holds what it held, or what its user made of it before we came."""
        here = self._root.content(op.path)
        aside = b"%d.old" % number
        if here.same(op.old):
            return True
        if op.old.kind is Kind.NOTHING:
            return here.kind in (Kind.NOTHING, Kind.DIRECTORY) or (here.same(op.new) and self._removed(stage, number, op))
        if here.kind is Kind.NOTHING:
            return (op.new.kind is Kind.NOTHING or stage.has(aside)) and self._put_back(stage, aside, number, op)
        if not here.same(op.new):
            return False
        return self._swapped(stage, number, op)

    def _removed(self, stage: Stage, number: int, op: Op) -> bool:
        """Remove what the apply made, unless it became something else at this moment."""
        gone = b"%d.gone" % number
        directory, name = self._root.parent(op.path)
        self._disk.move(name, directory, gone, stage.descriptor)
        if stage.content(gone).same(op.new):
            return True
        self._disk.move(gone, stage.descriptor, name, directory)
        return False

    def _put_back(self, stage: Stage, aside: bytes, number: int, op: Op) -> bool:
        """Put back what was taken away."""
        if not stage.has(aside):
            aside = self._from_backup(stage, number, op)
        above, _, name = op.path.rpartition(b"/")
        try:
            self._disk.move(aside, stage.descriptor, name, make_way(self._root, self._disk, above, self._journal))
        except (FileExistsError, NotADirectoryError):
            return False
        return self._root.content(op.path).same(op.old)

    def _swapped(self, stage: Stage, number: int, op: Op) -> bool:
        """Let what was replaced change places with what replaced it."""
        old = next((name for name in (b"%d.old" % number, b"%d" % number) if stage.has(name)), None)
        old = old or self._from_backup(stage, number, op)
        directory, name = self._root.parent(op.path)
        try:
            self._disk.exchange(old, stage.descriptor, name, directory)
        except CannotExchange:
            return self._removed(stage, number, op) and self._put_back(stage, old, number, op)
        if not stage.content(old).same(op.new):
            self._disk.exchange(old, stage.descriptor, name, directory)
            return False
        return self._root.content(op.path).same(op.old)

    def _from_backup(self, stage: Stage, number: int, op: Op) -> bytes:
        name, data = b"%d.kept" % number, self._backup(number)
        if stage.has(name):
            self._disk.remove(name, stage.descriptor)
        if op.old.kind is Kind.LINK:
            self._disk.make_link(data, name, stage.descriptor)
            return name
        self._disk.make_file(name, stage.descriptor, data, op.old.mode, exact=True)
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=stage.descriptor)
        try:
            self._disk.sync(file)
        finally:
            os.close(file)
        return name


def _is_ours(content: Content, op: Op) -> bool:
    return content.same(op.old) or content.same(op.new)


def clear_stage(root: Root, disk: Disk, journal: Journal, keep: Collection[str] = ()) -> None:
    """Remove the stage and what waits in it, but what may be somebody else's: at the paths in `keep`. Raises OSError."""
    with staged(root, journal.stage) as stage:
        for name in os.listdir(stage.descriptor):  # noqa: PTH208 - of a descriptor
            number = name.split(".")[0]
            op = journal.ops[int(number)] if number.isdecimal() and int(number) < len(journal.ops) else None
            if op is None or op.shown not in keep or _is_ours(stage.content(os.fsencode(name)), op):
                disk.remove(os.fsencode(name), stage.descriptor)
    remove_if_empty(root, disk, os.fsencode(journal.stage))
