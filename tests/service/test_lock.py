import asyncio
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm import __version__
from ccterm.errors import StateError
from ccterm.processes import boot_id
from ccterm.service.lock import PASSING_SECONDS, DaemonLock
from ccterm.state_dir import StateDir, write_private
from tests.support.waiting import wait_until

HOLD = """
import subprocess, sys
from pathlib import Path
from ccterm.service.lock import DaemonLock
from ccterm.state_dir import StateDir
lock = DaemonLock(StateDir(Path(sys.argv[1])))
acquired = lock.try_acquire()
child = subprocess.Popen(["sleep", "60"], close_fds=False) if "child" in sys.argv else None
print(int(acquired), child.pid if child else 0, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


@pytest.fixture
def lock(state: StateDir) -> Iterator[DaemonLock]:
    with DaemonLock(state) as lock:
        yield lock


@pytest.fixture
def other(state: StateDir) -> Iterator["subprocess.Popen[str]"]:
    """Another process that is the daemon."""
    with hold(state) as child:
        assert told(child) == [1, 0]
        yield child
        child.kill()


def hold(state: StateDir, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", HOLD, str(state.path), *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def told(child: "subprocess.Popen[str]") -> list[int]:
    assert child.stdout is not None
    return [int(number) for number in child.stdout.readline().split()]


def test_the_first_process_becomes_the_daemon(lock: DaemonLock) -> None:
    assert lock.try_acquire()
    assert lock.try_acquire(), "it keeps the lock"


def test_there_is_only_one_daemon(lock: DaemonLock, other: "subprocess.Popen[str]") -> None:
    assert not lock.try_acquire()


def test_two_locks_of_one_process_exclude_each_other(state: StateDir, lock: DaemonLock) -> None:
    assert lock.try_acquire()
    assert not DaemonLock(state).try_acquire()


def test_other_processes_can_identify_the_daemon(lock: DaemonLock, other: "subprocess.Popen[str]") -> None:
    holder = lock.holder()
    assert holder is not None
    assert (holder.pid, holder.version, holder.boot) == (other.pid, __version__, boot_id())


def test_asking_for_the_daemon_does_not_become_it(state: StateDir, lock: DaemonLock) -> None:
    assert lock.holder() is None
    assert not state.daemon_lock.exists()


def test_a_killed_daemon_no_longer_counts(lock: DaemonLock, other: "subprocess.Popen[str]") -> None:
    other.kill()
    wait_until(lambda: lock.holder() is None)
    assert lock.try_acquire()


def test_a_child_of_the_daemon_does_not_hold_the_lock(state: StateDir, lock: DaemonLock) -> None:
    with hold(state, "child") as daemon:
        _, child = told(daemon)
        daemon.kill()
        daemon.wait()
        assert lock.try_acquire()
        os.kill(child, 9)


def test_a_released_lock_can_be_taken(state: StateDir, lock: DaemonLock) -> None:
    lock.try_acquire()
    lock.release()
    assert lock.holder() is None
    assert DaemonLock(state).try_acquire()


def test_a_record_with_a_reused_pid_is_ignored(lock: DaemonLock, state: StateDir) -> None:
    lock.try_acquire()
    holder = lock.holder()
    assert holder is not None
    write_private(state.daemon_lock, holder.model_copy(update={"started": "1"}).model_dump_json().encode())
    assert lock.holder() is None


def test_a_record_of_an_earlier_boot_is_ignored(lock: DaemonLock, state: StateDir) -> None:
    lock.try_acquire()
    holder = lock.holder()
    assert holder is not None
    write_private(state.daemon_lock, holder.model_copy(update={"boot": "another"}).model_dump_json().encode())
    assert lock.holder() is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"pid": 1}'])
def test_a_malformed_record_is_ignored(lock: DaemonLock, state: StateDir, content: bytes) -> None:
    write_private(state.daemon_lock, content)
    assert lock.holder() is None
    assert lock.try_acquire()
    assert lock.holder() is not None


def test_a_planted_symlink_is_refused_by_name(lock: DaemonLock, state: StateDir) -> None:
    state.daemon_lock.symlink_to(state.path / "elsewhere")
    with pytest.raises(StateError, match=f"{state.daemon_lock} is a symbolic link"):
        lock.try_acquire()


def test_one_of_many_racing_processes_wins(state: StateDir) -> None:
    racers = [hold(state) for _ in range(8)]
    try:
        assert sorted(told(racer)[0] for racer in racers) == [0] * 7 + [1]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


async def test_the_lock_of_a_daemon_that_died_while_it_started_a_program_is_waited_for(state: StateDir, lock: DaemonLock) -> None:
    with hold(state) as child:
        assert told(child) == [1, 0]
        inherited = os.open(state.daemon_lock, os.O_RDWR)  # stands for the program that is not there yet
        child.kill()
        child.wait()
    fcntl.flock(inherited, fcntl.LOCK_EX)
    asyncio.get_running_loop().call_later(0.1, os.close, inherited)
    assert await lock.acquire()


async def test_the_lock_of_a_living_daemon_is_not_waited_for(lock: DaemonLock, other: "subprocess.Popen[str]") -> None:
    begun = time.monotonic()
    assert not await lock.acquire()
    assert time.monotonic() - begun < PASSING_SECONDS
