"""History, diff, help and form follow what happens while they are open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Unpack

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from ccterm.errors import StateError
from ccterm.models import Run
from ccterm.settings import Settings
from ccterm.store import RunFilter
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.screens.history import HistoryScreen
from ccterm.tui.screens.preflight import PreflightScreen
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import all_told, as_ccterm, settle, type_text, wait_for_text, wait_until_gone
from tests.tui.run_events import fail, push, start_agent

pytestmark = pytest.mark.slow  # one screen of all is compared with one that is opened now in the fast tier, see test_never_stale


async def test_a_run_of_the_history_shows_what_was_done_with_it_there(show: Show, service: FakeService) -> None:
    run = fail(service, service.add_run("one"))
    async with show() as pilot:
        service.change(run.id, reviewed=True)
        as_ccterm(pilot).find_new_runs()
        await wait_for_text(pilot, "No runs yet")
        await pilot.press("H")
        await wait_for_text(pilot, "✗ one")
        await pilot.press("enter")
        await wait_for_text(pilot, "the login expired 08:14")
        as_ccterm(pilot).update_run((await service.find(run.id)).model_copy(update={"summary": "Pushed after all."}))
        await wait_for_text(pilot, "Pushed after all.")


async def test_a_run_of_the_fleet_is_left_when_it_is_reviewed_though_the_history_knows_it(show: Show, service: FakeService) -> None:
    push(service, service.add_run("one"))
    async with show() as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "✓ one")
        await pilot.press("escape", "enter")
        await wait_for_text(pilot, "policy: fine")
        await pilot.press("x")
        await wait_for_text(pilot, "No runs yet")


class Slow(FakeService):
    """A service that lists runs only when it is let. lists: how many lists of all runs it was asked for, and still makes."""

    lists, under_way = 0, 0

    async def runs(self, **which: Unpack[RunFilter]) -> list[Run]:
        """Return runs, late where they are listed for the history."""
        if set(which) == {"limit"}:
            self.lists, self.under_way = self.lists + 1, self.under_way + 1
            await self.answering.wait()
            self.under_way -= 1
        return await super().runs(**which)


async def test_the_history_is_shown_though_runs_change_faster_than_it_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Slow(tmp_path_factory.mktemp("service"))
    push(service, service.add_run("one"))
    await service.settle()
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False, clock=service.clock)
    async with app.run_test(size=(120, 32)) as pilot:
        app.connected(service)
        await until(lambda: len(app.runs) == 1)
        service.answering.clear()
        await pilot.press("H")
        await until(lambda: isinstance(app.screen, HistoryScreen) and app.screen.is_mounted)
        for _ in range(3):
            app.runs_changed()
            await settle(pilot)
        loading = [worker for worker in app.workers if worker.group == "history"]
        assert len(loading) == 1
        assert not loading[0].is_cancelled
        service.answering.set()
        await wait_for_text(pilot, "✓ one")
    await service.close()


@asynccontextmanager
async def slow_history(service: Slow) -> AsyncIterator[Pilot[None]]:
    """Show the history of a service that has ended runs."""
    await service.settle()
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False, clock=service.clock)
    async with app.run_test(size=(120, 32)) as pilot:
        app.connected(service)
        await until(lambda: len(app.runs) == len(service.all_runs) and not app._changed)
        await pilot.press("H")
        await wait_for_text(pilot, "✓ one")
        await settle(pilot)
        yield pilot
    await service.close()


async def test_the_history_is_read_once_at_a_time_though_two_things_are_told_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Slow(tmp_path_factory.mktemp("service"))
    push(service, service.add_run("one"))
    async with slow_history(service) as pilot:
        app = as_ccterm(pilot)
        app.daemon_lost()
        await settle(pilot)
        service.answering.clear()
        app.daemon_there()
        await settle(pilot)
        app.runs_changed()
        await settle(pilot)
        assert service.under_way == 1
        service.answering.set()


async def test_the_history_is_not_read_again_for_what_a_running_agent_does(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Slow(tmp_path_factory.mktemp("service"))
    push(service, service.add_run("one"))
    running = start_agent(service, service.add_run("two"))
    async with slow_history(service) as pilot:
        app, before = as_ccterm(pilot), service.lists
        app.runs_changed([running.id])
        await settle(pilot)
        assert service.lists == before
        push(service, running)
        await wait_for_text(pilot, "✓ two")


async def test_a_diff_that_was_opened_before_there_was_one_appears_at_the_end(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "No commit yet: the diff appears once the agent has finished")
        push(service, run)
        await wait_for_text(pilot, "+ LIMIT = 5")


async def test_a_diff_that_was_being_read_when_the_run_ended_is_read_again(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    service.patches[run.id] = b""
    async with show() as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "The agent has changed nothing yet")
        service.answering.clear()
        await pilot.press("R")
        push(service, run)
        await all_told(pilot, service, run)
        service.answering.set()
        await wait_until_gone(pilot, "changes up to")
        await wait_for_text(pilot, "+ LIMIT = 5")


async def test_comments_that_were_sent_are_shown_no_longer(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("one"))
    memory = Memory(None)
    async with show(memory=memory) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "+ LIMIT = 5")
        await pilot.press("a", *"why", "enter")
        await wait_for_text(pilot, "▏ why")
        memory.comment(run.id, ())
        await pilot.press("question_mark", "escape")
        await wait_until_gone(pilot, "▏ why")


async def test_help_says_why_a_key_does_nothing_now(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show((120, 90)) as pilot:
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Run the same task again (now: one has not ended yet)")
        push(service, run)
        await wait_until_gone(pilot, "one has not ended yet")


async def test_help_that_says_the_same_is_not_laid_out_again(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await pilot.press("question_mark")
        await wait_for_text(pilot, "This screen")
        await settle(pilot)
        shown = pilot.app.screen.query_one(Static).visual
        as_ccterm(pilot).runs_changed([run.id])
        await settle(pilot)
        assert pilot.app.screen.query_one(Static).visual is shown


async def test_the_form_asks_again_once_the_run_on_its_branch_has_ended(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/x"))
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Do more")
        pilot.app.screen.query_one("#branch Input", Input).value = "feature/x"
        await wait_for_text(pilot, "run #1 works on it, so this one waits")
        push(service, run)
        await wait_until_gone(pilot, "works on it")


async def test_a_form_plans_again_when_there_is_another_daemon(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        app = as_ccterm(pilot)
        app.daemon_lost()
        service.refusal = StateError("the daemon has ended")
        await pilot.press("n")
        await type_text(pilot, "Do more")
        await wait_for_text(pilot, "the daemon has ended")
        service.refusal = None
        app.daemon_there()
        await wait_for_text(pilot, "1 run on this machine")


async def test_keys_do_not_go_to_a_hidden_filter_of_an_empty_history(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "0 runs")
        await pilot.press("question_mark", "escape", "p")
        await until(lambda: isinstance(pilot.app.screen, PreflightScreen))
