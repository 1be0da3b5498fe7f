"""Quitting: no run is stopped without asking, and every answer does what it says."""

from ccterm.tui.pane import EventPane
from ccterm.tui.screens.fleet import FleetScreen
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, settle, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import push, start_agent, wait_for_input


async def test_without_active_runs_q_quits_at_once(show: Show, service: FakeService) -> None:
    push(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "pushed")
        await pilot.press("q")
        await until(lambda: not pilot.app.is_running)
    assert service.calls == []


async def test_the_daemon_can_carry_on_with_the_runs(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show(detached=True) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("q")
        await wait_for_text(pilot, "1 run is still active. Quit?", "leave them running")
        await pilot.press("l")
        await until(lambda: not pilot.app.is_running)
    assert service.calls == []


async def test_runs_in_this_process_cannot_be_left_running(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("q")
        await wait_for_text(pilot, "Quit?")
        await wait_until_gone(pilot, "leave them running")
        await pilot.press("escape", "q", "l")
        await settle(pilot)
        assert pilot.app.is_running


async def test_stop_cancels_all_and_keeps_their_work(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    start_agent(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1", "two")
        await pilot.press("q", "s")
        await wait_for_call(service, "cancel_all", "keep")
        await until(lambda: not pilot.app.is_running)


async def test_a_demo_promises_to_keep_nothing(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show((40, 16), keeps=False) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("q")
        await wait_for_text(pilot, "Quit?", "all its work", "removed then", "s stop them")
        await wait_until_gone(pilot, "keep their work")


async def test_wait_quits_when_the_last_run_has_finished(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("q", "w")
        await wait_for_text(pilot, "waiting for 1 run to finish", "quits by itself")
        wait_for_input(service, run)
        await wait_for_text(pilot, "one itself waits for you")
        push(service, run)
        await until(lambda: not pilot.app.is_running)


async def test_runs_that_wait_for_the_user_can_be_let_finish(show: Show, service: FakeService) -> None:
    run = wait_for_input(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("q", "w")
        await wait_for_text(pilot, "one itself waits for you", "h let finish")
        await pilot.press("h")
        await wait_for_call(service, "release", run.id)


async def test_waiting_can_be_cancelled(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("q", "w", "escape")
        await wait_until_gone(pilot, "waiting for 1 run")
        assert pilot.app.is_running


async def test_ctrl_c_asks_and_ends_no_run(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("ctrl+c")
        await wait_for_text(pilot, "Quit?")
        await pilot.press("escape")
        await settle(pilot)
        assert service.calls == []
        assert pilot.app.is_running


async def test_the_time_of_quitting_is_remembered(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "No runs yet")
        app = as_ccterm(pilot)
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.memory.now.left == service.clock()


async def test_a_run_that_appears_while_the_app_closes_is_no_error(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "No runs yet")
        app = as_ccterm(pilot)
        assert isinstance(app.screen, FleetScreen)
        app.runs.add(start_agent(service, service.add_run("late")))
        app.exit()
        await app.screen.rearrange()
        await until(lambda: not app.is_running)


async def test_a_key_that_is_pressed_while_the_app_closes_is_no_error(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        pane = pilot.app.screen.query_one(EventPane)
        pilot.app.exit()
        await pane.action_search()
        await until(lambda: not pilot.app.is_running)
