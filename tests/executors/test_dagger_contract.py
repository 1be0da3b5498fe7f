"""The Dagger executor keeps the contract, on a stand-in for the engine: see tests/dagger_engine for what that cannot show."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm.executors.base import Executor
from ccterm.executors.dagger.executor import DaggerExecutor
from tests.executors.contract import ExecutorContract
from tests.support.fake_engine import Fake


class TestDaggerExecutor(ExecutorContract):
    @pytest.fixture
    async def executor(self, fake: Fake, engine_cache: Path, bundles: Path) -> AsyncIterator[Executor]:
        async with DaggerExecutor(fake.options(), cache=engine_cache, bundles=bundles) as executor:
            yield executor
