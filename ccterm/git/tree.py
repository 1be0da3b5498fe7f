"""What a commit holds: every path with its mode and object name."""

from collections.abc import Iterator
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
    entries = read_tree(git, tree)
    directories = {above for path in entries for above in parents(path)}
    return Base(tree, entries, directories, commit)


def read_tree(git: Git, treeish: str) -> dict[bytes, TreeEntry]:
    """Return path -> entry of everything in a tree, directories aside. Raises GitError."""
    return dict(map(_entry, git.fields("ls-tree", "-r", "-z", "--full-tree", treeish)))


def parents(path: bytes) -> Iterator[bytes]:
    """Yield the directories above a path, the nearest first."""
    while (path := path.rpartition(b"/")[0]) != b"":
        yield path


def _entry(line: bytes) -> tuple[bytes, TreeEntry]:
    about, _, path = line.partition(b"\t")
    mode, _, sha = about.split(b" ")
    return path, TreeEntry(_canonical(int(mode, 8)), sha.decode())


def _canonical(mode: int) -> int:
    """Return a mode as git writes it today; old commits hold others."""
    kind = mode & 0o170000
    return kind | (0o755 if mode & 0o100 else 0o644) if kind == 0o100000 else kind
