"""A daemon that dies under the terminal: it is said at once, its runs are marked, and another one ends their record."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm.daemon.spawn import attached_or_started
from ccterm.service.lock import DaemonLock
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.run import daemon_watched
from tests.conftest import MakeRemote
from tests.support.core import draft, script
from tests.support.daemons import daemon_ended
from tests.support.waiting import until
from tests.tui.on_screen import wait_for_text


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateDir]:
    made = StateDir(tmp_path / "state")
    yield made
    await daemon_ended(made)


async def test_a_daemon_that_dies_is_noticed_and_another_one_ends_its_runs(state: StateDir, make_remote: MakeRemote) -> None:
    remote = make_remote({"a.txt": "a\n"})
    app = CctermApp.provided_with(
        Settings.model_validate({"mode": "local", "agent": "scripted"}), memory=Memory(None), detached=True, checks=False
    )
    async with (
        app.run_test(size=(120, 32), notifications=True) as pilot,
        attached_or_started(state, os.environ) as service,
        daemon_watched(app, service),
    ):
        app.connected(service)
        await service.submit([draft(remote, "x", script({"say": "I'm at it."}, {"sleep": 60}))])
        app.find_new_runs()
        await wait_for_text(pilot, "I'm at it.")
        await pilot.press("s", *"later", "enter")
        await wait_for_text(pilot, "queued for the agent: later")
        holder = DaemonLock(state).holder()
        assert holder is not None
        os.kill(holder.pid, signal.SIGKILL)
        await until(lambda: app.without_daemon, limit=10)
        await wait_for_text(pilot, "The daemon has ended", "1 run may be lost")
        await wait_for_text(pilot, "failed (lost)", "lost", "not delivered: later (the daemon died first)")
        await until(lambda: not app.without_daemon)
