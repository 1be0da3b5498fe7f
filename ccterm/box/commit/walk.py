"""Walks an agent's tree with lstat and descriptors alone, and finds what would enter a commit. Ignored paths are skipped unread."""

import contextlib
from collections.abc import Collection
from typing import NamedTuple

from ccterm.git.hazards import PARTS, Repositories, may_be_repository
from ccterm.git.names import folded, is_dotgit, too_deep
from ccterm.git.patterns import Ignored
from ccterm.git.rooted import FileNode, Root
from ccterm.git.tree import GITLINK, Base

MOST = 1_000_000
"""Most paths in one tree; more of them are a mistake of the agent's."""
_STEERING = (b".gitignore", b".gitattributes", b".gitmodules")


class RefusedPath(NamedTuple):
    """A path that must not enter the commit, and the rule that says so."""

    rule: str
    path: bytes
    detail: str


class TooMany(Exception):
    """The tree holds more than MOST paths."""


class Found:
    """What a walk found: path -> node of everything that is tracked or not ignored, except directories."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, FileNode] = {}
        self.submodules: dict[bytes, FileNode] = {}
        """What is where the base has a submodule."""
        self.refused: list[RefusedPath] = []
        self.unchanged: set[bytes] = set()
        """Paths of the base that are not in the tree because it holds changes alone."""
        self.aside: set[bytes] = set()
        """Directories that were left out because they are not part of the tree."""


class Walk:
    """One walk, level by level, so that git is asked only once per level what it ignores. aside: directories that are left out."""

    def __init__(self, root: Root, base: Base, ignored: Ignored, aside: Collection[bytes] = ()) -> None:
        self._root, self._base, self._ignored, self._aside = root, base, ignored, aside
        self._repositories = Repositories(base.entries)
        self._found = Found()

    def run(self) -> Found:
        """Walk. Raises TooMany, OSError for the root itself, GitError."""
        self._root.directory(b"")
        level = [b""]
        while level:
            level = self._descend(sorted(level))
        return self._found

    def _descend(self, level: list[bytes]) -> list[bytes]:
        below: list[bytes] = []
        fresh: dict[bytes, FileNode] = {}
        for directory in level:
            for path, node in self._list(directory).items():
                self._classify(path, node, fresh, below)
        for path in self._ignored(list(fresh)) if fresh else ():
            fresh.pop(path, None)
        for path, node in fresh.items():
            self._take_fresh(path, node, below)
        if len(self._found.nodes) + len(below) > MOST:
            raise TooMany
        return below

    def _list(self, directory: bytes) -> dict[bytes, FileNode]:
        try:
            names = self._root.list(directory)
        except OSError as error:
            if not directory:
                raise
            self._refuse("unreadable", directory, f"cannot be read: {error.strerror}")
            return {}
        if not directory:
            names.pop(b".git", None)
        elif b".git" in names:
            self._refuse("nested", directory, "holds a git repository of its own")
            return {}
        had = self._repositories.names(directory)
        if may_be_repository([*names, *had]) and not may_be_repository(had):
            return self._without_repository(directory, names)
        return {directory + b"/" + name if directory else name: node for name, node in names.items()}

    def _without_repository(self, directory: bytes, names: dict[bytes, FileNode]) -> dict[bytes, FileNode]:
        if directory:
            self._refuse("nested", directory, "looks like a bare git repository")
            return {}
        for name in [name for name in names if folded(name) in PARTS and not self._base.has(name)]:
            self._refuse("nested", name, "makes the whole tree look like a bare git repository")
            del names[name]
        return names

    def _classify(self, path: bytes, node: FileNode, fresh: dict[bytes, FileNode], below: list[bytes]) -> None:
        if path in self._aside:
            self._found.aside.add(path)
            return
        entry = self._base.entries.get(path)
        if entry is not None and entry.mode == GITLINK:
            self._found.submodules[path] = node
        elif entry is not None and not node.is_directory:
            self._found.nodes[path] = node
        elif node.is_directory and path in self._base.directories:
            below.append(path)
        else:
            fresh[path] = node
        self._disarm(path, node)

    def _disarm(self, path: bytes, node: FileNode) -> None:
        """Remove a FIFO where git would open it to read its rules, and wait forever: nothing in it can be lost."""
        if path.rpartition(b"/")[2] in _STEERING and not (node.is_directory or node.git_mode):
            with contextlib.suppress(OSError):
                self._root.remove(path)

    def _take_fresh(self, path: bytes, node: FileNode, below: list[bytes]) -> None:
        if deep := too_deep(path):
            self._refuse("depth", path, deep)
        elif not node.is_directory:
            self._found.nodes[path] = node
        elif is_dotgit(path.rpartition(b"/")[2]):
            self._refuse("dotgit", path, "some systems take this name for .git")
        else:
            below.append(path)

    def _refuse(self, rule: str, path: bytes, detail: str) -> None:
        self._found.refused.append(RefusedPath(rule, path, detail))
