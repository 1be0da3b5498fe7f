"""What the user can do to runs by one key: stop them, start them again, deliver their work."""

from collections.abc import Callable

import pytest

from ccterm.causes import Cause
from ccterm.errors import UsageError
from ccterm.events import Finished, Spent
from ccterm.models import ExecutionMode, Manifest, Run, State
from ccterm.service.protocol import GO_ON
from ccterm.tui.app import CctermApp
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.run_actions import export_login
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import settle, type_text, wait_for_call, wait_for_text
from tests.tui.run_events import fail, push, refuse, start_agent


async def test_one_key_starts_all_runs_again_whose_login_was_refused_once_there_is_another(show: Show, service: FakeService) -> None:
    runs = [service.add_run(name) for name in ("one", "two", "three")]
    for run, turns in zip(runs, (0, 4, 0), strict=True):
        cause = Cause.AUTH if run is not runs[2] else Cause.AGENT
        service.emit(run.id, Spent(cost_usd=0.1, turns=turns), Finished(state=State.FAILED, cause=cause))
    async with show() as pilot:
        await wait_for_text(pilot, "one", "two", "three")
        service.with_another_login = [run.id for run in runs[:2]]
        assert isinstance(pilot.app, CctermApp)
        pilot.app.offer_renewed()
        await wait_for_text(pilot, "L starts 2 runs again that ended without")
        await pilot.press("L")
        await wait_for_call(service, "retry", runs[0].id)
        await wait_for_call(service, "continue", runs[1].id, GO_ON)
        await wait_for_text(pilot, "2 runs go on")
    assert ("retry", runs[2].id) not in service.calls


async def test_cancel_asks_and_keeps_the_work(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("c")
        await wait_for_text(pilot, "Stop one?", "keep its work")
        await pilot.press("s")
        await wait_for_call(service, "cancel", run.id, "keep")
        await wait_for_text(pilot, "cancelled")


async def test_cancel_can_kill_and_escape_does_nothing(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("c", "escape")
        await settle(pilot)
        assert service.calls == []
        await pilot.press("c", "k")
        await wait_for_call(service, "cancel", run.id, "now")


@pytest.mark.parametrize(
    ("happens", "offered", "key", "verb", "after"),
    [
        (fail, "r retry", "r", "retry", "#2 ○ one"),
        (refuse, "P push anyway", "P", "push", "work kept"),
        (fail, "x reviewed", "x", "review", "No runs yet"),
    ],
    ids=["retry", "push", "reviewed"],
)
async def test_one_key_settles_an_ended_run(
    show: Show, service: FakeService, happens: Callable[[FakeService, Run], Run], offered: str, key: str, verb: str, after: str
) -> None:
    run = happens(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, offered)
        await pilot.press(key)
        await wait_for_call(service, verb, run.id)
        await wait_for_text(pilot, after)


async def test_fetch_asks_where_to(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    async with show() as pilot:
        await wait_for_text(pilot, "pushed a91f03c2")
        await pilot.press("b")
        await wait_for_text(pilot, "Fetch into which repository?")
        await pilot.press("end", "ctrl+u")
        await type_text(pilot, "/tmp/shop")
        await pilot.press("enter")
        await wait_for_call(service, "fetch", run.id, "/tmp/shop")


async def test_a_failed_action_shows_the_error_and_its_fix(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    service.refusal = UsageError("the agent takes no words now", "ccterm show says where it is")
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("h")
        await wait_for_text(pilot, "the agent takes no words now", "ccterm show says where it is")


async def test_one_key_fixes_a_failed_login(show: Show, service: FakeService) -> None:
    fail(service, service.add_run("fix/rounding"), Cause.AUTH)
    async with show() as pilot:
        await wait_for_text(pilot, "e re-export the login")
        await pilot.press("e")
        await wait_for_call(service, "export")
        await wait_for_text(pilot, "login saved to")


@pytest.mark.parametrize(
    ("exported", "said", "unsaid"),
    [
        ({}, ("a new token", "new/queue will start with it", "old/one must be restarted to get it"), "here/own"),
        ({"same": True}, ("the same token as before", "run claude once"), "new/queue will"),
        ({"instead": "the keyring's setup-token"}, ("runs use the keyring's setup-token instead",), "new/queue will"),
    ],
    ids=["new", "same", "unused"],
)
async def test_a_re_export_says_which_runs_take_the_new_login(
    service: FakeService, exported: dict[str, object], said: tuple[str, ...], unsaid: str
) -> None:
    service.exported = exported
    box, here = ExecutionMode.DAGGER, ExecutionMode.LOCAL
    for branch, mode, credential in (
        ("old/one", box, "access-token"),
        ("year/one", box, "setup-token"),
        ("here/own", here, "own"),
    ):
        run = start_agent(service, service.add_run(branch, execution_mode=mode))
        service.change(run.id, manifest=Manifest(credential=credential))
    service.add_run("new/queue", execution_mode=box)
    told = await export_login(service, [RunView.of(run) for run in await service.runs()])
    assert all(words in told for words in said), told
    assert unsaid not in told
    assert "year/one" not in told
