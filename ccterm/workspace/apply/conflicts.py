"""Checks every path before any is touched: does it still hold what the snapshot held, and is the way to it free?"""

import os
import stat
from collections.abc import Iterator, Sequence

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.rooted import Root
from ccterm.workspace.apply.changeset import ChangeSet, FileChange
from ccterm.workspace.apply.forward import QuickMark, quick_mark
from ccterm.workspace.apply.linked import linked_groups
from ccterm.workspace.apply.stage import Mounts
from ccterm.workspace.content import NOTHING, Content, FileId, Kind, attributes_of, file_id, kind_of

_SHOWN = 10


class ConflictCheck:
    """The check, made on creation. Raises StepError(conflict) naming the paths that changed, and OSError.

    failed: what did not happen then. ops: what is left to do. kept: the bytes that each change replaces. marks: what lstat said of each
    path. made, directories,
    linked: see Journal. files: which file a change is to, by its number, where that has several names.
    """

    def __init__(self, root: Root, changes: ChangeSet, failed: str = "nothing was applied") -> None:
        self._root = root
        self._gone = {change.path for change in changes.ops if change.new.kind is Kind.NOTHING}
        self.ops: list[FileChange] = []
        self.kept: list[bytes] = []
        self.marks: list[QuickMark | None] = []
        self.made: dict[str, None] = {}
        self.directories: dict[str, int] = {}
        self.files: dict[int, FileId] = {}
        self._links: dict[FileId, int] = {}
        self._mounts = Mounts(root)
        conflicts = [change.shown for change in changes.ops if not self._fits(change)]
        if conflicts:
            raise changed(conflicts, failed)
        self.linked, self._unlike = linked_groups(self.ops, self.files)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        return tuple(
            f"{self.ops[number].shown} is a file of its own now: it had a name in common with others that hold something else"
            for number in self._unlike
        )

    @property
    def elsewhere(self) -> int:
        """How many files are written in place that have other names than the changed ones."""
        return sum(self._links[self.files[group[0]]] > len(group) for group in self.linked)

    @property
    def mounts(self) -> tuple[str, ...]:
        """See Journal."""
        return tuple(self._mounts.tops)

    def _fits(self, change: FileChange) -> bool:
        here, data, found = self._read(change.path)
        if here.same(change.new):
            return True
        if not (here.same(change.old) or self._is_emptied(change, here)) or not self._way_is_free(change):
            return False
        self._mounts.look(change.path)
        old = here if change.old.kind is not Kind.NOTHING else NOTHING
        if found and here.kind is Kind.FILE and found.st_nlink > 1:
            self.files[len(self.ops)] = file_id(found)
            self._links[file_id(found)] = found.st_nlink
        self.ops.append(change.model_copy(update={"old": old}))  # with the permissions of the user's file
        self.kept.append(data)
        self.marks.append(quick_mark(found) if found else None)
        return True

    def _read(self, path: bytes) -> tuple[Content, bytes, os.stat_result | None]:
        """Return what is at a path: as content, as bytes, and what lstat says of a file or link."""
        found = self._root.stat(path)
        kind = kind_of(found.st_mode) if found else Kind.NOTHING
        if found is None or kind not in (Kind.FILE, Kind.LINK):
            return Content(kind=kind), b"", None
        if kind is Kind.LINK:
            target = self._root.link(path)
            content = Content.of(target, stat.S_IFLNK)
            return content.model_copy(update={"owner": (found.st_uid, found.st_gid)}), target, found
        with os.fdopen(self._root.open(path), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            data, attributes = file.readall(), attributes_of(file.fileno())
        content = Content.of(data, found.st_mode, mode=stat.S_IMODE(found.st_mode))
        kept = {"owner": (found.st_uid, found.st_gid), "attributes": attributes}
        return content.model_copy(update=kept), data, found

    def _is_emptied(self, change: FileChange, here: Content) -> bool:
        """Whether the directory in the way holds only files that the same change set deletes."""
        return (
            here.kind is Kind.DIRECTORY and change.old.kind is Kind.NOTHING and all(path in self._gone for path in self._below(change.path))
        )

    def _below(self, path: bytes) -> Iterator[bytes]:
        for name in os.listdir(self._root.directory(path)):  # noqa: PTH208 - of a descriptor
            inner = path + b"/" + os.fsencode(name)
            found = self._root.stat(inner)
            if found and kind_of(found.st_mode) is Kind.DIRECTORY:
                yield from self._below(inner)
            else:
                yield inner

    def _way_is_free(self, change: FileChange) -> bool:
        """Whether everything above a path is a directory, or will be, and none is a repository of its own."""
        parts = change.path.split(b"/")[:-1]
        for depth in range(1, len(parts) + 1):
            above = b"/".join(parts[:depth])
            found = self._root.stat(above)
            if found is None or above in self._gone:
                self.made[above.decode("latin-1")] = None
            elif kind_of(found.st_mode) is not Kind.DIRECTORY or self._root.stat(above + b"/.git"):
                return False
            elif change.new.kind is Kind.NOTHING:
                self.directories[above.decode("latin-1")] = found.st_mode & 0o7777
        return True


def changed(paths: Sequence[str], failed: str = "nothing was applied") -> StepError:
    """Return the error for paths that changed since the snapshot. failed: what did not happen."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    message = f"{failed}, because these paths changed meanwhile: {', '.join(paths[:_SHOWN])}{more}"
    return StepError(Cause.CONFLICT, message, reason="changed")
