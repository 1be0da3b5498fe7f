"""The Dagger executor fulfils the contract, on a stand-in engine (see tests/dagger_engine for its limits)."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ccterm.executors.base import Executor
from ccterm.executors.dagger.executor import DaggerExecutor
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli
from tests.executors.contract import ExecutorContract
from tests.support.fake_engine import Fake


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[Fake]:
    """Return one engine for all tests of the contract; each test opens its own session."""
    with FakeEngine() as engine:
        yield Fake(engine, make_cli(tmp_path_factory.mktemp("bin")), base)


class TestDaggerExecutor(ExecutorContract):
    @pytest.fixture
    async def executor(self, fake: Fake, engine_cache: Path, bundles: Path) -> AsyncIterator[Executor]:
        async with DaggerExecutor(fake.options(), cache=engine_cache, bundles=bundles) as executor:
            yield executor
