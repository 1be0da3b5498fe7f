"""Digests of directories, by which a step notices that something changed its input since an earlier step made it.

On this machine an agent could reach every box of its run, and those of others.
"""

import hashlib
import os
import stat
from pathlib import Path

_WHOLE = 1 << 20
"""Files up to this size count with their content. In a git directory larger ones are packs, and git checks these by digests of its own."""


def seal(directory: Path) -> str:
    """Return the digest of all names, kinds and contents below a directory. Raises OSError."""
    digest = hashlib.sha256()
    for at, directories, files in os.walk(os.fsencode(directory), onerror=_raise):
        directories.sort()
        for name in sorted([*directories, *files]):
            path = os.path.join(at, name)  # noqa: PTH118 - names are bytes
            facts = os.lstat(path)
            own = _content(path, facts)
            digest.update(b"%d %o %d %s %s" % (len(path), stat.S_IFMT(facts.st_mode), len(own), path[len(os.fsencode(directory)) :], own))
    return digest.hexdigest()


def _content(path: bytes, facts: os.stat_result) -> bytes:
    if stat.S_ISLNK(facts.st_mode):
        return os.readlink(path)  # noqa: PTH115 - as above
    if not stat.S_ISREG(facts.st_mode):
        return b""
    if facts.st_size > _WHOLE:
        return b"%d" % facts.st_size
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_WHOLE + 1)


def _raise(error: OSError) -> None:
    raise error
