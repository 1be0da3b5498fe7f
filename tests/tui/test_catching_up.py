"""What is shown of runs, checks and limits is so now: what came below a dialog, from elsewhere, or when nothing was looking."""

import asyncio
from collections.abc import AsyncIterator
from typing import Unpack

import pytest
from textual.content import Content

from ccterm.errors import StateError
from ccterm.events import Limited, PermissionAsked
from ccterm.models import CheckResult, ExecutionMode, Run, State
from ccterm.settings import Settings
from ccterm.store import RunFilter
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.messages import RunsChanged
from ccterm.tui.run_view import RunView
from ccterm.tui.widgets.header import SplitLine
from ccterm.tui.widgets.run_list import RunList
from ccterm.tui.widgets.state_lines import StatusLine
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import all_told, as_ccterm, screen_text, settle, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import ask_permission, fail, push, start_agent

pytestmark = pytest.mark.slow  # one screen of all is compared with one that is opened now in the fast tier, see test_never_stale

IMAGE = CheckResult(name="image", group="engine", status="warn", text="the image is not built yet", fix="ccterm image build")


async def test_a_fleet_below_a_dialog_shows_what_happens(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "1 running")
        await pilot.press("T")
        push(service, run)
        await wait_for_text(pilot, "pushed a91f", "Theme")
        await wait_until_gone(pilot, "1 running")


async def test_a_run_that_is_reviewed_in_another_terminal_leaves_the_fleet(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("one"))
    async with show() as pilot:
        await pilot.press("space")
        await wait_for_text(pilot, "*#1")
        service.change(run.id, reviewed=True)
        as_ccterm(pilot).find_new_runs()
        await wait_for_text(pilot, "No runs yet")
        assert as_ccterm(pilot).selected == set()


async def test_what_is_done_elsewhere_with_an_ended_run_is_shown_unasked(show: Show, service: FakeService) -> None:
    run = fail(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "failed")
        service.change(run.id, secret_seen=True, state=State.SUCCEEDED, cause=None, summary="Pushed by a command.")
        await pilot.press("enter")
        await wait_for_text(pilot, "Pushed by a command.")


async def test_a_run_that_was_reviewed_before_its_end_was_seen_leaves_the_fleet(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "1 running")
        push(service, run)
        service.change(run.id, reviewed=True)
        await wait_for_text(pilot, "No runs yet")


class Unreadable(FakeService):
    """A service whose runs cannot be read for some time."""

    faults = 0

    async def runs(self, **which: Unpack[RunFilter]) -> list[Run]:
        """Return runs, once they can be read."""
        if self.faults:
            self.faults -= 1
            raise StateError("state.db is locked", "try again")
        return await super().runs(**which)


async def test_runs_that_cannot_be_read_at_first_are_told_and_shown_later(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Unreadable(tmp_path_factory.mktemp("service"))
    start_agent(service, service.add_run("one"))
    await service.settle()
    service.faults = 3
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False, clock=service.clock)
    async with app.run_test(size=(120, 32)) as pilot:
        app.connected(service)
        await wait_for_text(pilot, "runs cannot be read: state.db is locked")
        await wait_for_text(pilot, "▌#1 ● one")
    await service.close()


async def test_the_title_counts_what_was_reviewed_no_longer(show: Show, service: FakeService) -> None:
    fail(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "failed")
        app = as_ccterm(pilot)
        await until(lambda: "1 waiting" in app._title._shown)
        await pilot.press("x")
        await wait_for_text(pilot, "No runs yet")
        assert "waiting" not in app._title._shown


async def test_a_usage_window_that_is_reset_is_shown_no_longer_though_nothing_runs(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    at = service.clock().replace(hour=17)
    async with show() as pilot:
        service.emit(run.id, Limited(limit="five_hour", status="rejected", utilization=1.0, resets_at=at))
        push(service, run)
        await wait_for_text(pilot, "5-hour window used up", "pushed")
        await all_told(pilot, service, run)
        service.clock.forward(hours=6)
        line = pilot.app.screen.query_one(StatusLine)
        await until(lambda: "used up" not in line.right.plain)


async def test_the_checks_of_the_empty_fleet_are_those_that_were_made_last(show: Show, service: FakeService) -> None:
    failing = CheckResult(name="login", group="claude", status="fail", text="the login expired", fix="claude login")
    service.check_results = [failing]
    async with show() as pilot:
        as_ccterm(pilot).checked = [failing]
        await pilot.press("p")
        await wait_for_text(pilot, "the login expired")
        service.check_results = [failing.model_copy(update={"status": "pass", "text": "a login, valid for 8 h", "fix": ""})]
        await pilot.press("r")
        await wait_for_text(pilot, "all passed")
        await pilot.press("escape")
        await wait_for_text(pilot, "No runs yet", "✓ a login, valid for 8 h")


async def test_checks_behind_another_screen_hear_that_the_image_is_built(show: Show, service: FakeService) -> None:
    service.check_results = [IMAGE]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "the image is not built yet")
        await pilot.press("b")
        await wait_for_call(service, "make_image")
        await pilot.press("n")
        await wait_for_text(pilot, "What should be done?")
        service.check_results = [IMAGE.model_copy(update={"status": "pass", "text": "image of 312 MB", "fix": ""})]
        service.image_built.set()
        await until(lambda: (build := as_ccterm(pilot).image_build) and not build.running)
        await pilot.press("escape")
        await wait_for_text(pilot, "image of 312 MB", "image built")


