"""A daemon of another installation: an idle one makes way, one that is in use stays and is used."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

import ccterm
from ccterm import AgentService
from ccterm.daemon.machine import ThisMachine
from ccterm.daemon.spawn import attached_or_started
from ccterm.models import State
from ccterm.service.local import LocalService
from ccterm.service.lock import DaemonLock
from ccterm.service.remote import attached
from ccterm.state_dir import StateDir
from tests.conftest import MakeRemote
from tests.support.core import draft, script
from tests.support.daemons import daemon_ended
from tests.support.waiting import until


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


@asynccontextmanager
async def other_daemon(state: StateDir, tmp_path: Path) -> AsyncIterator[int]:
    """A daemon whose code is at another place: the same files, by links."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ccterm").symlink_to(Path(ccterm.__file__).parent)
    environ = os.environ | {"CCTERM_STATE_DIR": str(state.path), "PYTHONPATH": str(elsewhere)}
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "ccterm", "daemon", env=environ)
    try:
        await until(state.socket_address.exists)
        holder = DaemonLock(state).holder()
        assert holder is not None
        assert not holder.like_this
        yield daemon.pid
    finally:
        with suppress(ProcessLookupError):  # it has made way
            daemon.terminate()
        await daemon.wait()
        await daemon_ended(state)


async def test_an_idle_one_makes_way_for_a_daemon_of_ours(state: StateDir, tmp_path: Path) -> None:
    async with other_daemon(state, tmp_path) as other, attached_or_started(state, os.environ):
        holder = DaemonLock(state).holder()
        assert holder is not None
        assert (holder.like_this, holder.pid == other) == (True, False)


@pytest.mark.slow
async def test_an_idle_one_makes_way_for_a_command_that_carries_its_runs_out_itself(state: StateDir, tmp_path: Path) -> None:
    async with other_daemon(state, tmp_path), AgentService.open(state.path) as service:
        assert isinstance(service, LocalService)


@pytest.mark.slow
async def test_one_that_is_in_use_stays_and_takes_our_runs(state: StateDir, tmp_path: Path, make_remote: MakeRemote) -> None:
    go, remote = tmp_path / "go", make_remote()
    waits = script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"})
    async with other_daemon(state, tmp_path) as other:
        with attached(state, DaemonLock(state), ThisMachine(state, os.environ)) as service:  # as a process of that installation does
            [first] = await service.submit([draft(remote, "x", waits)])
        async with attached_or_started(state, os.environ) as later:
            holder = DaemonLock(state).holder()
            assert holder is not None
            assert holder.pid == other
            go.touch()
            assert (await later.wait(first.id)).state is State.SUCCEEDED
