"""The record of all runs: one SQLite file that survives kill -9 and power loss, written by the daemon, readable by every process."""

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple, Self, TypedDict, Unpack

from pydantic import ValidationError

from ccterm.causes import Cause
from ccterm.errors import StateError, UnknownRun
from ccterm.machine_errors import machine_error
from ccterm.models import BatchId, Run, RunId, State
from ccterm.schema import connect_to_read, connect_to_write
from ccterm.state_dir import Reserve, make_private_file, private_directory
from ccterm.storage import STORAGE, Storage
from ccterm.values import to_json

_BACKUPS = 7
_BACKUP_CAP = 64 * 1024 * 1024
"""A larger store is not backed up every day."""
_OF_BRANCH = 100
"""How many runs on branches of one name are looked at."""
_SHOWN = 5
"""How many candidates are listed for an ambiguous name."""
_NUMBER = re.compile("#?([1-9][0-9]{0,17})", re.ASCII)
"""How a user writes a run's number; an id may begin with digits too, but with a zero."""
_UNFINISHED = tuple(state for state in State if not state.final)
_SAVE = """
    INSERT INTO runs (id, origin, batch, state, created, remote, branch, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        origin = excluded.origin, batch = excluded.batch, state = excluded.state, created = excluded.created,
        remote = excluded.remote, branch = excluded.branch, document = excluded.document
    RETURNING number
"""


class RunFilter(TypedDict, total=False):
    """Which runs are meant; what is missing or None excludes none."""

    states: Sequence[State]
    since: datetime | None
    """Created then or later."""
    before: int | None
    """With a lower number."""
    after: int | None
    """With a higher number."""
    batch: BatchId | None
    branch: str | None
    limit: int | None
    """Only the newest of those."""


class Submission(NamedTuple):
    """What was submitted under a key of the caller's choice, so that the same order given twice is carried out once."""

    key: str
    digest: str
    """Of what was asked for."""
    batch: BatchId


_Values = Sequence[str | int | None]
_Runs = list[Run]  # the class has a method of that name


