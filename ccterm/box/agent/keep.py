"""Copies chosen files from an agent's HOME. The agent filled it and the box, so no link is followed and no special file is opened."""

import contextlib
import fnmatch
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ccterm.git.rooted import Root, is_link_error

if TYPE_CHECKING:
    from ccterm.box.protocol import Keep


def keep_files(home: str, wanted: "Sequence[Keep]") -> int:
    """Copy the regular files that match into their directories, flat; return how many."""
    try:
        root = Root(home)
    except OSError:
        return 0
    with root:
        found = [(path, keep["to"]) for keep in wanted for path in _matches(root, keep["glob"].split("/"))]
        return sum(_copy(root, path, to) for path, to in found)


def read_first(home: str, wanted: "Sequence[Keep]") -> bytes:
    """Return the content of the first regular file that matches, b"" when none does."""
    with contextlib.suppress(OSError), Root(home) as root:
        for keep in wanted:
            for path in _matches(root, keep["glob"].split("/")):
                with os.fdopen(root.open(path), "rb") as file:
                    return file.read()
    return b""


def _matches(root: Root, parts: Sequence[str], above: bytes = b"") -> Iterator[bytes]:
    """Yield the paths that match a glob, part by part."""
    with contextlib.suppress(OSError):
        for name in fnmatch.filter(sorted(map(os.fsdecode, root.list(above))), parts[0]):
            path = os.path.join(above, os.fsencode(name))
            if len(parts) == 1:
                yield path
            else:
                yield from _matches(root, parts[1:], path)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _copy(root: Root, path: bytes, to: str) -> int:
    try:
        source = root.open(path)
    except OSError:
        return 0
    with os.fdopen(source, "rb") as reading:
        try:
            os.makedirs(to, mode=0o700, exist_ok=True)
            with Root(to, hostile=True) as target:
                descriptor = os.open(os.path.basename(path), _NEW, 0o600, dir_fd=target.directory(b""))
        except OSError as error:
            if is_link_error(error) or isinstance(error, FileExistsError):
                return 0  # the agent put something in its place
            raise
        with os.fdopen(descriptor, "wb") as writing:
            shutil.copyfileobj(reading, writing)
    return 1
