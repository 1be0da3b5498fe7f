"""The state directory: everything that outlives a process, private to its user from the moment it is created."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ccterm.errors import StateError, UnknownRun
from ccterm.storage import STORAGE, Storage, write_fix

if TYPE_CHECKING:  # the terminal's first frame does without the models
    from ccterm.models import RunId

RESERVE_BYTES = 8 * 1024 * 1024
LOG = "ccterm.log"
_COUNTS_AS_EMPTY = {LOG, "lost+found"}
"""Our own log may be opened before anything else; a new file system, mounted as a volume, is not empty either."""


def settings_path() -> Path:
    """Return the path of the user's own settings file."""
    from platformdirs import user_config_path  # deferred: costs start-up time

    return user_config_path("ccterm") / "config.toml"


def private_directory(path: Path) -> Path:
    """Create a directory that only this user can enter, with missing parents, or check the existing one.

    One that others may read is closed to them. Raises StateError, naming the path, for a symbolic link, a directory that belongs
    to another user or is writable by others, and when the system refuses.
    """
    try:
        if not path.parent.exists():
            private_directory(path.parent)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        info = path.lstat()
        _refuse_strange(path, info)
        if stat.S_IMODE(info.st_mode) != 0o700:  # readable by others, or an umask took our own bits
            path.chmod(0o700)
    except OSError as error:
        raise _refused(path, "cannot be used", error) from error
    return path


def _refuse_strange(path: Path, info: os.stat_result) -> None:
    if stat.S_ISLNK(info.st_mode):
        raise StateError(f"{path} is a symbolic link", "name the directory itself, or remove the link")
    if not stat.S_ISDIR(info.st_mode):
        raise StateError(f"{path} is not a directory", "move it away")
    if info.st_uid != os.geteuid():
        raise StateError(f"{path} belongs to another user", "set CCTERM_STATE_DIR to a directory of your own")
    if info.st_mode & 0o022:
        raise StateError(f"{path} is writable by others", f"chmod 700 {path}")


