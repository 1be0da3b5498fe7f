"""The table of all runs, and what is done to several of them at once, in the table and beside the panes."""

import re

import pytest

from ccterm.errors import UsageError
from ccterm.models import Run
from ccterm.tui.run_columns import Moment
from ccterm.tui.screens.table import TableScreen
from ccterm.tui.widgets.run_table import RunTable
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, screen_text, settle, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import fail, push, refuse, start_agent, wait_for_input


def several(service: FakeService) -> list[Run]:
    """Add runs of each kind, so that each name tells its kind."""
    return [
        start_agent(service, service.add_run("run/1")),
        fail(service, service.add_run("fail/2")),
        push(service, service.add_run("done/3")),
        wait_for_input(service, service.add_run("wait/4")),
        start_agent(service, service.add_run("run/5")),
        push(service, service.add_run("done/6")),
        fail(service, service.add_run("fail/7")),
        push(service, service.add_run("done/8")),
    ]


def listed(text: str) -> list[str]:
    """Return the names in the lines of the table, from its top."""
    return re.findall(r"#\d+ \S (\S+)", text)


async def test_what_is_done_is_one_line_that_enter_opens(show: Show, service: FakeService) -> None:
    several(service)
    async with show((80, 24)) as pilot:
        await wait_for_text(pilot, "▌#4 ? wait/4", "3 done ▸   3 pushed", "$0.93")
        assert "done/3" not in screen_text(pilot.app)
        await pilot.press("shift+tab")
        await wait_for_text(pilot, "▌3 done")
        await pilot.press("enter")
        await wait_for_text(pilot, "3 of 8 runs", "filter: state:done", "done/3", "done/8")


async def test_the_next_run_that_needs_the_user_is_a_key_away(show: Show, service: FakeService) -> None:
    several(service)
    async with show((80, 24)) as pilot:
        await wait_for_text(pilot, "▌#4")
        for number in (2, 7, 4):
            await pilot.press("full_stop")
            await wait_for_text(pilot, f"▌#{number} ")


async def test_the_table_lists_all_in_order_and_sorts_by_every_column(show: Show, service: FakeService) -> None:
    several(service)
    async with show() as pilot:
        await pilot.press("t")
        await wait_for_text(pilot, "8 runs", "done/8")
        assert listed(screen_text(pilot.app)) == ["wait/4", "fail/2", "fail/7", "run/1", "run/5", "done/3", "done/6", "done/8"]
        await pilot.press("S")
        await wait_for_text(pilot, "name ▲")
        assert listed(screen_text(pilot.app)) == ["done/3", "done/6", "done/8", "fail/2", "fail/7", "run/1", "run/5", "wait/4"]
        await pilot.press("R")
        await wait_for_text(pilot, "name ▼")
        assert listed(screen_text(pilot.app))[0] == "wait/4"
        await pilot.click(RunTable, offset=(3, 0))
        await wait_for_text(pilot, "run ▼")
        assert listed(screen_text(pilot.app))[-1] == "run/1"


async def test_the_table_is_filtered_by_state_and_words(show: Show, service: FakeService) -> None:
    several(service)
    async with show() as pilot:
        await pilot.press("t", "F", "F")
        await wait_for_text(pilot, "2 of 8 runs", "filter: state:failed")
        await pilot.press("f")
        await type_text(pilot, " /7")
        await wait_for_text(pilot, "1 of 8 runs")
        assert listed(screen_text(pilot.app)) == ["fail/7"]
        await pilot.press("enter", "escape")
        await wait_for_text(pilot, "8 runs")
        await pilot.press("escape")
        await wait_for_text(pilot, "▌#4")


async def test_a_run_of_the_table_is_opened_or_focused(show: Show, service: FakeService) -> None:
    several(service)
    async with show() as pilot:
        await pilot.press("t", "down", "enter")
        await wait_for_text(pilot, "fail/2", "failed (auth)")
        await pilot.press("escape", "down", "t")
        await wait_for_text(pilot, "▌#7 ✗ fail/7")


async def test_selected_runs_are_reviewed_together(show: Show, service: FakeService) -> None:
    runs = several(service)
    async with show() as pilot:
        await pilot.press("t", "F", "F", "A")
        await wait_for_text(pilot, "2 selected", "*#2", "*#7")
        await pilot.press("x")
        await wait_for_call(service, "review", runs[1].id)
        await wait_for_call(service, "review", runs[6].id)
        await wait_until_gone(pilot, "2 selected", "fail/")


async def test_an_action_on_selected_runs_applies_to_those_that_it_can_be_done_to(show: Show, service: FakeService) -> None:
    runs = several(service)
    async with show() as pilot:
        await wait_for_text(pilot, "▌#4")
        await pilot.press("space", "tab", "space", "tab", "space", "tab", "space")
        await wait_for_text(pilot, "*#4", "*#2", "*#7", "*#1")
        await pilot.press("c")
        await wait_for_text(pilot, "Stop 2 runs?", "keep their work")
        await pilot.press("s")
        await wait_for_call(service, "cancel", runs[3].id, "keep")
        await wait_for_call(service, "cancel", runs[0].id, "keep")
        await settle(pilot)
        assert len(service.calls) == 2
        await wait_until_gone(pilot, "*#")


async def test_what_fails_for_one_of_several_runs_is_told_once(show: Show, service: FakeService) -> None:
    several(service)
    service.refusal = UsageError("there is no room", "free some space")
    async with show() as pilot:
        await pilot.press("t", "F", "F", "A", "r")
        await wait_for_text(pilot, "2 of 2 runs: not done", "there is no room")


async def test_a_run_without_a_branch_is_named_by_its_task(show: Show, service: FakeService) -> None:
    service.add_run("", prompt="\nTidy up the imports\nand nothing else", repo="/home/ann/shop")
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1 ○ Tidy up the imports")


async def test_long_names_keep_their_ends(show: Show, service: FakeService) -> None:
    for end in ("left", "right"):
        start_agent(service, service.add_run(f"feature/{'very-' * 20}{end}"))
    async with show((80, 24)) as pilot:
        await wait_for_text(pilot, "▌#1 ● feature/very", "very-left", "very-right")


@pytest.mark.slow
async def test_a_thousand_runs_are_listed(show: Show, service: FakeService) -> None:
    for number in range(1000):
        service.add_run(f"feature/{number}")
    async with show() as pilot:
        await pilot.press("t", "end")
        await wait_for_text(pilot, "1000 runs", "feature/999")
        await pilot.press("home")
        await wait_for_text(pilot, "feature/0 ")
        screen = pilot.app.screen
        assert isinstance(screen, TableScreen)
        await pilot.press("f")
        await type_text(pilot, "feature/77")
        await wait_for_text(pilot, "11 of 1000 runs")


@pytest.mark.parametrize("key", ["t", "H"], ids=["table", "history"])
async def test_the_narrowest_screen_shows_the_names_of_runs(show: Show, service: FakeService, key: str) -> None:
    refuse(service, service.add_run("chore/settings"))
    async with show((40, 10)) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press(key)
        await wait_for_text(pilot, "#1 ! chore/settings")


async def test_a_table_that_is_laid_out_before_it_has_its_runs_keeps_the_current_one(show: Show, service: FakeService) -> None:
    runs = [start_agent(service, service.add_run(name)) for name in ("one", "two")]
    async with show() as pilot:
        table = RunTable(Moment(service.clock()))
        table.current = runs[1].id
        await pilot.app.screen.mount(table)
        await until(lambda: table.size.width > 0)
        table.show(list(as_ccterm(pilot).runs), Moment(service.clock()))
        assert table.current == runs[1].id
