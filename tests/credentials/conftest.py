"""Programs and settings for tests of credentials; the logins of this machine are never seen."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.settings import Settings
from tests.credentials.login_documents import login

MakeProgram = Callable[[str, str], Path]


@pytest.fixture
def programs(tmp_path: Path) -> MakeProgram:
    """Make shell scripts in a directory that comes first on the PATH of `env`."""
    directory = tmp_path / "bin"
    directory.mkdir()

    def make(name: str, body: str) -> Path:
        path = directory / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def env(tmp_path: Path, isolation: Path) -> dict[str, str]:
    no_keyring = {"PYTHON_KEYRING_BACKEND": os.environ["PYTHON_KEYRING_BACKEND"]}
    return {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(isolation), **no_keyring}


def settings(**tables: object) -> Settings:
    return Settings.model_validate(tables)


@pytest.fixture
def own(isolation: Path) -> Path:
    """Return the file of the user's own login."""
    path = isolation / ".claude" / ".credentials.json"
    path.parent.mkdir()
    path.write_bytes(login())
    return path


@pytest.fixture
def copy(isolation: Path) -> Path:
    """Return where the copy goes."""
    return isolation / ".claude-container" / ".credentials.json"
