"""Fixtures for the executors."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def libs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for copies of the step programs: compiling them once is enough."""
    return tmp_path_factory.mktemp("libs")


@pytest.fixture
def state(tmp_path: Path, libs: Path) -> Path:
    """Return a fresh state directory."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lib").symlink_to(libs)
    return tmp_path / "state"
