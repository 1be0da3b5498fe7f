"""Lays a commit over a tree in which something was set up: what the commit holds is there, what it deleted is gone, the rest stays."""

import contextlib
import os

from ccterm.inside.git import Git

_GITLINK = b"160000"


def lay_over(clean: str, tree: str, commit: str, base: str | None) -> None:
    """Make the tree's tracked files those of `commit`; `base` is what the tree was checked out from. Raises GitError, OSError."""
    index = os.path.abspath(os.path.join(os.environ.get("TMPDIR", "."), f"overlay-{os.getpid()}.index"))
    git = Git(clean, work_tree=tree, env={"GIT_INDEX_FILE": index})
    try:
        paths = _wanted(git, commit, base)
        if paths:
            git.run("checkout", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", commit, stdin=b"\0".join(paths))
        for path in _deleted(git, commit, base):
            _remove(os.fsencode(tree), path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(index)


def _wanted(git: Git, commit: str, base: str | None) -> list[bytes]:
    """Return the commit's files, but not those whose real content is elsewhere and did not change: they are in the tree already."""
    entries = [entry.partition(b"\t") for entry in git.fields("ls-tree", "-r", "-z", commit)]
    paths = [path for facts, _, path in entries if not facts.startswith(_GITLINK)]
    attributes = git.fields("check-attr", "--stdin", "-z", "filter", stdin=b"".join(path + b"\0" for path in paths))
    elsewhere = {path for path, _, value in zip(*[iter(attributes)] * 3, strict=True) if value == b"lfs"}
    if not elsewhere or base is None:
        return paths
    changed = set(git.fields("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, commit))
    return [path for path in paths if path not in elsewhere or path in changed]


def _deleted(git: Git, commit: str, base: str | None) -> list[bytes]:
    if base is None:
        return []
    return git.fields("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=D", base, commit)


def _remove(tree: bytes, path: bytes) -> None:
    """Remove a file below the tree, never through a link, and the directories that it leaves empty."""
    parts = path.split(b"/")
    above = [os.path.join(tree, *parts[:depth]) for depth in range(1, len(parts))]
    if any(os.path.islink(directory) for directory in above):
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        os.unlink(os.path.join(tree, path))
    with contextlib.suppress(OSError):
        for directory in reversed(above):
            os.rmdir(directory)
