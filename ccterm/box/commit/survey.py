"""Reads, as data, what an agent's git directory holds beside the tree: branches and other refs, the stash, and linked worktrees."""

import os
from typing import NamedTuple

from ccterm.git.names import shown
from ccterm.git.refs import TAGS, Ref, gitfile_target, read_head, read_refs, read_stash
from ccterm.git.rooted import Root

GIT = b".git"
MOVED = b"ccterm-worktrees"
"""In the git directory: what was brought there of worktrees outside of the tree, each by its name."""
MOST_REFS = 200
"""How much is kept beside a tree: so many branches, entries of the stash and worktrees in all."""
_MOST_FILES = 20_000
_MOST_WORKTREES = 200
_SMALL = 4096
_NOT_ITS_OWN = ("refs/remotes/", "refs/bisect/", "refs/replace/", "refs/original/", "refs/prefetch/")
"""What git and other repositories made, not the agent."""


class Worktree(NamedTuple):
    """A linked worktree of the tree's own repository."""

    name: bytes
    """Of its directory below .git/worktrees."""
    head: str | None
    """The commit that it stands on; None when it has none, or names none."""
    path: bytes | None
    """Where it is in the tree; None when it is somewhere else, or gone."""
    written: bytes
    """Where it was, as git wrote it."""

    @property
    def git_directory(self) -> bytes:
        """Its own part of the git directory."""
        return b"%s/worktrees/%s" % (GIT, self.name)


class Survey:
    """What there is beside a tree. unread: in sentences, what there may be that could not be read."""

    def __init__(self) -> None:
        self.head: str | None = None
        self.refs: list[Ref] = []
        """Branches, tags and other refs of the agent's clone, with the names that they have there; then the stash as `refs/stash/N`."""
        self.worktrees: list[Worktree] = []
        self.unread: list[str] = []

    @property
    def aside(self) -> frozenset[bytes]:
        """The worktrees inside the tree."""
        return frozenset(each.path for each in self.worktrees if each.path is not None)


def survey(root: Root) -> Survey:
    """Look at the git directory of an agent's tree. Raises nothing for what is in there."""
    found = Survey()
    try:
        if not root.node(GIT).is_directory:
            found.unread.append("its git directory is not in the tree")
            return found
    except OSError:
        return found  # it was removed, and all that it held with it
    try:
        found.head = read_head(root, GIT)
    except (OSError, ValueError):
        found.head = None
    try:
        own = [ref for ref in read_refs(root, GIT, _MOST_FILES) if not ref.name.startswith((*_NOT_ITS_OWN, "refs/stash"))]
        found.refs = sorted(own, key=lambda ref: (ref.name.startswith(TAGS), ref.name))
        found.refs += [Ref(sha, f"refs/stash/{n}") for n, sha in enumerate(read_stash(root, GIT))]
    except OverflowError:
        found.unread.append("its clone has too many branches")
    if _is_directory(root, GIT + b"/reftable"):
        found.unread.append("its branches are in a format that ccterm does not read (reftable)")
    _add_worktrees(root, found)
    return found


def _is_directory(root: Root, path: bytes) -> bool:
    try:
        return root.node(path).is_directory
    except OSError:
        return False


def _add_worktrees(root: Root, found: Survey) -> None:
    try:
        names = sorted(root.list(GIT + b"/worktrees"))
    except OSError:
        return
    if len(names) > _MOST_WORKTREES:
        found.unread.append(f"its clone has {len(names):,} worktrees, more than {_MOST_WORKTREES}")
    for name in names[:_MOST_WORKTREES]:
        directory = b"%s/worktrees/%s" % (GIT, name)
        try:
            written = root.read(directory + b"/gitdir", _SMALL).rstrip(b"\n")
            head = read_head(root, directory, GIT)
        except (OSError, ValueError):
            continue  # no worktree for git either
        found.worktrees.append(Worktree(name, head, _path_in_tree(root, name, written), written))


def _path_in_tree(root: Root, name: bytes, written: bytes) -> bytes | None:
    """Return where a worktree is. The tree was moved since git wrote its path down, so only the end of that path is good.

    The `.git` file of the worktree must name it in turn.
    """
    parts = written.split(b"/")[:-1]
    for start in range(len(parts)):
        wanted = parts[start:]
        if not {b"", b".", b"..", GIT}.isdisjoint(wanted):
            continue
        path = b"/".join(wanted)
        if _names(root, path + b"/.git", name):
            return path
    return None


def _names(root: Root, gitfile: bytes, name: bytes) -> bool:
    try:
        return gitfile_target(root, gitfile).endswith(b"%s/worktrees/%s" % (GIT, name))
    except OSError:
        return False


def worktree_outside(worktree: Worktree, tree: str) -> str | None:
    """Return where a worktree outside of the tree is, if it is there on this machine and says so itself. tree: where the tree is."""
    own = os.path.join(os.path.abspath(tree), os.fsdecode(worktree.git_directory))
    # git may write it down as seen from the worktree's own part of the git directory
    directory = os.path.normpath(os.path.join(own, os.fsdecode(worktree.written.removesuffix(b"/.git"))))
    try:
        with Root(directory, hostile=True) as root:
            return directory if _names(root, b".git", worktree.name) else None
    except OSError:
        return None


def moved_to(worktree: Worktree) -> bytes:
    """Return where in the tree a worktree outside of it is brought."""
    return b"%s/%s/%s" % (GIT, MOVED, worktree.name)


def moved_path(root: Root, worktree: Worktree) -> bytes | None:
    """Return where in the tree a worktree outside of it was brought, if all of it was."""
    path = moved_to(worktree)
    return path if _names(root, path + b"/.git", worktree.name) else None


def shown_path(worktree: Worktree) -> str:
    """Return where a worktree was, for people."""
    return shown(worktree.path or worktree.written.removesuffix(b"/.git"))