def private_file(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a regular file that only this user can read, 0600 from its creation; returns its descriptor. Raises StateError."""
    try:
        descriptor = os.open(
            path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600
        )  # NONBLOCK: a planted pipe must not block us
    except OSError as error:
        raise _refused(path, "is a symbolic link" if path.is_symlink() else "cannot be opened", error) from error
    info = os.fstat(descriptor)
    if stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid():
        if stat.S_IMODE(info.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
        return descriptor
    os.close(descriptor)
    raise StateError(f"{path} is not a regular file of this user", "move it away")


def make_private_file(path: Path) -> None:
    """Create an empty file that only this user can read, or check the existing one without opening it. Raises StateError.

    Opening and closing it would drop the locks that SQLite holds on it in this process.
    """
    if not os.path.lexists(path):
        os.close(private_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        return
    info = path.lstat()
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        raise StateError(f"{path} is not a regular file of this user", "move it away")
    if info.st_mode & 0o177:
        path.chmod(0o600)


def write_private(path: Path, data: bytes, storage: Storage = STORAGE) -> None:
    """Replace a file's content atomically and durably. Raises StateError."""
    try:
        storage.replace(path, data)
    except OSError as error:
        raise _refused(path, "cannot be written", error) from error


def _refused(path: Path, what: str, error: OSError) -> StateError:
    return StateError(f"{path} {what}: {error.strerror}", f"{write_fix(error, path)}, or set CCTERM_STATE_DIR to a writable directory")


class Reserve:
    """A file that reserves space, to be released so that the last records of runs fit on a full disk."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def keep(self) -> bool:
        """Take the space unless it is taken already. Returns False when there is no room for it."""
        with suppress(OSError):
            if self._path.lstat().st_size >= self._size:
                return True
        block = os.urandom(64 * 1024)  # incompressible: some file systems compress
        try:
            write_private(self._path, block * (self._size // len(block)))
        except StateError:
            return False
        return True

    def release(self) -> bool:
        """Release the space. Returns False when none was taken."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


class StateDir:
    """The paths in a state directory; touches the disk only in `prepare`."""

    def __init__(self, path: Path, storage: Storage | None = None) -> None:
        try:
            self.path = path.expanduser().absolute()
        except FileNotFoundError as error:
            raise StateError(
                f"the state directory {path} is relative, and the current directory no longer exists", "give a full path"
            ) from error
        self.storage = storage or STORAGE
        """What is written in it, and must not be lost, is written with this."""
        self.db = self.path / "ccterm.db"
        self.backups = self.path / "backups"
        self.runs = self.path / "runs"
        self.salvages = self.path / "salvage"
        self.mirrors = self.path / "mirrors"
        self.journal = self.path / "journal"
        self.snapshots = self.path / "snapshots"
        """Snapshots of working copies, kept between testing runs."""
        self.locks = self.path / "locks"
        # both keep the names that the first version gave them: an old process and a new one must exclude and find each other
        self.daemon_lock = self.path / "owner.lock"
        self.socket_address = self.path / "owner.socket"
        """A file of one line: the path of the daemon's socket, which must be short and so lies elsewhere."""
        self.server_lock, self.server_token = self.path / "serve.lock", self.path / "serve.token"
        self.server_socket, self.audit_log = self.path / "ccterm.sock", self.path / "audit.ndjson"
        """Of `ccterm serve`."""
        self.reserve = Reserve(self.path / "reserve")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Return the directory that CCTERM_STATE_DIR names, else this user's own."""
        if named := environ.get("CCTERM_STATE_DIR"):
            return cls(Path(named))
        from platformdirs import user_state_path  # deferred: costs start-up time

        return cls(user_state_path("ccterm"))

    def run(self, run: "RunId") -> Path:
        """Return the directory of one run's record."""
        return self._of(self.runs, run)

    def boxes(self, run: "RunId") -> Path:
        """Return the directory of a run's local boxes."""
        return self.run(run) / "boxes"

    def work(self, run: "RunId") -> Path:
        """Return the directory that a run's commit is collected in to be judged."""
        return self.run(run) / "work"

    def checkpoint(self, run: "RunId") -> Path:
        """Return the directory of a run's last checkpoint."""
        return self.run(run) / "checkpoint"

    def live_patch(self, run: "RunId") -> Path:
        """Where the patch of what a running agent has changed is put, masked, when somebody asks for it."""
        return self.run(run) / "live.patch"

    def snapshot(self, run: "RunId") -> Path:
        """Return the directory of the snapshot that a testing run started from."""
        return self.run(run) / "snapshot"

    def applied(self, run: "RunId") -> Path:
        """Return the journal of what a run changed in a working copy."""
        return self._of(self.journal, run)

    def salvage(self, run: "RunId") -> Path:
        """Return the directory that a run's undelivered work is kept in."""
        return self._of(self.salvages, run)

    def _of(self, parent: Path, run: "RunId") -> Path:
        if not run.isalnum():  # it becomes a path
            raise UnknownRun(f"{run!r} is not the id of a run", "ccterm runs lists them")
        return parent / run

    def prepare(self) -> Self:
        """Create the directory, private and writable, or check the existing one. Raises StateError with the fix."""
        self._refuse_foreign_content()
        for place in (self.path, self.runs, self.salvages, self.mirrors, self.journal):
            private_directory(place)
            if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
                raise StateError(f"{place} is not writable", f"chmod u+rwx {place}, or set CCTERM_STATE_DIR to another directory")
        return self

    def _refuse_foreign_content(self) -> None:
        """Refuse a directory that serves another purpose, such as a home directory, before it is closed to others."""
        try:
            names = {entry.name for entry in os.scandir(self.path)} - _COUNTS_AS_EMPTY
            shared = bool(self.path.lstat().st_mode & 0o077)
        except OSError:
            return  # it does not exist yet, or private_directory says what is wrong
        if shared and names and not names & {self.db.name, self.runs.name, self.daemon_lock.name}:
            raise StateError(f"{self.path} contains other files and is open to others", "set CCTERM_STATE_DIR to an empty directory")
