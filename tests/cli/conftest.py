"""A state directory of its own for each test, a remote with one file, and terminals that are ended with the test."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ccterm.state_dir import StateDir
from tests.conftest import MakeRemote
from tests.support.daemons import end_daemon
from tests.support.terminal import Screen


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state"
    monkeypatch.setenv("CCTERM_STATE_DIR", str(path))
    return path


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"a.txt": "a\n"})


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Screen]]:
    """Terminals that a test starts; whatever it leaves is ended."""
    screens: list[Screen] = []
    yield screens
    for screen in screens:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(screen.pid, signal.SIGKILL)
            os.waitpid(screen.pid, 0)
        screen.close()
    end_daemon(StateDir(tmp_path / "state"))
