"""The Dagger executor fulfils the contract on a real engine, named by CCTERM_ENGINE, CCTERM_DAGGER_CLI and CCTERM_BASE_IMAGE."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm.executors.base import Executor
from ccterm.executors.dagger.executor import DaggerExecutor
from tests.executors.contract import ExecutorContract, ServiceContract
from tests.support.engine import NAMED, engine_options, require_engine

require_engine()
pytestmark = pytest.mark.engine


@pytest.fixture
def base() -> Path:
    """An image that the engine can run."""
    return Path(NAMED["CCTERM_BASE_IMAGE"])


class TestDaggerEngine(ServiceContract, ExecutorContract):
    @pytest.fixture
    async def executor(self, bundles: Path, engine_cache: Path) -> AsyncIterator[Executor]:
        async with DaggerExecutor(engine_options(), cache=engine_cache, bundles=bundles) as executor:
            yield executor
