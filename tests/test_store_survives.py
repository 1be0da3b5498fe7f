"""No saved run is lost: not when its writer is killed, not when the disk is full."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.errors import StateError
from ccterm.models import State
from ccterm.state_dir import Reserve
from ccterm.store import Store
from tests.support.machine import small_disk
from tests.support.stored import ids, make

ROOT = Path(__file__).parents[1]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "ccterm.db"


WRITE = """
import sys
from pathlib import Path
from tests.support.stored import make
from ccterm.store import Store
store = Store.open(Path(sys.argv[1]))
while True:
    run = make()
    store.save(run)
    print(run.id, flush=True)
"""


def kill_while_saving(db: Path, after: int) -> set[str]:
    """Kill a process that saves without a pause; return the ids that it reported as saved."""
    with subprocess.Popen([sys.executable, "-c", WRITE, str(db)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(after)]
        child.kill()
        told += child.stdout.readlines()
    return {line.strip() for line in told if line.endswith("\n")}


def check_nothing_lost(db: Path, told: set[str]) -> None:
    store = Store.open(db)
    assert told <= set(ids(store.list()))
    store.close()
    connection = sqlite3.connect(db)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.first_is_fast
@pytest.mark.parametrize("after", [1, 50, 300])
def test_a_killed_writer_loses_no_saved_run(db: Path, after: int) -> None:
    check_nothing_lost(db, kill_while_saving(db, after))


@pytest.mark.slow
def test_a_writer_killed_very_often_loses_no_saved_run(db: Path, rounds: Callable[[int], int]) -> None:
    told: set[str] = set()
    for number in range(rounds(40)):
        told |= kill_while_saving(db, 1 + number * 7 % 60)
        check_nothing_lost(db, told)


FILL = """
import sys
from pathlib import Path
from tests.test_store_survives import fill
fill(Path(sys.argv[1]))
"""


def fill(disk: Path) -> None:
    """Save runs until the disk is full; then end one. Runs in a process of its own."""
    reserve = Reserve(disk / "reserve", size=256 * 1024)
    assert reserve.keep()
    store = Store.open(disk / "ccterm.db", reserve=reserve)
    first = make("01")
    store.save(first)
    try:
        while True:
            store.save(make(prompt="x" * 10_000))
    except StateError as error:
        print(error)
    store.save(first.model_copy(update={"state": State.FAILED}))
    print(store.get(first.id).state)


def test_the_end_of_a_run_is_saved_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        done = subprocess.run([sys.executable, "-c", FILL, str(disk)], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.stdout.splitlines() == [f"no space left for {disk}/ccterm.db; free some space", "failed"], done.stderr
