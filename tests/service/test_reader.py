"""A command that only reads does without a daemon, unless the last one died in the middle of something."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ccterm.daemon import open_record
from ccterm.models import Run, RunId, State, Task, new_id, now
from ccterm.service.lock import DaemonLock
from ccterm.service.protocol import Service
from ccterm.service.reader import RecordReader, needs_recovery
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.values import Sync
from ccterm.workspace.apply.journal import UNDO, Journal, Phase


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


def keep(place: StateDir, **fields: object) -> Run:
    run = Run.model_validate({"id": new_id(), "task": Task(prompt="p", repo="/repo"), "state": State.SUCCEEDED, "created": now(), **fields})
    with closing(Store.open(place.db)) as store:
        return run.model_copy(update={"number": store.save(run)})


def note_apply(state: StateDir, run: RunId, phase: Phase, *, suffix: str = "") -> None:
    place = state.applied(run).with_name(run + suffix)
    place.mkdir()
    Journal(root="/copy", stage=".ccterm-1", phase=phase, ops=(), backups=()).write(place)


async def test_a_state_directory_without_any_run_is_read_as_empty(state: StateDir) -> None:
    async with open_record(state.path) as record:
        assert await record.runs() == []
    assert not state.db.exists()


async def test_ended_runs_are_read_without_becoming_the_daemon(state: StateDir) -> None:
    run = keep(state)
    async with open_record(state.path) as record:
        assert isinstance(record, RecordReader)
        assert not isinstance(record, Service)
        assert await record.find("last") == run
        assert DaemonLock(state).holder() is None


async def test_a_run_whose_daemon_died_is_recovered_first(state: StateDir) -> None:
    run = keep(state, state=State.RUNNING)
    async with open_record(state.path) as record:
        assert (await record.find(run.id)).cause == "lost"


async def test_a_run_under_a_living_daemon_is_read_as_it_is(state: StateDir) -> None:
    run = keep(state, state=State.RUNNING)
    with DaemonLock(state) as lock:
        assert lock.try_acquire()
        async with open_record(state.path) as record:
            assert await record.runs() == [run]


@pytest.mark.parametrize(
    ("phase", "suffix", "synced", "rests"),
    [
        pytest.param(Phase.DONE, "", Sync(files=1), True, id="applied"),
        pytest.param(Phase.UNDONE, "", Sync(files=1, undone=True), True, id="undone"),
        pytest.param(Phase.APPLYING, "", None, False, id="apply-half-way"),
        pytest.param(Phase.DONE, UNDO, Sync(files=1), False, id="undo-half-way"),
        pytest.param(Phase.DONE, "", None, False, id="applied-but-not-recorded"),
    ],
)
def test_an_apply_needs_no_recovery_once_it_is_complete_and_recorded(
    state: StateDir, phase: Phase, suffix: str, synced: Sync | None, rests: bool
) -> None:
    note_apply(state, keep(state, synced=synced).id, phase, suffix=suffix)
    assert needs_recovery(state) is not rests


def test_a_journal_that_is_just_being_written_is_left_alone(state: StateDir) -> None:
    unfinished = state.applied(keep(state).id)
    unfinished.mkdir()
    assert not needs_recovery(state)
    assert unfinished.is_dir()


def test_a_store_that_cannot_be_read_is_left_to_a_daemon(state: StateDir) -> None:
    keep(state)
    with closing(sqlite3.connect(state.db)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert needs_recovery(state)
