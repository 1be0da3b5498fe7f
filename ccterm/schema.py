"""The store's tables, their migrations, and how connections are opened."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from ccterm.causes import FORMER_NAMES
from ccterm.errors import StateError
from ccterm.state_dir import make_private_file

_BUSY_SECONDS = 5.0


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            origin TEXT NOT NULL,
            batch TEXT,
            state TEXT NOT NULL,
            created INTEGER NOT NULL,
            remote TEXT,
            branch TEXT,
            document TEXT NOT NULL
        )"""
    )
    for name, columns in {"state": "state", "origin": "origin", "batch": "batch", "created": "created", "branch": "remote, branch"}.items():
        connection.execute(f"CREATE INDEX runs_{name} ON runs ({columns})")


def _rename(connection: sqlite3.Connection) -> None:
    """Rename harvest to commit, publish to push, and `published` with `proven` to `pushed` with `verified`."""
    for number, document in connection.execute("SELECT number, document FROM runs").fetchall():
        connection.execute("UPDATE runs SET document = ? WHERE number = ?", (_renamed(document), number))


def _renamed(document: str) -> str:
    run = json.loads(document)
    for step in run.get("steps", ()):
        step["name"] = FORMER_NAMES.get(step["name"], step["name"])
    for field in ("cause", "reason"):
        run[field] = FORMER_NAMES.get(run.get(field), run.get(field))
    if "published" in run:
        run["pushed"] = run.pop("published")
        if run["pushed"]:
            run["pushed"]["verified"] = run["pushed"].pop("proven")
    return json.dumps(run, ensure_ascii=False, separators=(",", ":"))


def _remember_submissions(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE submissions (key TEXT PRIMARY KEY, digest TEXT NOT NULL, batch TEXT NOT NULL)")


Migration = Callable[[sqlite3.Connection], object]
MIGRATIONS: Sequence[Migration] = (_create, _rename, _remember_submissions)
"""The function at index n migrates a file from version n to n + 1; `user_version` holds the version."""


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open the file for its only writer; create it, or migrate it to the current version. Raises StateError and sqlite3.Error."""
    make_private_file(path)
    connection = _connect(str(path))
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Migrate a file to the newest version, all or nothing. Raises StateError when the file is newer than that."""
    if _version(connection) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version > len(migrations):
            raise _newer(path)
        for step in migrations[version:]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def connect_to_read(path: Path) -> sqlite3.Connection | None:
    """Open the file for reading; None while it does not exist, or is just being created. Raises StateError and sqlite3.Error."""
    if not path.exists():
        return None
    try:
        connection, version = _open_version(path, "mode=ro")
    except sqlite3.OperationalError as error:
        barred = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not barred or path.with_name(f"{path.name}-wal").exists():
            raise
        connection, version = _open_version(path, "immutable=1")  # nobody writes, and a read-only directory takes no -shm file
    if version == len(MIGRATIONS):
        return connection
    connection.close()
    if version == 0:
        return None
    raise _newer(path) if version > len(MIGRATIONS) else StateError(f"{path} is in use by an older ccterm", "stop that one first")


def _open_version(path: Path, how: str) -> tuple[sqlite3.Connection, int]:
    connection = _connect(f"file:{quote(str(path))}?{how}")
    try:
        return connection, _version(connection)
    except BaseException:
        connection.close()
        raise


def _connect(name: str) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=name.startswith("file:"))


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _newer(path: Path) -> StateError:
    return StateError(f"{path} was written by a newer ccterm, so this one does not touch it", "update ccterm")
