"""Copies chosen files from an agent's HOME. The agent filled it, so no link is followed and no special file is opened."""

import contextlib
import fnmatch
import os
import shutil
import stat
from collections.abc import Iterator, Sequence

from ccterm.box.protocol import Keep


def keep_files(home: str, wanted: Sequence[Keep]) -> int:
    """Copy the regular files that match into their directories, flat; return how many."""
    count = 0
    for keep in wanted:
        for directory, name in _matches(home, keep["glob"].split("/")):
            os.makedirs(keep["to"], mode=0o700, exist_ok=True)
            count += _copy(directory, name, os.path.join(keep["to"], name))
    return count


def _matches(home: str, parts: list[str]) -> Iterator[tuple[int, str]]:
    """Yield (descriptor of the directory, name) for each match; the descriptor is closed after use."""
    with contextlib.suppress(OSError):
        top = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield from _below(top, parts)
        finally:
            os.close(top)


def _below(directory: int, parts: list[str]) -> Iterator[tuple[int, str]]:
    for name in fnmatch.filter(sorted(os.listdir(directory)), parts[0]):
        if len(parts) == 1:
            yield directory, name
            continue
        with contextlib.suppress(OSError):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                yield from _below(inner, parts[1:])
            finally:
                os.close(inner)


def _copy(directory: int, name: str, target: str) -> int:
    try:
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return 0
    with os.fdopen(source, "rb") as reading:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return 0
        with open(target, "wb") as writing:
            shutil.copyfileobj(reading, writing)
    return 1
