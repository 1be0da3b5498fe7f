"""The local executor fulfils the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm.executors.base import Executor
from ccterm.executors.local.executor import LocalExecutor
from tests.executors.contract import ExecutorContract


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    async def executor(self, state: Path) -> AsyncIterator[Executor]:
        async with LocalExecutor(state) as executor:
            yield executor
