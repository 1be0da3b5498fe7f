"""Takes out of a comparison what the setup command left: that is not the agent's work, whoever committed it."""

import hashlib
from collections.abc import Iterable, Sequence

from ccterm.box.commit.compare import Delta
from ccterm.box.commit.walk import RefusedPath
from ccterm.box.setup_record import SetupRecord
from ccterm.git.git import Git
from ccterm.git.names import shown
from ccterm.git.objects import read_blobs
from ccterm.git.rooted import FileNode, Root
from ccterm.git.tree import Base

_SHOWN = 5


class SetupLeft:
    """What setup left in one tree. directory: the record, None when no setup ran."""

    def __init__(self, directory: str | None, root: Root, base: Base) -> None:
        self._root, self._base = root, base
        self.notes: list[str] = []
        self.out: set[bytes] = set()
        """The paths that were taken out."""
        self._record = SetupRecord({}, set())
        if directory is None:
            return
        try:
            self._record = SetupRecord.read(directory)
        except (OSError, ValueError) as error:
            self._record.note = f"its record cannot be read: {error}"
        if self._record.note:
            self.notes.append(f"what setup left cannot be told from the agent's work: {self._record.note}")

    def take_out(self, delta: Delta, refused: Iterable[RefusedPath], git: Git) -> list[RefusedPath]:
        """Take it out of a delta and of paths that were refused; return those that are left."""
        self.out = {path for path, node in delta.nodes.items() if self._as_left(path, node)}
        self.out |= delta.missing & self._record.gone
        for path in self.out:
            delta.added.pop(path, None)
            delta.changed.pop(path, None)
        delta.missing -= self.out
        rest = [refusal for refusal in refused if not self._refused_as_left(refusal.path)]
        if self.out:
            self.notes.append(f"left out of the commit, because setup left it so: {_some(self.out)}")
        both = [path for path, node in delta.nodes.items() if path in self._record.files and not self._is_in_base(path, node, git)]
        if both:
            self.notes.append(f"changed by setup as well as by the agent, and in the commit with both: {_some(both)}")
        return rest

    def _as_left(self, path: bytes, node: FileNode) -> bool:
        try:
            return path in self._record.files and self._record.is_as_left(self._root, path, node)
        except OSError:
            return False

    def _refused_as_left(self, path: bytes) -> bool:
        if path in self._record.gone and self._root.stat(path) is None:
            self.out.add(path)
            return True
        try:
            found = path in self._record.files and self._as_left(path, self._root.node(path))
        except OSError:
            return False
        if found:
            self.out.add(path)
        return found

    def _is_in_base(self, path: bytes, node: FileNode, git: Git) -> bool:
        """Whether setup, after all, left in a path what the base has there."""
        entry = self._base.entries.get(path)
        if entry is None or node.is_directory:
            return False
        [content] = read_blobs(git, [entry.sha])
        return self._record.files[path] == (entry.mode, hashlib.sha256(content).hexdigest())


def _some(paths: Iterable[bytes]) -> str:
    listed: Sequence[bytes] = sorted(paths)
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return ", ".join(map(shown, listed[:_SHOWN])) + more
