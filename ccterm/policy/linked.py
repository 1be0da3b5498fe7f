"""Finds the other names of files that are about to be written in place, and says which of them must not change with them.

Names outside of the working copy and its git directory cannot be found.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ccterm.git.names import is_dotgit, shown
from ccterm.policy.protected import allowed, is_protected
from ccterm.workspace.content import FileId, file_id
from ccterm.workspace.obeyed import obeyed_paths
from ccterm.workspace.repository import Repository


@dataclass(frozen=True)
class LinkGuard:
    """Refuses to write what git or other tools obey, by another name of it. allow: the paths and globs that the user allowed."""

    repository: Callable[[], Repository]
    environ: Mapping[str, str]
    allow: Collection[str]

    def __call__(self, files: Mapping[FileId, bytes], changed: Collection[bytes]) -> str:
        """Return why files must not be written in place, "" if they may. files: file -> the path that changes it. Raises UsageError and OSError."""
        repository = self.repository()
        names = [(path, files[file]) for file, path in names_of(repository, files) if path not in changed]
        by_git = [(name, path) for name, path in names if name.startswith(b"/") or any(map(is_dotgit, name.split(b"/")))]
        if by_git:
            return _sentence(*by_git[0], "is git's own")
        obeyed = set(obeyed_paths(repository, self.environ, [name for name, _ in names]))
        for name, path in names:
            text = os.fsdecode(name)
            if (name in obeyed or is_protected(text)) and not allowed(text, self.allow):
                return _sentence(name, path, "tools obey without asking")
        return ""


def _sentence(name: bytes, path: bytes, why: str) -> str:
    return f"{shown(path)} is by a hard link the same file as {shown(name)}, which {why}"


def names_of(repository: Repository, files: Collection[FileId]) -> Iterator[tuple[FileId, bytes]]:
    """Yield the names that files have: relative to the working copy, or absolute if in a git directory elsewhere. Raises OSError."""
    numbers = {inode for _, inode in files}
    elsewhere = [each for each in {repository.git_dir, repository.common_dir} if not each.is_relative_to(repository.root)]
    for top in (repository.root, *elsewhere):
        for entry in _entries(top):
            if entry.inode() in numbers and (found := file_id(entry.stat(follow_symlinks=False))) in files:
                path = os.fsencode(entry.path)
                yield found, os.path.relpath(path, os.fsencode(top)) if top == repository.root else path


def _entries(top: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below a directory that is not one; what this user cannot look into is left out."""
    left = [str(top)]
    while left:
        try:
            with os.scandir(left.pop()) as found:
                entries = list(found)
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left.append(entry.path)
            else:
                yield entry
