"""Toasts: one of each kind, never over the chosen pane or a dialog; and the line of events, which says why a key does nothing."""

import pytest
from textual.geometry import Region, Size
from textual.widgets._toast import Toast

from ccterm.causes import Cause
from ccterm.errors import UsageError
from ccterm.events import Finished
from ccterm.models import State
from ccterm.tui.layout import Corner, free_corner
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, screen_text, settle, wait_for_text, wait_until_gone
from tests.tui.run_events import fail, push, start_agent, wait_for_input


async def test_runs_that_fail_together_make_one_toast(show: Show, service: FakeService) -> None:
    runs = [start_agent(service, service.add_run(f"feature/{number}")) for number in range(5)]
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1", "feature/4")
        for run in runs:
            service.emit(run.id, Finished(state=State.FAILED, cause=Cause.AGENT, summary="it ended"))
        await wait_for_text(pilot, "5 runs failed", "and 2 more")
        await until(lambda: len(pilot.app.screen.query(Toast)) == 1)


async def test_what_is_done_is_told_in_one_line_and_makes_no_toast(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        push(service, run)
        await wait_for_text(pilot, "12:00:00  #1 feature/login pushed a91f03c2, verified, 5 files +61 -9")
        assert list(as_ccterm(pilot)._notifications) == []


async def test_a_toast_comes_after_the_dialog_that_it_would_cover(show: Show, service: FakeService) -> None:
    runs = [start_agent(service, service.add_run(name)) for name in ("one", "two")]
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1", "two")
        await pilot.press("c")
        await wait_for_text(pilot, "Stop one?")
        wait_for_input(service, runs[1])
        await until(lambda: as_ccterm(pilot).runs[runs[1].id].waiting)
        await settle(pilot)
        assert list(as_ccterm(pilot)._notifications) == []
        await pilot.press("escape")
        await until(lambda: [notice.title for notice in as_ccterm(pilot)._notifications] == ["#2 two is waiting for input"])


@pytest.mark.parametrize("size", [(80, 24), (120, 34), (60, 16)], ids=str)
async def test_no_toast_covers_the_only_pane(show: Show, service: FakeService, size: tuple[int, int]) -> None:
    start_agent(service, service.add_run("one"))
    async with show(size) as pilot:
        await wait_for_text(pilot, "▌#1", "12 passed, 1 failed")
        service.refusal = UsageError("the agent takes no words now", "ccterm show says where it is")
        await pilot.press("h")
        await wait_for_text(pilot, "ccterm show says where it is", "▌#1", "12 passed, 1 failed")


@pytest.mark.parametrize(
    ("screen", "chosen", "corner"),
    [
        (Size(80, 24), Region(0, 1, 80, 15), ("bottom", "right")),
        (Size(120, 34), Region(0, 1, 60, 30), ("bottom", "right")),
        (Size(120, 34), Region(60, 1, 60, 31), ("bottom", "left")),
        (Size(120, 34), Region(0, 16, 120, 16), ("top", "right")),
        (Size(80, 24), Region(0, 1, 80, 21), None),
    ],
)
def test_a_toast_gets_a_corner_without_the_chosen_pane(screen: Size, chosen: Region, corner: Corner | None) -> None:
    assert free_corner(screen, chosen) == corner


async def test_a_key_that_can_do_nothing_says_why(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    fail(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#2")
        await pilot.press("s")
        await wait_for_text(pilot, "two has ended; m goes on with it")
        await pilot.press("2", "r")
        await wait_for_text(pilot, "one has not ended yet")
        await pilot.press("9")
        await wait_for_text(pilot, "there are 2 panes; tab goes through all runs")
        assert service.calls == []


async def test_a_key_that_needs_a_run_says_so(show: Show) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "No runs yet")
        for key, reason in (("c", "no run is chosen"), ("full_stop", "no run needs you"), ("L", "no run has ended because its login")):
            await pilot.press(key)
            await wait_for_text(pilot, reason)


async def test_the_same_is_said_once_on_the_screen(show: Show, service: FakeService) -> None:
    wait_for_input(service, service.add_run("one"))
    start_agent(service, service.add_run("two"))
    async with show((80, 24)) as pilot:
        await wait_for_text(pilot, "▌#1 ? one")
        await wait_until_gone(pilot, "1 held")
        assert screen_text(pilot.app).count("running") == 0
