"""A remote with a few files, and a service that owns a state directory of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.service.protocol import Service
from tests.conftest import MakeRemote


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"README.md": "hello\n", "src/a.py": "a = 1\n"})


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state"
    monkeypatch.setenv("CCTERM_STATE_DIR", str(path))
    return path


@pytest.fixture
async def service(state_dir: Path) -> AsyncIterator[Service]:
    async with AgentService.open(state_dir) as opened:
        yield opened
