"""The lock that makes one process the daemon of a state directory; it lives and dies with that process."""

import asyncio
import fcntl
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from ccterm import __version__
from ccterm.errors import StateError
from ccterm.models import now
from ccterm.processes import ProcessMark
from ccterm.state_dir import StateDir, private_file
from ccterm.storage import write_fix

INSTALLATION = str(Path(__file__).parent.parent)
"""Where the code of this process is."""
PASSING_SECONDS = 2.0
"""How long a lock whose holder is dead is waited for."""


class DaemonRecord(ProcessMark):
    """What the daemon writes into its lock file."""

    version: str
    since: datetime
    installation: str = ""
    """Where its code is; "" = not said, as by the first version."""

    @property
    def like_this(self) -> bool:
        """Whether it runs the same code as this process."""
        return (self.version, self.installation) == (__version__, INSTALLATION)

    @property
    def shown(self) -> str:
        """What it is, for people."""
        return f"ccterm {self.version}{f' from {self.installation}' if self.installation not in ('', INSTALLATION) else ''} (process {self.pid})"


class DaemonLock:
    """A flock on the state directory's lock file, taken without waiting. Child processes do not inherit it; kill -9 frees it."""

    def __init__(self, state: StateDir) -> None:
        self._path = state.daemon_lock
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Become the daemon. Returns False when another process is. Raises StateError when the file cannot be used."""
        while self._descriptor is None:
            descriptor = private_file(self._path)
            try:
                if not _lock(descriptor, str(self._path)):
                    return False
                if self._is_current(descriptor):
                    self._write_record(descriptor)
                    self._descriptor, descriptor = descriptor, -1
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
        return True

    async def acquire(self) -> bool:
        """Become the daemon. Returns False when another process is, or may be. Raises StateError.

        A daemon that was killed while it started a program leaves its lock to that for a moment: until the program has replaced it.
        """
        end = time.monotonic() + PASSING_SECONDS
        while not self.try_acquire():
            if self.holder() or time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True

    def release(self) -> None:
        """Stop being the daemon."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> DaemonRecord | None:
        """Return the daemon's record, or None when no daemon runs or one is just starting. Takes no lock, so any process may ask."""
        try:
            record = DaemonRecord.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return None
        return record if record.alive else None

    def is_other(self) -> bool:
        """Whether a daemon runs that is of another version or installation than this process."""
        holder = self.holder()
        return holder is not None and not holder.like_this

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is_current(self, descriptor: int) -> bool:
        """Whether the path still names the file that was locked: it may have been replaced in between."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _write_record(self, descriptor: int) -> None:
        mark = ProcessMark.of(os.getpid())
        assert mark is not None
        record = DaemonRecord(**mark.model_dump(), version=__version__, since=now(), installation=INSTALLATION)
        data = record.model_dump_json().encode() + b"\n"
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, data, 0)
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}", write_fix(error, self._path)) from error


def _lock(descriptor: int, path: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StateError(f"{path} cannot be locked: {error.strerror}", "put the state directory on a local disk") from error
    return True
