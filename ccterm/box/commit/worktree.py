"""Makes a tree object of what a linked worktree holds that was not committed in it."""

import os
from collections.abc import Collection
from typing import NamedTuple

from ccterm.box.commit.agent_objects import TooMuch
from ccterm.box.commit.compare import Comparison, Delta
from ccterm.box.commit.conversions import Conversions
from ccterm.box.commit.forced import except_forced, paths_in_index
from ccterm.box.commit.make import Index
from ccterm.box.commit.survey import Worktree
from ccterm.box.commit.walk import Walk
from ccterm.git.git import Git
from ccterm.git.names import shown
from ccterm.git.patterns import ignored_by
from ccterm.git.rooted import Root
from ccterm.git.tree import Base, read_base

_MOST_BYTES = 1 << 30


class WorktreeChanges(NamedTuple):
    """What a worktree holds. tree: with all of it, None when nothing was changed. left_out: what no commit can hold."""

    tree: str | None
    left_out: list[str]
    notes: list[str]


def changes_of(where: str, worktree: Worktree, git: Git, top: Root, aside: Collection[bytes]) -> WorktreeChanges:
    """Compare a worktree with the commit that it stands on, and write what differs into `git`, a git directory of ours.

    where: the directory. top: the tree whose git directory the worktree belongs to. aside: worktrees inside of it, which have their turn.
    Raises GitError, OSError, TooMany, TooMuch, and ValueError when its commit holds paths that lead out of it.
    """
    assert git.directory
    notes: list[str] = []
    index_path = os.path.abspath(os.path.join(git.directory, "worktree-index"))
    inside = Git(git.directory, work_tree=where, env={"GIT_INDEX_FILE": index_path})
    with Root(where, hostile=True) as root:
        base = read_base(git, worktree.head)
        _require_plain(base)
        forced = paths_in_index(top, worktree.git_directory, git.directory, notes) - base.entries.keys()
        found = Walk(root, base, except_forced(ignored_by(inside), forced), aside).run()
        delta = Comparison(git, root, base, largest=_MOST_BYTES).delta(found)
        with Conversions(git.directory, root, base) as conversions:
            conversions.settle(delta, lfs=False)
        if sum(node.size for node in delta.nodes.values() if node.is_file) > _MOST_BYTES:
            raise TooMuch
        index = Index(inside, root, base)
        odd = {path for path, node in delta.nodes.items() if not node.git_mode}
        index.take(delta, {refusal.path for refusal in delta.refused} | odd)
        tree = index.tree()
        return WorktreeChanges(None if tree == base.tree else tree, _left_out(delta, odd, index), notes + index.notes)


def _require_plain(base: Base) -> None:
    """An agent can write tree objects with any names, and some of these paths are written to below."""
    for path in base.entries:
        if not {b"", b".", b".."}.isdisjoint(path.split(b"/")):
            raise ValueError(f"the commit of a worktree holds the path {shown(path)}")


def _left_out(delta: Delta, odd: Collection[bytes], index: Index) -> list[str]:
    refused = [f"{shown(refusal.path)}, which {refusal.detail}" for refusal in (*delta.refused, *index.unreadable)]
    return refused + [f"{shown(path)}, which is neither a regular file nor a symbolic link" for path in sorted(odd)]
