"""Compares a tree with a commit by content alone: time stamps and the index are not trusted, because an agent could write them."""

import os
from collections.abc import Collection

from ccterm.box.commit.walk import Found, RefusedPath
from ccterm.git.git import Git
from ccterm.git.objects import blob_digest, blob_name, file_blocks
from ccterm.git.rooted import FileNode, Root
from ccterm.git.tree import GITLINK, Base, TreeEntry, parents


class Delta:
    """How a tree differs from a commit."""

    def __init__(self, refused: list[RefusedPath]) -> None:
        self.added: dict[bytes, FileNode] = {}
        self.changed: dict[bytes, FileNode] = {}
        self.missing: set[bytes] = set()
        self.raw: dict[bytes, str] = {}
        """Object name of a changed path's bytes, without any conversion."""
        self.refused = refused

    @property
    def nodes(self) -> dict[bytes, FileNode]:
        """Everything that is new or different from the commit."""
        return self.added | self.changed


class Comparison:
    """Compares the tree below `root` with `base`. A file larger than `largest` is read only if the base's has the same size."""

    def __init__(self, git: Git, root: Root, base: Base, *, largest: int) -> None:
        self._git, self._root, self._base, self._largest = git, root, base, largest

    def delta(self, found: Found) -> Delta:
        """Return how what was found differs. Raises GitError."""
        delta = Delta(refused=list(found.refused))
        for path in sorted(found.nodes):
            if path not in self._base.entries:
                delta.added[path] = found.nodes[path]
            else:
                self._compare(path, found.nodes[path], delta)
        left_out = {refused.path for refused in delta.refused} | found.aside
        for path, entry in self._base.entries.items():
            if path not in found.nodes and path not in found.unchanged and entry.mode != GITLINK and not covered(path, left_out):
                delta.missing.add(path)
        return delta

    def _compare(self, path: bytes, node: FileNode, delta: Delta) -> None:
        entry = self._base.entries[path]
        try:
            name = self._raw_name(path, node, entry)
        except OSError as error:
            delta.refused.append(RefusedPath("unreadable", path, f"cannot be read: {error.strerror or error}"))
            return
        if (node.git_mode, name) != entry:
            delta.changed[path] = node
            delta.raw[path] = name

    def _raw_name(self, path: bytes, node: FileNode, entry: TreeEntry) -> str:
        if not node.git_mode:
            return ""
        if node.size > self._largest and int(self._git.text("cat-file", "-s", entry.sha)) != node.size:
            return ""
        return raw_name(self._root, self._base, path, node)


def raw_name(root: Root, base: Base, path: bytes, node: FileNode) -> str:
    """Return the object name of the bytes at a path. Raises OSError."""
    if node.is_link:
        return blob_name(base.algorithm, root.link(path))
    with os.fdopen(root.open(path), "rb", buffering=0) as file:
        digest = blob_digest(base.algorithm, os.fstat(file.fileno()).st_size)
        for block in file_blocks(file):
            digest.update(block)
    return digest.hexdigest()


def covered(path: bytes, paths: Collection[bytes]) -> bool:
    """Whether a path is one of these, or below one."""
    return path in paths or any(above in paths for above in parents(path))
