"""The changes of a testing run are applied after the user has approved and selected them, and can be undone."""

from collections.abc import AsyncIterator

import pytest
from textual.pilot import Pilot

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


@pytest.fixture
async def dialog(show: Show, waiting: Run) -> AsyncIterator[Pilot[None]]:
    """The question what of it is to be applied."""
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval")
        await pilot.press("a")
        await wait_for_text(pilot, "Apply these changes to /home/ann/shop?", "M src/a.py", "D [old].py", "2 files +4 -9")
        yield pilot


async def test_it_has_a_pane_that_says_what_it_is_waiting_for(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval", "a apply", "shop")


@pytest.mark.parametrize(
    ("keys", "said", "paths"),
    [("a", "2 files applied to /home/ann/shop", ()), ("down space a", "1 file applied to", ("src/a.py",))],
    ids=["all", "selected"],
)
async def test_what_is_selected_is_applied(
    dialog: Pilot[None], service: FakeService, waiting: Run, keys: str, said: str, paths: tuple[str, ...]
) -> None:
    await dialog.press(*keys.split())
    await wait_for_text(dialog, said)
    assert ("apply", waiting.id, *paths) in service.calls


async def test_escape_changes_nothing(dialog: Pilot[None], service: FakeService) -> None:
    await dialog.press("escape")
    await settle(dialog)
    assert not any(call[0] == "apply" for call in service.calls)


async def test_applied_changes_can_be_undone(dialog: Pilot[None], service: FakeService, waiting: Run) -> None:
    await dialog.press("a")
    await wait_for_text(dialog, "z undoes it")
    await dialog.press("z")
    await wait_for_text(dialog, "/home/ann/shop is as it was before")
    assert ("undo", waiting.id) in service.calls


async def test_a_conflict_is_reported(dialog: Pilot[None], service: FakeService) -> None:
    service.refusal = StepError(Cause.CONFLICT, "src/a.py changed meanwhile", "ccterm diff shows the patch")
    await dialog.press("a")
    await wait_for_text(dialog, "src/a.py changed meanwhile")


async def test_it_is_not_counted_as_running(show: Show, service: FakeService, waiting: Run) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "waiting for approval", "1 waiting")
        assert "running" not in screen_text(pilot.app)