async def test_a_filter_that_nothing_passed_is_named_for_the_run_that_comes(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("f")
        await type_text(pilot, "nowhere")
        await wait_for_text(pilot, "filter: nowhere")
        service.add_run("one")
        as_ccterm(pilot).find_new_runs()
        await wait_for_text(pilot, "the run does not pass the filter")


class SlowChecks(FakeService):
    """A service whose checks are answered when it is let, and which takes a moment to end those that are no longer wanted."""

    async def checks(
        self, execution_mode: ExecutionMode | None = None, *, repo: str | None = None, branch: str | None = None, here: str | None = None
    ) -> AsyncIterator[CheckResult]:
        """Yield the results that the test has set, the first of them at once."""
        try:
            async for result in super().checks(execution_mode):
                yield result
                await self.answering.wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)


async def test_checks_that_are_made_anew_are_under_way_until_their_own_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = SlowChecks(tmp_path_factory.mktemp("service"))
    service.check_results = [CheckResult(name="login", group="claude", status="pass", text="a login")]
    service.answering.clear()
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=True, clock=service.clock)
    async with app.run_test(size=(120, 32), notifications=True) as pilot:
        app.connected(service)
        await until(lambda: bool(app.checked))
        await pilot.press("e")
        await until(lambda: service.calls.count(("checks", "local")) == 2)
        await settle(pilot)
        assert app.checking
        assert "cancelled" not in screen_text(app)
        service.answering.set()
        await until(lambda: not app.checking)
        assert len(app.checked) == 1
    await service.close()


async def test_a_run_that_appears_after_its_daemon_died_is_marked_as_well(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        as_ccterm(pilot).daemon_lost()
        service.add_run("late")
        as_ccterm(pilot).find_new_runs()
        await wait_for_text(pilot, "late", "daemon lost")


@pytest.mark.parametrize("screen", ["t", *(pytest.param(key, marks=pytest.mark.slow) for key in ("H", "p", "question_mark"))])
async def test_another_size_shows_what_a_screen_of_that_size_shows(screen: str, show: Show, service: FakeService) -> None:
    service.check_results = [IMAGE]
    for number in range(3):
        push(service, service.add_run(f"feature/a-long-name-that-takes-much-room-{number}"))
    async with show((150, 40)) as pilot:
        await pilot.press(screen)
        await settle(pilot)
        await pilot.resize_terminal(60, 24)
        await settle(pilot)
        resized = screen_text(pilot.app)
    async with show((60, 24)) as pilot:
        await pilot.press(screen)
        await wait_for_text(pilot, *resized.split("\n")[:1])
        await until(lambda: screen_text(pilot.app) == resized, limit=10)


async def test_only_a_message_about_the_same_runs_and_more_takes_the_place_of_one(service: FakeService) -> None:
    one, two = (service.add_run(name).id for name in ("one", "two"))
    assert RunsChanged([one]).can_replace(RunsChanged([one, two]))
    assert not RunsChanged([one, two]).can_replace(RunsChanged([one]))


async def test_what_is_asked_is_listed_once_by_a_terminal_that_comes_later(service: FakeService) -> None:
    run = ask_permission(service, start_agent(service, service.add_run("one")))
    view = RunView.of(await service.find(run.id))
    view.apply(PermissionAsked(id="q1", tool="Bash", summary="npm ci").stamped(seq=0, at=service.clock(), run=run.id))
    assert [asked.id for asked in view.run.permission_requests] == ["q1"]


async def test_a_line_whose_colour_alone_changes_is_painted_again(show: Show) -> None:
    async with show() as pilot:
        line = pilot.app.screen.query_one("#header", SplitLine)
        for colour in ("red", "green"):
            line.show(Content.styled("the same words", colour))
        assert [span.style for span in line.left.spans] == ["green"]


async def test_what_is_written_below_a_pane_is_kept_when_another_run_takes_its_place(show: Show, service: FakeService) -> None:
    for name in ("one", "two"):
        start_agent(service, service.add_run(name))
    async with show((80, 24)) as pilot:
        await wait_for_text(pilot, "▌#1", "#2 ● two")
        await pilot.press("s", *"later")
        await wait_for_text(pilot, "Message to one", "later")
        await pilot.click(RunList, offset=(4, 0))
        await wait_for_text(pilot, "▌#2", "#1 ● one")
        await pilot.click(RunList, offset=(4, 0))
        await wait_for_text(pilot, "▌#1")
        await pilot.press("s")
        await wait_for_text(pilot, "Message to one", "later")


async def test_a_new_login_is_checked_again_for_the_empty_fleet(show: Show, service: FakeService) -> None:
    failing = CheckResult(name="login", group="claude", status="fail", text="the login expired", fix="claude login")
    service.check_results = [failing]
    async with show(checks=True) as pilot:
        await wait_for_text(pilot, "1 to fix")
        await pilot.press("escape")
        await wait_for_text(pilot, "✗ the login expired")
        service.check_results = [failing.model_copy(update={"status": "pass", "text": "a login, valid for 8 h", "fix": ""})]
        await pilot.press("e")
        await wait_for_text(pilot, "✓ a login, valid for 8 h")
