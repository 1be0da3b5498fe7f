"""A server over a remote with one file and a working copy of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.served import Served, served
from tests.conftest import MakeRemote
from tests.support.git import git


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"a.txt": "a\n"})


@pytest.fixture
def working_copy(remote: Path, tmp_path: Path) -> Path:
    path = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(remote), str(path))
    return path


@pytest.fixture
async def api(tmp_path: Path, remote: Path, working_copy: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, remote, working_copy) as server:
        yield server
