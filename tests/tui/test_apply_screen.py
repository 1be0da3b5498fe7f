"""Changes of a testing run come into the working copy after the user's yes, those that were chosen; and can be taken back."""

import pytest

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.models import Run
from tests.tui.acts import awaits_apply
from tests.tui.conftest import Show
from tests.tui.seeing import breathe, sees
from tests.tui.stage import Stage


@pytest.fixture
async def waiting(stage: Stage) -> Run:
    """A run that is done and whose changes wait."""
    return awaits_apply(stage)


async def test_it_gets_room_and_says_what_it_waits_for(show: Show, stage: Stage, waiting: Run) -> None:
    async with show() as pilot:
        await sees(pilot, "waits for your yes", "bring it in", "shop")


async def test_all_changes_are_brought_in_by_two_keys(show: Show, stage: Stage, waiting: Run) -> None:
    async with show() as pilot:
        await sees(pilot, "waits for your yes")
        await pilot.press("a")
        await sees(pilot, "Bring these changes into /home/ann/shop?", "M src/a.py", "D [old].py", "2 files +4 -9")
        await pilot.press("a")
        await sees(pilot, "2 files brought into /home/ann/shop")
        assert ("apply", waiting.id) in stage.orders


async def test_a_file_that_is_not_chosen_stays_out(show: Show, stage: Stage, waiting: Run) -> None:
    async with show() as pilot:
        await sees(pilot, "waits for your yes")
        await pilot.press("a")
        await sees(pilot, "src/a.py")
        await pilot.press("down", "space", "a")
        await sees(pilot, "1 file brought into")
        assert ("apply", waiting.id, "src/a.py") in stage.orders


async def test_escape_changes_nothing(show: Show, stage: Stage, waiting: Run) -> None:
    async with show() as pilot:
        await sees(pilot, "waits for your yes")
        await pilot.press("a")
        await sees(pilot, "src/a.py")
        await pilot.press("escape")
        await breathe(pilot)
        assert not any(order[0] == "apply" for order in stage.orders)


async def test_what_was_brought_in_can_be_taken_back(show: Show, stage: Stage, waiting: Run) -> None:
    async with show() as pilot:
        await sees(pilot, "waits for your yes")
        await pilot.press("a")
        await sees(pilot, "src/a.py")
        await pilot.press("a")
        await sees(pilot, "z takes it back")
        await pilot.press("z")
        await sees(pilot, "/home/ann/shop is as it was")
        assert ("undo", waiting.id) in stage.orders


async def test_a_conflict_is_said_and_nothing_else_happens(show: Show, stage: Stage, waiting: Run) -> None:
    async with show() as pilot:
        await sees(pilot, "waits for your yes")
        await pilot.press("a")
        await sees(pilot, "src/a.py")
        stage.refusal = StepError(Cause.CONFLICT, "src/a.py changed meanwhile", "ccterm diff shows the patch")
        await pilot.press("a")
        await sees(pilot, "src/a.py changed meanwhile")


async def test_it_is_not_counted_as_running(show: Show, stage: Stage, waiting: Run) -> None:
    async with show() as pilot:
        await sees(pilot, "waits for your yes", "0 running")
