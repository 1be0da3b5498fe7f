"""The store: one document per run, found by id, number, branch or time, whole after whatever happens to its file."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from ccterm.errors import StateError, UnknownRun
from ccterm.models import Run, RunId, State, now
from ccterm.schema import MIGRATIONS, migrate
from ccterm.store import Store
from tests.support.machine import bound_by_permissions
from tests.support.stored import ids, make

ROOT = Path(__file__).parents[1]
LIST = "import sys; from ccterm.store import *; print(len(Store.open(Path(sys.argv[1]), readonly=True).list()))"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "ccterm.db"


@pytest.fixture
def store(db: Path) -> Iterator[Store]:
    opened = Store.open(db)
    yield opened
    opened.close()


def saved(store: Store, run: Run) -> Run:
    return run.model_copy(update={"number": store.save(run)})


def test_a_saved_run_reads_back_equal(store: Store) -> None:
    run = make(prompt="a “quoted” \U0001f600 prompt\nof two lines")
    assert saved(store, run) == store.get(run.id)


def test_saving_again_replaces(store: Store) -> None:
    run = make()
    run = saved(store, run)
    changed = run.model_copy(update={"state": State.FAILED, "summary": "x"})
    store.save(changed)
    assert store.list() == [changed]


def test_text_that_utf8_cannot_encode_is_still_saved(store: Store) -> None:
    run = make().model_copy(update={"summary": "a\udcffb"})
    store.save(run)
    assert store.get(run.id).summary == "a?b"


def test_a_saved_run_outlives_the_store(store: Store, db: Path) -> None:
    run = saved(store, make())
    store.close()
    again = Store.open(db)
    assert again.get(run.id) == run
    again.close()


def test_the_files_are_private(store: Store, db: Path) -> None:
    store.save(make())
    Store.open(db, readonly=True).close()
    assert sorted(path.name for path in db.parent.iterdir()) == ["ccterm.db", "ccterm.db-shm", "ccterm.db-wal"]
    assert {path.stat().st_mode & 0o777 for path in db.parent.iterdir()} == {0o600}


def test_an_unknown_id_is_unknown(store: Store) -> None:
    with pytest.raises(UnknownRun):
        store.get(RunId("nothing"))


def test_runs_are_listed_oldest_first_and_the_limit_keeps_the_newest(store: Store) -> None:
    runs = [saved(store, make()) for _ in range(5)]
    assert store.list() == runs
    assert store.list(limit=2) == runs[-2:]


def test_runs_are_listed_by_state_and_time(store: Store) -> None:
    old = make("01", state=State.FAILED).model_copy(update={"created": now() - timedelta(days=2)})
    runs = [old, make("02", state=State.FAILED), make("03", state=State.SUCCEEDED)]
    for run in runs:
        store.save(run)
    assert ids(store.list(states=[State.FAILED])) == ["01", "02"]
    assert ids(store.list(states=[State.FAILED, State.SUCCEEDED])) == ["01", "02", "03"]
    assert ids(store.list(since=now() - timedelta(days=1), limit=1)) == ["03"]
    assert ids(store.list(since=old.created)) == ["01", "02", "03"]


def test_unfinished_runs_are_those_that_recovery_must_handle(store: Store) -> None:
    for number, state in enumerate(State):
        store.save(make(f"0{number}", state=state))
    assert {run.state for run in store.unfinished()} == {State.QUEUED, State.RUNNING}


def test_threads_may_share_a_store(store: Store) -> None:
    def work() -> None:
        for _ in range(50):
            run = saved(store, make())
            assert store.get(run.id) == run

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list()) == 200


def read_elsewhere(db: Path, *prefix: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*prefix, sys.executable, "-c", LIST, str(db)], capture_output=True, text=True, timeout=60, check=False)


def test_another_process_reads_beside_the_writer(store: Store, db: Path) -> None:
    store.save(make())
    assert read_elsewhere(db).stdout == "1\n"


def test_readers_see_each_save_and_block_none(store: Store, db: Path) -> None:
    readers = [Store.open(db, readonly=True) for _ in range(5)]
    for number in range(1, 20):
        store.save(make())
        assert [len(reader.list()) for reader in readers] == [number] * 5
    for reader in readers:
        reader.close()


def test_a_reader_needs_no_writer(store: Store, db: Path) -> None:
    store.save(make())
    store.close()
    assert [path.name for path in db.parent.iterdir()] == ["ccterm.db"]
    assert read_elsewhere(db).stdout == "1\n"


def test_a_reader_cannot_write(store: Store, db: Path) -> None:
    reader = Store.open(db, readonly=True)
    with pytest.raises(StateError, match="cannot be opened or written to"):
        reader.save(make())
    reader.close()


def test_a_missing_store_reads_as_empty_and_is_not_created(db: Path) -> None:
    reader = Store.open(db, readonly=True)
    assert reader.list() == []
    assert not db.exists()


def test_a_store_that_is_being_created_reads_as_empty(db: Path) -> None:
    db.touch()
    assert Store.open(db, readonly=True).list() == []


def test_a_reader_that_opened_before_the_writer_sees_what_it_saves(db: Path) -> None:
    reader = Store.open(db, readonly=True)
    assert reader.list() == []
    store = Store.open(db)
    run = saved(store, make())
    assert reader.list() == [run]
    reader.close()
    store.close()


def test_a_reader_that_opened_before_the_writer_cannot_write(db: Path) -> None:
    with pytest.raises(StateError, match="open for reading only"):
        Store.open(db, readonly=True).save(make())
    assert not db.exists()


def test_a_reader_needs_no_write_permission(store: Store, db: Path) -> None:
    store.save(make())
    store.close()
    db.chmod(0o400)
    db.parent.chmod(0o500)
    done = read_elsewhere(db, *bound_by_permissions())
    db.parent.chmod(0o700)
    assert done.stdout == "1\n", done.stderr


def version(db: Path) -> int:
    connection = sqlite3.connect(db)
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def test_a_new_file_has_the_current_version(store: Store, db: Path) -> None:
    assert version(db) == len(MIGRATIONS)


def test_an_older_file_is_migrated_with_its_content(store: Store, db: Path) -> None:
    store.save(make("01"))
    store.close()
    connection = sqlite3.connect(db, isolation_level=None)
    migrate(connection, db, [*MIGRATIONS, lambda c: c.execute("ALTER TABLE runs ADD COLUMN extra TEXT DEFAULT 'new'")])
    assert connection.execute("SELECT id, extra FROM runs").fetchall() == [("01", "new")]
    connection.close()
    assert version(db) == len(MIGRATIONS) + 1


def test_a_migration_that_fails_changes_nothing(db: Path) -> None:
    connection = sqlite3.connect(db, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, db, [*MIGRATIONS, lambda c: c.execute("nonsense")])
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    assert version(db) == 0


@pytest.mark.parametrize("readonly", [False, True])
def test_a_newer_file_is_not_touched(store: Store, db: Path, readonly: bool) -> None:
    store.close()
    connection = sqlite3.connect(db)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError) as caught:
        Store.open(db, readonly=readonly)
    assert str(caught.value) == f"{db} was written by a newer ccterm, so this one does not touch it; update ccterm"
    assert version(db) == 99


def test_a_run_of_an_unknown_shape_is_one_clear_error(store: Store, db: Path) -> None:
    store.save(make())
    connection = sqlite3.connect(db)
    connection.execute("UPDATE runs SET document = '{}'")
    connection.commit()
    connection.close()
    with pytest.raises(StateError, match="holds a run that this version cannot read"):
        store.list()


RUIN: dict[str, Callable[[bytes], bytes]] = {
    "rubbish": lambda _: b"rubbish" * 1000,
    "header": lambda data: b"\xff" * 100 + data[100:],
    "pages": lambda data: data[:4096] + b"\xff" * (len(data) - 4096),
    "truncated": lambda data: data[:5000],
}


@pytest.mark.parametrize("ruin", RUIN)
@pytest.mark.parametrize("readonly", [False, True])
def test_a_damaged_file_is_named_and_left_untouched(store: Store, db: Path, ruin: str, readonly: bool) -> None:
    for _ in range(50):
        store.save(make())
    store.close()
    ruined = RUIN[ruin](db.read_bytes())
    db.write_bytes(ruined)
    with pytest.raises(StateError) as caught:
        Store.open(db, readonly=readonly).list()
    assert f"{db} is damaged" in caught.value.message
    assert f"move {db}*" in caught.value.fix
    assert db.read_bytes()[100:] == ruined[100:]


def test_a_damaged_file_names_the_backup_to_restore(store: Store, db: Path) -> None:
    copy = store.backup(db.parent / "backups", date(2025, 3, 1))
    store.close()
    db.write_bytes(b"rubbish" * 1000)
    with pytest.raises(StateError) as caught:
        Store.open(db)
    assert f"put {copy} in its place" in caught.value.fix


def test_a_directory_in_its_place_is_one_clear_error(db: Path) -> None:
    db.mkdir()
    with pytest.raises(StateError, match="is not a regular file"):
        Store.open(db)


def test_a_backup_is_complete_private_and_made_once_a_day(store: Store, db: Path) -> None:
    run = saved(store, make())
    copy = store.backup(db.parent / "backups", date(2025, 3, 1))
    assert copy is not None
    assert copy.stat().st_mode & 0o777 == 0o600
    assert Store.open(copy, readonly=True).list() == [run]
    assert store.backup(db.parent / "backups", date(2025, 3, 1)) is None


def test_seven_backups_are_kept(store: Store, db: Path) -> None:
    for day in range(1, 10):
        store.backup(db.parent / "backups", date(2025, 3, day))
    assert sorted(path.name for path in (db.parent / "backups").iterdir()) == [f"ccterm-2025-03-0{day}.db" for day in range(3, 10)]


def test_an_interrupted_backup_is_made_again(store: Store, db: Path) -> None:
    (db.parent / "backups").mkdir(mode=0o700)
    (db.parent / "backups" / ".ccterm-2025-03-01.db").write_bytes(b"half")
    assert store.backup(db.parent / "backups", date(2025, 3, 1))
    assert [path.name for path in (db.parent / "backups").iterdir()] == ["ccterm-2025-03-01.db"]
