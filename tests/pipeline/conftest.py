"""A remote with a few files, and a service that owns a state directory of its own."""

import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.executors.control import socket_directory
from ccterm.service.protocol import Service
from ccterm.state_dir import StateDir
from tests.conftest import MakeRemote
from tests.pipeline.copies import copy_in_use


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"README.md": "hello\n", "src/a.py": "a = 1\n"})


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state"
    monkeypatch.setenv("CCTERM_STATE_DIR", str(path))
    return path


@pytest.fixture
def state(state_dir: Path) -> StateDir:
    return StateDir(state_dir).prepare()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Make a working copy with an edit, a staged file, an untracked and an ignored one."""
    return copy_in_use(tmp_path / "copy")


@pytest.fixture
def sockets() -> Iterator[Path]:
    directory = socket_directory()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
async def service(state_dir: Path) -> AsyncIterator[Service]:
    async with AgentService.open(state_dir) as opened:
        yield opened


@pytest.fixture
def dying_git(tmp_path: Path) -> str:
    """Return a PATH whose git dies when it makes the commit."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nfor word; do [ "$word" = commit-tree ] && {{ echo "fatal: it died" >&2; exit 128; }}; done\nexec {shutil.which("git")} "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{program.parent}:{os.environ['PATH']}"
