"""The look at every path before any is touched: does it still hold what the snapshot held, and is the way to it free."""

import os
import stat
from collections.abc import Iterator, Sequence

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.names import shown
from ccterm.workspace.apply.changeset import ChangeSet, Op
from ccterm.workspace.apply.forward import QuickMark, quick_mark
from ccterm.workspace.rooted import NOTHING, Content, Kind, Root, kind_of

_SHOWN = 10


class Look:
    """Looks at every path that will be touched before anything is. Raises StepError(conflict) naming those that changed, and OSError.

    ops: what is left to do. kept: the bytes that each of them replaces. made, directories: see Journal.
    """

    def __init__(self, root: Root, changes: ChangeSet) -> None:
        self._root = root
        self._gone = {op.path for op in changes.ops if op.new.kind is Kind.NOTHING}
        self.ops: list[Op] = []
        self.kept: list[bytes] = []
        self.marks: list[QuickMark | None] = []
        self.made: dict[str, None] = {}
        self.directories: dict[str, int] = {}
        self.notes: list[str] = []
        conflicts = [op.shown for op in changes.ops if not self._fits(op)]
        if conflicts:
            raise changed(conflicts)

    def _fits(self, op: Op) -> bool:
        here, data, mark = self._look(op.path)
        if here.same(op.new):
            return True
        if not (here.same(op.old) or self._is_emptied(op, here)) or not self._way_is_free(op):
            return False
        old = here if op.old.kind is not Kind.NOTHING else NOTHING
        self.ops.append(op.model_copy(update={"old": old}))  # with the permissions that the user's file has
        self.kept.append(data)
        self.marks.append(mark)
        return True

    def _look(self, path: bytes) -> tuple[Content, bytes, QuickMark | None]:
        """Return what lies at a path: as a content, as bytes, and what tells it from something else."""
        found = self._root.stat(path)
        kind = kind_of(found.st_mode) if found else Kind.NOTHING
        if found is None or kind not in (Kind.FILE, Kind.LINK):
            return Content(kind=kind), b"", None
        if kind is Kind.LINK:
            target = self._root.link(path)
            return Content.of(target, stat.S_IFLNK), target, quick_mark(found)
        with os.fdopen(self._root.open(path), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            data = file.readall()
        if found.st_nlink > 1:
            self.notes.append(f"{shown(path)} had {found.st_nlink} names (hard links); the others keep the old content")
        return Content.of(data, found.st_mode, mode=stat.S_IMODE(found.st_mode)), data, quick_mark(found)

    def _is_emptied(self, op: Op, here: Content) -> bool:
        """Whether a directory is in the way whose files are all deleted by the same change."""
        return here.kind is Kind.DIRECTORY and op.old.kind is Kind.NOTHING and all(path in self._gone for path in self._below(op.path))

    def _below(self, path: bytes) -> Iterator[bytes]:
        for name in os.listdir(self._root.directory(path)):  # noqa: PTH208 - of a descriptor
            inner = path + b"/" + os.fsencode(name)
            found = self._root.stat(inner)
            if found and kind_of(found.st_mode) is Kind.DIRECTORY:
                yield from self._below(inner)
            else:
                yield inner

    def _way_is_free(self, op: Op) -> bool:
        """Whether the directories above a path are directories, or will be, and none is a repository of its own."""
        parts = op.path.split(b"/")[:-1]
        for depth in range(1, len(parts) + 1):
            above = b"/".join(parts[:depth])
            found = self._root.stat(above)
            if found is None or above in self._gone:
                self.made[above.decode("latin-1")] = None
            elif kind_of(found.st_mode) is not Kind.DIRECTORY or self._root.stat(above + b"/.git"):
                return False
            elif op.new.kind is Kind.NOTHING:
                self.directories[above.decode("latin-1")] = found.st_mode & 0o7777
        return True


def changed(paths: Sequence[str]) -> StepError:
    """Return why nothing was applied."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    message = f"nothing was applied, for these changed meanwhile: {', '.join(paths[:_SHOWN])}{more}"
    return StepError(Cause.CONFLICT, message, reason="changed")
