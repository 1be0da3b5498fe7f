"""The lock that makes one process the owner of a state directory; it lives and dies with that process."""

import fcntl
import os
from datetime import datetime
from typing import Self

from pydantic import ValidationError

from ccterm.errors import StateError
from ccterm.models import now
from ccterm.processes import ProcessMark
from ccterm.state_dir import StateDir, private_file


class DaemonRecord(ProcessMark):
    """What the owner wrote into its lock."""

    version: str
    since: datetime


class DaemonLock:
    """An flock on owner.lock, never waited for. A child process does not inherit it, and kill -9 frees it."""

    def __init__(self, state: StateDir, *, version: str = "") -> None:
        self._path = state.owner_lock
        self._version = version
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Become the owner. Returns False when another process is. Raises StateError when the file cannot be used."""
        while self._descriptor is None:
            descriptor = private_file(self._path)
            try:
                if not _lock(descriptor, str(self._path)):
                    return False
                if self._is(descriptor):
                    self._sign(descriptor)
                    self._descriptor, descriptor = descriptor, -1
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
        return True

    def release(self) -> None:
        """Cease to be the owner."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> DaemonRecord | None:
        """Return who the owner is, or None when there is none, or it is just becoming one. Any process may ask: nothing is locked for it."""
        try:
            record = DaemonRecord.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return None
        return record if record.alive else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is(self, descriptor: int) -> bool:
        """Whether the path still names the file that was locked, and not one that somebody put in its place meanwhile."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _sign(self, descriptor: int) -> None:
        mark = ProcessMark.of(os.getpid())
        assert mark is not None
        record = DaemonRecord(**mark.model_dump(), version=self._version, since=now())
        data = record.model_dump_json().encode() + b"\n"
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, data, 0)
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}", "free some space") from error


def _lock(descriptor: int, path: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StateError(f"{path} cannot be locked: {error.strerror}", "put the state directory on a local disk") from error
    return True
