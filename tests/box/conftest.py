"""Fixtures for the step programs that run a child."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.executors.guest_bundle import guest_bundle
from tests.box.boxed import Running, supervise_request

Supervise = Callable[..., Running]


@pytest.fixture(scope="session")
def lib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BOX_LIB."""
    return guest_bundle(tmp_path_factory.mktemp("lib"))


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Return a box with a tree and a home."""
    for name in ("tree", "home"):
        (tmp_path / "box" / name).mkdir(parents=True)
    return tmp_path / "box"


@pytest.fixture
def supervise(lib: Path, box: Path) -> Supervise:
    """Start the supervisor of a scripted agent: supervise(script, **fields of the request)."""

    def start(prompt: object, **fields: object) -> Running:
        return Running(lib, box, "supervise", supervise_request(prompt, **fields))

    return start
