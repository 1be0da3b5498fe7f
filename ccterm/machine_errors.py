"""What of this machine an error comes from, whoever noticed it: a disk that is full or fails, or too few file descriptors."""

import errno
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from ccterm.causes import Cause
from ccterm.storage import disk_reason, disk_words

_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_SQLITE = {sqlite3.SQLITE_FULL: "full", sqlite3.SQLITE_IOERR: "io"}
_BOX_REASONS = {"disk": "full", "disk_io": "io"}
"""Reasons that the programs of boxes report."""
_FIXES = {
    "full": "free some space, then try again",
    "io": "check the disk and its file system, then try again",
    "descriptors": "raise the limit with ulimit -n, then try again",
}


class MachineError(NamedTuple):
    """How a run ends that such an error ended, and what else can be done about it."""

    cause: Cause
    reason: str

    @property
    def fix(self) -> str:
        """What the user can do about it."""
        return _FIXES[self.reason]


def machine_error(error: BaseException) -> MachineError | None:
    """Return what of this machine an error, or what caused it, comes from; None when it is something else."""
    for each in _with_causes(error):
        if isinstance(each, OSError):
            if reason := disk_reason(each):
                return MachineError(Cause.DISK, reason)
            if each.errno in _DESCRIPTORS:
                return MachineError(Cause.ENGINE, "descriptors")
        if isinstance(each, sqlite3.Error) and (reason := _SQLITE.get(getattr(each, "sqlite_errorcode", 0) & 0xFF, "")):
            return MachineError(Cause.DISK, reason)
    return None


def reported_error(reason: str, detail: str) -> MachineError | None:
    """Return the same from what a program reports. detail: its message, or "" where the words of others must not count."""
    found = _BOX_REASONS.get(reason) or disk_words(detail)
    return MachineError(Cause.DISK, found) if found else None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen = set[int]()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting.append(each.__cause__)
        if isinstance(each, BaseExceptionGroup):
            waiting += reversed(each.exceptions)
