"""What a commit holds: every path with its mode and object name."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from ccterm.git.git import Git, hash_name

GITLINK = 0o160000
"""Mode of a submodule."""
LINK = 0o120000
"""Mode of a symbolic link."""


class TreeEntry(NamedTuple):
    """Mode and object name of one path."""

    mode: int
    sha: str


class Base:
    """All paths of the commit that a run started from, and all directories that these paths need."""

    def __init__(
        self, tree: str, entries: dict[bytes, TreeEntry] | None = None, directories: set[bytes] | None = None, commit: str | None = None
    ) -> None:
        self.tree = tree
        """Its tree; the empty tree for a repository that holds nothing yet."""
        self.entries = entries or {}
        self.directories = directories or set()
        self.commit = commit
        self.algorithm = hash_name(tree)
        """Name of the hash that names this repository's objects."""

    def has(self, path: bytes) -> bool:
        """Whether there is a file or a directory of that name."""
        return path in self.entries or path in self.directories


def read_base(git: Git, commit: str | None) -> Base:
    """Read a commit from a git directory of ours. Raises GitError."""
    if commit is None:
        return Base(tree=git.text("mktree"))
    tree = git.text("rev-parse", "--verify", f"{commit}^{{tree}}")
    return base_of(tree, list_tree(git, tree), commit)


def base_of(tree: str, listing: bytes, commit: str | None = None) -> Base:
    """Return the base that a listing describes."""
    entries = _entries(listing)
    return Base(tree, entries, directories_above(entries), commit)


def list_tree(git: Git, treeish: str) -> bytes:
    """Return git's listing of everything in a tree, directories aside. Raises GitError."""
    return git.run("ls-tree", "-r", "-z", "--full-tree", treeish)


def read_tree(git: Git, treeish: str) -> dict[bytes, TreeEntry]:
    """Return path -> entry of everything in a tree, directories aside. Raises GitError."""
    return _entries(list_tree(git, treeish))


def directories_above(paths: Iterable[bytes]) -> set[bytes]:
    """Return all directories that paths need."""
    found: set[bytes] = set()
    for path in paths:
        above = path.rpartition(b"/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition(b"/")[0]
    return found


def parents(path: bytes) -> Iterator[bytes]:
    """Yield the directories above a path, the nearest first."""
    while (path := path.rpartition(b"/")[0]) != b"":
        yield path


def _entries(listing: bytes) -> dict[bytes, TreeEntry]:
    return dict(map(_entry, listing.split(b"\0")[:-1]))


def _entry(line: bytes) -> tuple[bytes, TreeEntry]:
    about, _, path = line.partition(b"\t")
    mode, _, sha = about.split(b" ")
    return path, TreeEntry(_canonical(mode), sha.decode())


@cache
def _canonical(octal: bytes) -> int:
    """Return a mode as git writes it today; old commits hold others."""
    mode = int(octal, 8)
    kind = mode & 0o170000
    return kind | (0o755 if mode & 0o100 else 0o644) if kind == 0o100000 else kind
