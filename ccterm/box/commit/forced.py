"""Finds the files that an agent put into its index with `git add -f`: they are its work, whatever .gitignore says of them."""

import contextlib
import os
from collections.abc import Collection

from ccterm.git.git import Git, GitError
from ccterm.git.patterns import Ignored
from ccterm.git.rooted import Root
from ccterm.git.tree import parents

_LARGEST = 512 << 20
"""Bytes of an index that are read at most: a repository of a million files has less than a third of it."""


def paths_in_index(root: Root, git_directory: bytes, clean: str, notes: list[str]) -> set[bytes]:
    """Return the paths in the index of an agent's git directory, which is read as data.

    clean: a git directory of ours, in which git reads a copy of the index. What prevents it becomes a note. Raises OSError when the copy
    cannot be written.
    """
    try:
        content = root.read(git_directory + b"/index", _LARGEST)
    except OSError:
        return set()  # none, or none that git would read
    copy = os.path.abspath(os.path.join(clean, "agent-index"))
    try:
        with open(copy, "wb") as file:
            file.write(content)
        return set(Git(clean, env={"GIT_INDEX_FILE": copy}).fields("ls-files", "-z"))
    except GitError as error:
        notes.append(f"the agent's index cannot be read ({error.detail}): ignored files that it added with -f are left out")
        return set()
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(copy)


def except_forced(ignored: Ignored, forced: Collection[bytes]) -> Ignored:
    """Return a function that tells which paths are ignored, but for these and the directories that hold them."""
    if not forced:
        return ignored
    wanted = {above for path in forced for above in parents(path)} | set(forced)
    return lambda paths: ignored(paths) - wanted
