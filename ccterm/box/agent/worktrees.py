"""Brings worktrees that an agent made outside of its tree into the tree's git directory: of its box, only the tree is kept.

The agent's processes are gone. What it left is only data, and whoever runs this may be root: nothing is reached but by descriptors, no
link is followed on the way in or out, and no file of anybody else is read.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from ccterm.box.commit.survey import GIT, MOVED, Worktree, survey, worktree_outside
from ccterm.git.rooted import Root

_MOST_FILES = 100_000
_MOST_BYTES = 1 << 30
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Full(Exception):
    """There is more than is brought along."""


def bring_worktrees(tree: str) -> list[str]:
    """Copy what is in worktrees outside of the tree; return in sentences what was too much. Raises OSError only for the tree itself."""
    told = []
    with Root(tree) as root:
        for worktree in survey(root).worktrees:
            where = worktree_outside(worktree, tree) if worktree.path is None else None
            if where is None:
                continue
            try:
                _bring(root, worktree, where)
            except _Full:
                told.append(f"the worktree at {where} holds too much to be kept")
            except OSError as error:
                told.append(f"the worktree at {where} cannot be kept: {error.strerror}")
    return told


def _bring(root: Root, worktree: Worktree, where: str) -> None:
    """Copy one worktree."""
    moved = GIT + b"/" + MOVED
    if root.stat(moved) is None:
        os.mkdir(MOVED, 0o755, dir_fd=root.directory(GIT))
    target = moved + b"/" + worktree.name
    os.mkdir(worktree.name, 0o755, dir_fd=root.directory(moved))
    files, size = _MOST_FILES, _MOST_BYTES
    with Root(where) as source:
        owner = os.fstat(source.directory(b"")).st_uid
        for path, found in chain(_walk(source, owner), _last(source)):
            above, _, name = path.rpartition(b"/")
            directory = root.directory(target + b"/" + above if above else target)
            files, size = files - 1, size - found.st_size
            if files < 0 or size < 0:
                raise _Full
            if stat.S_ISDIR(found.st_mode):
                os.mkdir(name, 0o755, dir_fd=directory)
            elif stat.S_ISLNK(found.st_mode):
                os.symlink(source.link(path), name, dir_fd=directory)
            else:
                _copy(source, path, os.open(name, _NEW, 0o755 if found.st_mode & stat.S_IXUSR else 0o644, dir_fd=directory))


def _last(source: Root) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield the file that says what it is: without it, nobody takes half a worktree for one."""
    if found := source.stat(b".git"):
        yield b".git", found


def _walk(source: Root, owner: int) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield directories before what is in them, files and links; only what belongs to the owner of the worktree, without its `.git`."""
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        with suppress(OSError):
            for name in sorted(source.list(directory)):
                path = directory + b"/" + name if directory else name
                found = source.stat(path)
                if found is None or found.st_uid != owner or path == b".git":
                    continue
                if stat.S_ISDIR(found.st_mode):
                    yield path, found
                    waiting.append(path)
                elif stat.S_ISLNK(found.st_mode) or stat.S_ISREG(found.st_mode):
                    yield path, found


def _copy(source: Root, path: bytes, target: int) -> None:
    with os.fdopen(target, "wb") as writing, os.fdopen(source.open(path), "rb") as reading:
        while block := reading.read(1 << 20):
            writing.write(block)
