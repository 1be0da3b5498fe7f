"""Leaving: nothing ends unasked, and every answer does what it says."""

from tests.support.waiting import until
from tests.tui.acts import delivers, works
from tests.tui.conftest import Show
from tests.tui.seeing import asked, breathe, sees, sees_no, the_app
from tests.tui.stage import Stage


async def test_without_live_runs_q_leaves_at_once(show: Show, stage: Stage) -> None:
    delivers(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "pushed")
        await pilot.press("q")
        await until(lambda: not pilot.app.is_running)


async def test_an_owner_of_its_own_may_keep_the_runs(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show(outlives=True) as pilot:
        await sees(pilot, "▌1")
        await pilot.press("q")
        await sees(pilot, "1 run is live. Quit?", "leave them running")
        await pilot.press("l")
        await until(lambda: not pilot.app.is_running)
    assert stage.orders == []


async def test_runs_of_this_process_cannot_be_left(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("q")
        await sees(pilot, "Quit?")
        await sees_no(pilot, "leave them running")
        await pilot.press("escape", "q", "l")
        await breathe(pilot)
        assert pilot.app.is_running


async def test_stop_stops_all_and_keeps_their_work(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    works(stage, stage.enter("two"))
    async with show() as pilot:
        await sees(pilot, "▌1", "two")
        await pilot.press("q", "s")
        await asked(stage, "cancel_all", "keep")
        await until(lambda: not pilot.app.is_running)


async def test_wait_leaves_when_the_last_run_has_ended(show: Show, stage: Stage) -> None:
    run = works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("q", "w")
        await sees(pilot, "waiting for 1 run to end")
        delivers(stage, run)
        await until(lambda: not pilot.app.is_running)


async def test_waiting_can_be_broken_off(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("q", "w", "escape")
        await sees_no(pilot, "waiting for 1 run")
        assert pilot.app.is_running


async def test_ctrl_c_asks_and_ends_no_run(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("ctrl+c")
        await sees(pilot, "Quit?")
        await pilot.press("escape")
        await breathe(pilot)
        assert stage.orders == []
        assert pilot.app.is_running


async def test_when_one_left_is_remembered(show: Show, stage: Stage) -> None:
    async with show() as pilot:
        await sees(pilot, "No runs yet")
        app = the_app(pilot)
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.memory.now.left == stage.clock()
