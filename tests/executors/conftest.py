"""Fixtures for the executors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli
from tests.support.fake_engine import Fake, make_base


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for guest bundles, which are compiled once for all tests."""
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture
def state(tmp_path: Path, bundles: Path) -> Path:
    """Return a fresh state directory."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lib").symlink_to(bundles)
    return tmp_path / "state"


@pytest.fixture(scope="session")
def base(engine_cache: Path) -> Path:
    """Return the tarball of a complete image, which is probed once for all tests."""
    return make_base(engine_cache / "base.tar")


@pytest.fixture
def fake(tmp_path: Path, base: Path) -> Iterator[Fake]:
    """Return a stand-in engine for one test."""
    with FakeEngine() as engine:
        yield Fake(engine, make_cli(tmp_path / "bin"), base)
