"""Preflight on the screen: answers with their fixes, mended by one key, in nobody's way."""

from ccterm.errors import PreflightError
from ccterm.models import CheckResult
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.preflight import PreflightScreen
from tests.tui.acts import works
from tests.tui.conftest import Show
from tests.tui.seeing import asked, sees, sees_no
from tests.tui.stage import Stage

GIT = CheckResult(name="git", group="essentials", status="pass", text="git 2.45", seconds=0.012)
LOGIN = CheckResult(
    name="login", group="claude", status="fail", text="the Claude login expired 08:14", fix="run claude and type /login", seconds=0.008
)
GOOD = LOGIN.model_copy(update={"status": "pass", "text": "a login, good for 8 h", "fix": ""})

IMAGE = CheckResult(name="image", group="engine", status="warn", text="the image is not made yet", fix="ccterm image build")
MADE = IMAGE.model_copy(update={"status": "pass", "text": "image from node:20-slim, 312 MB", "fix": ""})


async def test_every_answer_stands_with_its_time_and_its_fix(show: Show, stage: Stage) -> None:
    stage.answers = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "✓ git 2.45", "12 ms", "✗ the Claude login expired 08:14", "run claude and type /login", "1 to mend")


async def test_re_export_mends_the_login_and_asks_again(show: Show, stage: Stage) -> None:
    stage.answers = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "1 to mend")
        stage.answers = [GIT, GOOD]
        await pilot.press("e")
        await asked(stage, "export")
        await sees(pilot, "all fine", "a login, good for 8 h")


async def test_the_fix_of_the_first_fault_is_copied(show: Show, stage: Stage) -> None:
    stage.answers = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "1 to mend")
        await pilot.press("y")
        assert pilot.app.clipboard == "run claude and type /login"


async def test_the_other_place_is_asked_about(show: Show, stage: Stage) -> None:
    stage.answers = [GIT]
    async with show() as pilot:
        await pilot.press("p", "x")
        await sees(pilot, "containers (dagger)")
        await asked(stage, "checks", "dagger")


async def test_it_opens_by_itself_when_something_fails(show: Show, stage: Stage) -> None:
    stage.answers = [GIT, LOGIN]
    async with show(checks=True) as pilot:
        await sees(pilot, "1 to mend")
        assert isinstance(pilot.app.screen, PreflightScreen)
        await pilot.press("escape")
        await sees(pilot, "No runs yet")


async def test_it_stays_away_when_all_is_fine(show: Show, stage: Stage) -> None:
    stage.answers = [GIT, GOOD]
    async with show(checks=True) as pilot:
        await asked(stage, "checks", "local")
        await sees(pilot, "No runs yet")


async def test_it_does_not_come_between_a_user_and_live_runs(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    stage.answers = [LOGIN]
    async with show(checks=False) as pilot:
        await sees(pilot, "▌1")
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        pilot.app._offer_checks(screen)  # type: ignore[attr-defined]  # what the first look calls
        await sees(pilot, "something that runs need is missing")
        assert pilot.app.screen is screen


async def test_answers_that_are_no_longer_given_go(show: Show, stage: Stage) -> None:
    stage.answers = [GIT, LOGIN]
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "1 to mend")
        stage.answers = [GIT]
        await pilot.press("r")
        await sees_no(pilot, "the Claude login expired")


async def test_the_image_is_made_by_a_key_with_all_that_it_says(show: Show, stage: Stage) -> None:
    stage.answers, stage.said = [GIT, IMAGE], ["Reading package lists", "[bold]added 3 packages[/]"]
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "b builds it now, or: ccterm image build", "Build image")
        await pilot.press("b")
        await sees(pilot, "making the image", "Reading package lists", "[bold]added 3 packages[/]")
        await sees_no(pilot, "Build image")
        stage.answers = [GIT, MADE]
        stage.made.set()
        await sees(pilot, "the image is made", "312 MB", "all fine")
    assert stage.orders.count(("make_image",)) == 1


async def test_the_making_goes_on_behind_another_screen(show: Show, stage: Stage) -> None:
    stage.answers, stage.said = [IMAGE], ["Reading package lists"]
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "Build image")
        await pilot.press("b", "escape")
        await sees(pilot, "No runs yet")
        await pilot.press("p")
        await sees(pilot, "making the image", "Reading package lists")
        stage.made.set()
        await sees(pilot, "the image is made")


async def test_a_making_that_fails_says_why_and_may_be_tried_again(show: Show, stage: Stage) -> None:
    stage.answers, stage.refusal = [IMAGE], PreflightError("making the image failed: no network", "check the network")
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "Build image")
        await pilot.press("b")
        await sees(pilot, "not made: making the image failed: no network", "check the network", "Build image")


async def test_an_image_that_is_there_is_not_built(show: Show, stage: Stage) -> None:
    stage.answers = [MADE]
    async with show() as pilot:
        await pilot.press("p")
        await sees(pilot, "all fine")
        await pilot.press("b")
        assert ("make_image",) not in stage.orders
