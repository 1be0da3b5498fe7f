"""A state directory of its own for each test, and a remote with one file."""

from pathlib import Path

import pytest

from tests.conftest import MakeRemote


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state"
    monkeypatch.setenv("CCTERM_STATE_DIR", str(path))
    return path


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"a.txt": "a\n"})