class Store:
    """Keeps run documents. Its methods block: call them in a thread; any thread may. All raise StateError."""

    def __init__(
        self, connection: sqlite3.Connection | None, path: Path, reserve: Reserve | None = None, storage: Storage = STORAGE
    ) -> None:
        self._connection = connection
        """None: opened for reading before the file was created."""
        self._path = path
        self._reserve = reserve
        self._storage = storage
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False, reserve: Reserve | None = None, storage: Storage = STORAGE) -> Self:
        """Open the store, creating it when it does not exist; read-only, a missing one is empty.

        reserve: space that is given up so that the end of a run can be saved on a full disk.
        """
        with _mapped(path):
            return cls(connect_to_read(path) if readonly else connect_to_write(path), path, reserve, storage)

    def close(self) -> None:
        """Close the store."""
        with self._lock, _mapped(self._path):
            if self._connection:
                self._connection.close()

    def save(self, run: Run) -> int:
        """Save a run and return its number; it is durable when this returns."""
        row = _row(run)
        with self._lock, _mapped(self._path):
            connection = self._writable()
            try:
                return self._storage.bulk(self._path, lambda: _saved(connection, row))
            except (sqlite3.OperationalError, OSError) as error:
                found = machine_error(error)  # an exceeded quota reads as a failing disk
                if not (found and found.cause is Cause.DISK and run.state.final and self._make_room()):
                    raise
                return self._storage.bulk(self._path, lambda: _saved(connection, row))

    def submit(self, runs: Sequence[Run], submission: Submission | None = None) -> _Runs:
        """Save new runs, with what they were submitted as, all or none, and return them with their numbers; they are durable then."""
        rows = [_row(run) for run in runs]
        with self._lock, _mapped(self._path):
            connection = self._writable()
            numbers = self._storage.bulk(self._path, lambda: _submitted(connection, rows, submission))
        return [run.model_copy(update={"number": number}) for run, number in zip(runs, numbers, strict=True)]

    def submission(self, key: str) -> Submission | None:
        """Return what was submitted under a key, or None."""
        found = self._rows("SELECT digest, batch FROM submissions WHERE key = ?", (key,))
        return Submission(key, str(found[0][0]), BatchId(found[0][1])) if found else None

    def _writable(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StateError(f"{self._path} is open for reading only")
        return self._connection

    def _make_room(self) -> bool:
        return self._reserve is not None and self._reserve.release()

    def get(self, run: RunId) -> Run:
        """Return the run with this id. Raises UnknownRun."""
        if not (found := self._runs("WHERE id = ?", (run,))):
            raise UnknownRun(f"there is no run {run}", "ccterm runs lists them")
        return found[0]

    def find(self, name: str) -> Run:
        """Return the run that a user means: its number, "last", its branch, its id or the beginning of that.

        Of a branch, the last run is meant if all of its runs went on from one another. Raises UnknownRun, listing the candidates.
        """
        found: _Runs = []
        if number := _NUMBER.fullmatch(name):
            found = self._runs("WHERE number = ?", (int(number[1]),))
        elif name == "last":
            found = self._runs("ORDER BY number DESC LIMIT 1")
        if not found and name != "last":
            found = self._on_branch(name) or self._with_id(name)
        if len(found) == 1:
            return found[0]
        raise _unknown(name, found)

    def _on_branch(self, branch: str) -> _Runs:
        """Return the runs on a branch, the newest first; only that one if it goes on with all others."""
        found = self._runs("WHERE branch = ? ORDER BY number DESC LIMIT ?", (branch, _OF_BRANCH))
        one_line = len({run.attempts[:1] or (run.id,) for run in found}) == 1
        return found[:1] if one_line else found

    def _with_id(self, begin: str) -> _Runs:
        """Return the runs whose id begins like this, the newest first; only that one whose id it is."""
        if not begin.isalnum():
            return []
        within = "id >= ? AND id < ? || '~'"
        values = (begin, begin, begin.upper(), begin.upper(), begin, _SHOWN + 1)
        found = self._runs(f"WHERE ({within}) OR ({within}) ORDER BY id = ? DESC, number DESC LIMIT ?", values)
        return found[:1] if found and found[0].id == begin else found

    def list(self, **which: Unpack[RunFilter]) -> _Runs:
        """Return the runs that fit, the oldest first."""
        clauses: dict[str, _Values] = {"1": ()}
        if states := which.get("states"):
            clauses[f"state IN ({', '.join('?' * len(states))})"] = states
        if since := which.get("since"):
            clauses["created >= ?"] = (_milliseconds(since),)
        compared: dict[str, str | int | None] = {
            "number < ?": which.get("before"),
            "number > ?": which.get("after"),
            "batch = ?": which.get("batch"),
            "branch = ?": which.get("branch"),
        }
        clauses |= {clause: (value,) for clause, value in compared.items() if value is not None}
        values = [value for group in clauses.values() for value in group]
        newest = self._runs(f"WHERE {' AND '.join(clauses)} ORDER BY number DESC LIMIT ?", (*values, _all_or(which.get("limit"))))
        return newest[::-1]

    def of_branch(self, remote_key: str, branch: str) -> _Runs:
        """Return the last runs on a branch of a remote, the newest first."""
        found = self._runs("WHERE branch = ? ORDER BY number DESC LIMIT ?", (branch, _OF_BRANCH))
        return [run for run in found if run.task.remote_key == remote_key]

    def unfinished(self) -> _Runs:
        """Return the runs that have not ended, the oldest first."""
        return self._runs("WHERE state IN (?, ?) ORDER BY number", _UNFINISHED)

    def backup(self, directory: Path, day: date) -> Path | None:
        """Copy the store once a day, keeping the last seven copies. Returns None when today's copy exists or the store is too large."""
        target = directory / f"{self._path.stem}-{day.isoformat()}.db"
        unfinished = directory / f".{target.name}"
        with _mapped(self._path):
            if target.exists() or self._path.stat().st_size > _BACKUP_CAP:
                return None
            private_directory(directory)
            unfinished.unlink(missing_ok=True)
            make_private_file(unfinished)
            self._copy(unfinished)
            unfinished.rename(target)
            for old in _backups(directory, self._path)[:-_BACKUPS]:
                old.unlink()
        return target

    def _copy(self, target: Path) -> None:
        """Copy over a separate connection, so that nobody waits meanwhile."""
        if connection := connect_to_read(self._path):
            with closing(connection):
                connection.execute("VACUUM INTO ?", (str(target),))

    def _runs(self, where: str, values: _Values = ()) -> _Runs:
        return [self._run(int(number), document) for number, document in self._rows(f"SELECT number, document FROM runs {where}", values)]

    def _run(self, number: int, document: str) -> Run:
        try:
            return Run.model_validate_json(document).model_copy(update={"number": number})
        except ValidationError as error:
            message = f"{self._path} holds a run that this version cannot read: {error.errors()[0]['msg']}"
            raise StateError(message, "use the version of ccterm that wrote it") from error

    def _rows(self, query: str, values: _Values) -> Sequence[tuple[int | str, str]]:
        with self._lock, _mapped(self._path):
            self._connection = self._connection or connect_to_read(self._path)
            return self._connection.execute(query, values).fetchall() if self._connection else ()


def _row(run: Run) -> _Values:
    origin = run.attempts[0] if run.attempts else run.id
    task = run.task
    return (run.id, origin, run.batch, run.state, _milliseconds(run.created), task.remote, task.branch, to_json(run).decode())


def _saved(connection: sqlite3.Connection, row: _Values) -> int:
    ((number,),) = connection.execute(_SAVE, row).fetchall()
    return int(number)


def _submitted(connection: sqlite3.Connection, rows: Sequence[_Values], submission: Submission | None) -> Sequence[int]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if submission:
            connection.execute("INSERT INTO submissions (key, digest, batch) VALUES (?, ?, ?)", submission)
        numbers = [_saved(connection, row) for row in rows]
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return numbers


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _all_or(limit: int | None) -> int:
    return -1 if limit is None else limit


def _backups(directory: Path, path: Path) -> Sequence[Path]:
    return sorted(directory.glob(f"{path.stem}-*.db"))


def _unknown(name: str, found: Sequence[Run]) -> UnknownRun:
    if not found:
        known = "there is no run yet" if name == "last" else f"there is no run {name!r}"
        return UnknownRun(known, "ccterm runs lists them; RUN is a number, a branch, an id or its beginning, or last")
    shown = ", ".join(f"{run.label} ({run.task.target})" for run in found[:_SHOWN])
    return UnknownRun(f"{name} may mean {shown}{', …' if len(found) > _SHOWN else ''}", "type the number of one")


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StateErrors with a fix."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _state_error(path, error, getattr(error, "sqlite_errorcode", 0) & 0xFF) from error
    except OSError as error:
        raise StateError(f"{error.filename or path} cannot be used: {error.strerror}", "check the disk that it is on") from error


def _state_error(path: Path, error: sqlite3.Error, code: int) -> StateError:
    match code:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            copies = _backups(path.with_name("backups"), path)
            instead = f", and put {copies[-1]} in its place" if copies else ""
            return StateError(f"{path} is damaged ({error}) and was left untouched", f"move {path}* to another directory{instead}")
        case sqlite3.SQLITE_FULL:
            return StateError(f"no space left for {path}", "free some space")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StateError(f"{path} is locked by another program", "stop the program that has it open")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StateError(f"{path} cannot be opened or written to ({error})", f"check the permissions of {path.parent}")
        case _:
            return StateError(f"{path} cannot be used ({error})", "check the disk that it is on")
