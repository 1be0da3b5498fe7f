"""An owner, or an engine behind it, that hangs leaves the keys alive: what is asked of it waits, the screen does not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ccterm.draft import Draft
from ccterm.models import CheckResult, ExecutionMode, RunId, Task
from ccterm.tui.screens.launch import LaunchScreen
from tests.tui.acts import works
from tests.tui.conftest import Show
from tests.tui.seeing import sees, typed
from tests.tui.stage import Stage


class Hanging(Stage):
    """A service that never answers an order."""

    async def steer(self, run: RunId, text: str) -> None:
        """Hang."""
        self._ordered("steer", run, text)
        await asyncio.Event().wait()

    async def plan(self, drafts: Sequence[Draft]) -> list[Task]:
        """Hang."""
        await asyncio.Event().wait()
        return []

    async def checks(self, mode: ExecutionMode) -> AsyncIterator[CheckResult]:
        """Hang before the first answer."""
        await asyncio.Event().wait()
        yield CheckResult(name="x", group="x", status="pass", text="x")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Hanging(tmp_path / "stage")
    yield stage
    await stage.close()


async def test_all_keys_work_while_an_order_hangs(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("feature/login"))
    works(stage, stage.enter("fix/rounding"))
    async with show() as pilot:
        await sees(pilot, "feature/login", "fix/rounding")
        await pilot.press("s")
        await typed(pilot, "look there")
        await pilot.press("enter")
        await pilot.press("2", "enter")
        await sees(pilot, "fix/rounding", "● agent")
        await pilot.press("escape", "question_mark")
        await sees(pilot, "Everywhere")
        await pilot.press("escape", "p")
        await sees(pilot, "Copy fix")
        await pilot.press("escape", "n")
        await typed(pilot, "Add a LICENSE")
        assert isinstance(pilot.app.screen, LaunchScreen)
        assert any(order[0] == "steer" for order in stage.orders)


async def test_what_runs_meanwhile_is_still_shown(show: Show, stage: Stage) -> None:
    run = works(stage, stage.enter("feature/login"))
    async with show() as pilot:
        await pilot.press("s")
        await typed(pilot, "look there")
        await pilot.press("enter")
        works(stage, run, said="I go on all the same.")
        await sees(pilot, "I go on all the same.")
