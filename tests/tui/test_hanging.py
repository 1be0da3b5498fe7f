"""A daemon or an engine that hangs does not block the keys: actions wait, the screen does not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ccterm.draft import BatchFile, Draft
from ccterm.models import CheckResult, ExecutionMode, Run, RunRef, Task
from ccterm.tui.screens.launch import LaunchScreen
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import type_text, wait_for_text
from tests.tui.run_events import start_agent


class Hanging(FakeService):
    """A service that never answers."""

    async def steer(self, run: RunRef, text: str) -> None:
        """Hang."""
        self._called("steer", str(run), text)
        await asyncio.Event().wait()

    async def submit(
        self, drafts: Sequence[Draft], *, max_concurrent: int | None = None, source: BatchFile | None = None, key: str | None = None
    ) -> list[Run]:
        """Hang."""
        self._called("submit")
        await asyncio.Event().wait()
        return []

    async def plan(self, drafts: Sequence[Draft], *, source: BatchFile | None = None) -> list[Task]:
        """Hang."""
        await asyncio.Event().wait()
        return []

    async def checks(
        self, execution_mode: ExecutionMode | None = None, *, repo: str | None = None, branch: str | None = None, here: str | None = None
    ) -> AsyncIterator[CheckResult]:
        """Hang before the first result."""
        await asyncio.Event().wait()
        yield CheckResult(name="x", group="x", status="pass", text="x")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[FakeService]:
    service = Hanging(tmp_path / "service")
    yield service
    await service.close()


async def test_all_keys_work_while_an_action_hangs(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("feature/login"))
    start_agent(service, service.add_run("fix/rounding"))
    async with show() as pilot:
        await wait_for_text(pilot, "feature/login", "fix/rounding")
        await pilot.press("s")
        await type_text(pilot, "look there")
        await pilot.press("enter")
        await pilot.press("2", "enter")
        await wait_for_text(pilot, "fix/rounding", "● agent")
        await pilot.press("escape", "question_mark")
        await wait_for_text(pilot, "This screen")
        await pilot.press("escape", "p")
        await wait_for_text(pilot, "checking…")
        await pilot.press("escape", "n")
        await type_text(pilot, "Add a LICENSE")
        assert isinstance(pilot.app.screen, LaunchScreen)
        assert any(call[0] == "steer" for call in service.calls)


async def test_runs_are_still_shown_while_an_action_hangs(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    async with show() as pilot:
        await pilot.press("s")
        await type_text(pilot, "look there")
        await pilot.press("enter")
        start_agent(service, run, text="I continue anyway.")
        await wait_for_text(pilot, "I continue anyway.")


async def test_a_launch_that_hangs_is_not_made_twice_and_can_be_left(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await pilot.press("ctrl+s", "ctrl+s", "escape")
        await wait_for_text(pilot, "No runs yet")
        assert service.calls == [("submit",)]
