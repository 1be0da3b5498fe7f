"""The changes of a testing run are applied after the user has approved and selected them, and can be undone."""

import pytest

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.models import Run
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, settle, wait_for_text
from tests.tui.run_events import offer_changes


@pytest.fixture
async def waiting(service: FakeService) -> Run:
    """A finished run whose changes wait to be applied."""
    return offer_changes(service)


async def test_it_has_a_pane_that_says_what_it_is_waiting_for(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval", "a apply", "shop")


async def test_all_changes_are_applied_by_two_keys(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval")
        await pilot.press("a")
        await wait_for_text(pilot, "Apply these changes to /home/ann/shop?", "M src/a.py", "D [old].py", "2 files +4 -9")
        await pilot.press("a")
        await wait_for_text(pilot, "2 files applied to /home/ann/shop")
        assert ("apply", waiting.id) in service.calls


async def test_a_file_that_is_not_selected_is_not_applied(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval")
        await pilot.press("a")
        await wait_for_text(pilot, "src/a.py")
        await pilot.press("down", "space", "a")
        await wait_for_text(pilot, "1 file applied to")
        assert ("apply", waiting.id, "src/a.py") in service.calls


async def test_escape_changes_nothing(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval")
        await pilot.press("a")
        await wait_for_text(pilot, "src/a.py")
        await pilot.press("escape")
        await settle(pilot)
        assert not any(call[0] == "apply" for call in service.calls)


async def test_applied_changes_can_be_undone(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval")
        await pilot.press("a")
        await wait_for_text(pilot, "src/a.py")
        await pilot.press("a")
        await wait_for_text(pilot, "z undoes it")
        await pilot.press("z")
        await wait_for_text(pilot, "/home/ann/shop is as it was before")
        assert ("undo", waiting.id) in service.calls


async def test_a_conflict_is_reported(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval")
        await pilot.press("a")
        await wait_for_text(pilot, "src/a.py")
        service.refusal = StepError(Cause.CONFLICT, "src/a.py changed meanwhile", "ccterm diff shows the patch")
        await pilot.press("a")
        await wait_for_text(pilot, "src/a.py changed meanwhile")


async def test_it_is_not_counted_as_running(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval", "1 waiting")
        assert "running" not in screen_text(pilot.app)
