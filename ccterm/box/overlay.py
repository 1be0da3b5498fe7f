"""Makes the files of a tree those of a commit that its own git directory does not know."""

import contextlib
import os

from ccterm.git.diff import PLAIN, raw_changes
from ccterm.git.git import Git
from ccterm.git.patterns import attributes_of
from ccterm.git.tree import GITLINK, read_tree


def lay_over(clean: str, tree: str, commit: str, base: str | None, *, changed_only: bool = False) -> None:
    """Make the tree's tracked files those of `commit`; `base` is what the tree was checked out from. Raises GitError, OSError.

    changed_only: the tree is as it was checked out, so that only what differs between the two is written.
    """
    index = os.path.abspath(os.path.join(os.environ.get("TMPDIR", "."), f"overlay-{os.getpid()}.index"))
    git = Git(clean, work_tree=tree, env={"GIT_INDEX_FILE": index})
    try:
        paths = _changed(git, commit, base) if changed_only and base else _wanted(git, commit, base)
        if paths:
            git.run("checkout", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", commit, stdin=b"\0".join(paths))
        for path in _deleted(git, commit, base):
            _remove(os.fsencode(tree), path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(index)


def _wanted(git: Git, commit: str, base: str | None) -> list[bytes]:
    """Return the commit's files, except unchanged LFS files, whose real content is in the tree already."""
    paths = [path for path, entry in read_tree(git, commit).items() if entry.mode != GITLINK]
    lfs = {path for path, _, value in attributes_of(git, ["filter"], paths) if value == b"lfs"}
    if not lfs or base is None:
        return paths
    changed = set(git.fields("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, commit))
    return [path for path in paths if path not in lfs or path in changed]


def _changed(git: Git, commit: str, base: str) -> list[bytes]:
    """Return the commit's files that differ from the base."""
    return [change.path for change in raw_changes(git, "diff-tree", *PLAIN, base, commit) if change.new_mode not in (0, GITLINK)]


def _deleted(git: Git, commit: str, base: str | None) -> list[bytes]:
    if base is None:
        return []
    return git.fields("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=D", base, commit)


def _remove(tree: bytes, path: bytes) -> None:
    """Remove a file below the tree, never through a link, and the directories that are empty then."""
    parts = path.split(b"/")
    above = [os.path.join(tree, *parts[:depth]) for depth in range(1, len(parts))]
    if any(os.path.islink(directory) for directory in above):
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        os.unlink(os.path.join(tree, path))
    with contextlib.suppress(OSError):
        for directory in reversed(above):
            os.rmdir(directory)
