"""The preflight screen: results with their fixes, and keys that apply them."""

import re

from ccterm.errors import PreflightError
from ccterm.models import CheckResult
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.preflight import PreflightScreen
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, screen_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import start_agent

GIT = CheckResult(name="git", group="essentials", status="pass", text="git 2.45", seconds=0.012)
LOGIN = CheckResult(
    name="login", group="claude", status="fail", text="the Claude login expired 08:14", fix="run claude and type /login", seconds=0.008
)
GOOD = LOGIN.model_copy(update={"status": "pass", "text": "a login, valid for 8 h", "fix": ""})

IMAGE = CheckResult(name="image", group="engine", status="warn", text="the image is not built yet", fix="ccterm image build")
MADE = IMAGE.model_copy(update={"status": "pass", "text": "image from node:20-slim, 312 MB", "fix": ""})


async def test_every_result_is_shown_with_its_time_and_its_fix(show: Show, service: FakeService) -> None:
    service.check_results = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "✓ git 2.45", "12 ms", "✗ the Claude login expired 08:14", "run claude and type /login", "1 to fix")


async def test_re_export_fixes_the_login_and_checks_again(show: Show, service: FakeService) -> None:
    service.check_results = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "1 to fix")
        service.check_results = [GIT, GOOD]
        await pilot.press("e")
        await wait_for_call(service, "export")
        await wait_for_text(pilot, "all passed", "a login, valid for 8 h")


async def test_the_fix_of_the_first_failure_is_copied(show: Show, service: FakeService) -> None:
    service.check_results = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "1 to fix")
        await pilot.press("y")
        await until(lambda: pilot.app.clipboard == "run claude and type /login")


async def test_the_other_execution_mode_is_checked(show: Show, service: FakeService) -> None:
    service.check_results = [GIT]
    async with show() as pilot:
        await pilot.press("p", "x")
        await wait_for_text(pilot, "containers (dagger)")
        await wait_for_call(service, "checks", "dagger")


async def test_it_opens_by_itself_when_something_fails(show: Show, service: FakeService) -> None:
    service.check_results = [GIT, LOGIN]
    async with show(checks=True) as pilot:
        await wait_for_text(pilot, "1 to fix")
        assert isinstance(pilot.app.screen, PreflightScreen)
        await pilot.press("escape")
        await wait_for_text(pilot, "No runs yet")


async def test_it_stays_closed_when_keys_have_come_already(show: Show, service: FakeService) -> None:
    service.check_results = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("f", "escape")
        as_ccterm(pilot)._first_checks(service)
        await wait_for_text(pilot, "some checks failed; press p to see them", "No runs yet")


async def test_it_stays_closed_when_all_checks_pass(show: Show, service: FakeService) -> None:
    service.check_results = [GIT, GOOD]
    async with show() as pilot:
        await as_ccterm(pilot)._first_checks(service).wait()
        assert not isinstance(pilot.app.screen, PreflightScreen)


async def test_it_does_not_interrupt_a_user_with_active_runs(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    service.check_results = [LOGIN]
    async with show(checks=False) as pilot:
        await wait_for_text(pilot, "▌#1")
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        pilot.app._offer_checks(screen)  # type: ignore[attr-defined]  # what the first look calls
        await wait_for_text(pilot, "some checks failed")
        assert pilot.app.screen is screen


async def test_checks_that_are_no_longer_reported_disappear(show: Show, service: FakeService) -> None:
    service.check_results = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "1 to fix")
        service.check_results = [GIT]
        await pilot.press("r")
        await wait_until_gone(pilot, "the Claude login expired")


async def test_a_key_builds_the_image_and_shows_its_log(show: Show, service: FakeService) -> None:
    service.check_results, service.image_log = [GIT, IMAGE], ["Reading package lists", "[bold]added 3 packages[/]"]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "b builds it now, or: ccterm image build", "Build image")
        await pilot.press("b")
        await wait_for_text(pilot, "building the image", "Reading package lists", "[bold]added 3 packages[/]")
        await wait_until_gone(pilot, "Build image")
        service.check_results = [GIT, MADE]
        service.image_built.set()
        await wait_for_text(pilot, "image built", "312 MB", "all passed")
    assert service.calls.count(("make_image",)) == 1


async def test_a_build_continues_behind_another_screen(show: Show, service: FakeService) -> None:
    service.check_results, service.image_log = [IMAGE], ["Reading package lists"]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "Build image")
        await pilot.press("b", "escape")
        await wait_for_text(pilot, "No runs yet")
        await pilot.press("p")
        await wait_for_text(pilot, "building the image", "Reading package lists")
        service.image_built.set()
        await wait_for_text(pilot, "image built")


async def test_a_failed_build_says_why_and_can_be_retried(show: Show, service: FakeService) -> None:
    service.check_results, service.refusal = [IMAGE], PreflightError("building the image failed: no network", "check the network")
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "Build image")
        await pilot.press("b")
        await wait_for_text(pilot, "build failed: building the image failed: no network", "check the network", "Build image")


async def test_an_existing_image_is_not_built(show: Show, service: FakeService) -> None:
    service.check_results = [MADE]
    async with show() as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "all passed")
        await pilot.press("b")
        assert ("make_image",) not in service.calls


REMOTE = CheckResult(name="push", group="remote", status="fail", text="github.com/o/r would refuse a push: 403", fix="gh auth status")
BRANCH = CheckResult(name="branch", group="remote", status="pass", text="agent/x is free")


async def test_the_form_checks_its_repository_and_branch_and_asks_the_remote_once(show: Show, service: FakeService) -> None:
    service.check_results, service.remote_results = [GIT, LOGIN], [REMOTE, BRANCH]
    async with show() as pilot:
        await pilot.press("n", *"Fix it", "ctrl+t")
        await wait_for_text(pilot, "✗ github.com/o/r would refuse a push: 403", "✓ agent/x is free", "2 to fix · again every 5 s")
        screen = pilot.app.screen
        assert isinstance(screen, PreflightScreen)
        screen._repeat_while_failing()  # what its timer calls
        await until(lambda: service.calls.count(("checks", "local")) == 2)
        await wait_for_text(pilot, "2 to fix")
        service.remote_results, service.check_results = (
            [REMOTE.model_copy(update={"text": "still no", "fix": "or allow --allow-default-branch"}), BRANCH],
            [GIT, GOOD],
        )
        await pilot.press("r")
        await wait_for_text(pilot, "still no", "1 to fix · r asks again")
        await wait_for_text(pilot, "or allow “Default branch”")
        service.remote_results = [REMOTE.model_copy(update={"text": "would take a push", "status": "pass", "fix": ""}), BRANCH]
        for _ in range(2):  # what failed is asked again, what passed is not
            await pilot.press("escape", "ctrl+t")
            await wait_for_text(pilot, "✓ would take a push", "all passed")
    asked = [call for call in service.calls if call[0] == "checks of"]
    assert len(asked) == 3
    assert asked[0][2] == "agent/fix"


async def test_on_the_narrowest_screen_texts_have_the_room_of_times(show: Show, service: FakeService) -> None:
    service.check_results = [LOGIN, GIT]
    async with show((40, 10)) as pilot:
        await pilot.press("p")
        await wait_for_text(pilot, "1 to fix")
        assert not re.search(r"\d ?ms", screen_text(pilot.app))
