"""What is said on the shell once the terminal is left: what became of the runs that were active, and what to do about them."""

import pytest
from textual.screen import ModalScreen

from ccterm.causes import Cause
from ccterm.events import Finished, Salvaged
from ccterm.models import Run, State
from ccterm.tui.farewell import farewell, runs_as_left
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, wait_for_text
from tests.tui.run_events import fail, push, start_agent, wait_for_input

SHA = "a" * 40


def stop(service: FakeService, run: Run, *, kept: bool) -> None:
    start_agent(service, run)
    if kept:
        service.emit(run.id, Salvaged(directory="/kept", commit=SHA))
    service.emit(run.id, Finished(state=State.CANCELLED, summary="cancelled by the user"))
    if kept:
        service.change(run.id, commit=SHA, action=f"ccterm diff {run.ref}; ccterm push {run.ref} delivers what was kept")


async def said(service: FakeService) -> str:
    return farewell(await service.runs())


async def test_runs_that_go_on_are_named_with_how_to_come_back_and_those_that_wait(service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    assert await said(service) == "#1 one goes on in the background. ccterm shows it again."
    wait_for_input(service, service.add_run("two"))
    assert await said(service) == "#1 one and #2 two go on in the background; #2 two waits for you. ccterm shows them again."


async def test_of_many_runs_the_first_are_named(service: FakeService) -> None:
    for number in range(6):
        start_agent(service, service.add_run(f"b{number}"))
    assert await said(service) == "#1 b0, #2 b1, #3 b2 and 3 more go on in the background. ccterm shows them again."


async def test_one_or_two_runs_that_ended_say_how_and_what_to_do(service: FakeService) -> None:
    stop(service, service.add_run("one"), kept=True)
    push(service, service.add_run("two"))
    assert (await said(service)).split("\n") == [
        "#1 one: cancelled, work kept; ccterm diff 1; ccterm push 1 delivers what was kept",
        "#2 two: pushed a91f03c2, verified",
    ]


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({1}, "3 runs were stopped: the work of #2 b1 is kept, ccterm show 2 says how to take it. ccterm runs lists them."),
        ((), "3 runs were stopped. ccterm runs lists them."),
    ],
    ids=["kept", "nothing"],
)
async def test_several_runs_that_were_stopped_share_a_line(service: FakeService, kept: set[int], told: str) -> None:
    for number in range(3):
        stop(service, service.add_run(f"b{number}"), kept=number in kept)
    assert await said(service) == told
    fail(service, service.add_run("b3"), Cause.AGENT)
    assert "4 runs have ended, 3 cancelled, 1 failed" in await said(service)


async def test_a_lost_run_whose_work_is_still_being_kept_is_not_waited_for(service: FakeService) -> None:
    lost, stopped = service.add_run("lost"), service.add_run("stopped")
    service.change(start_agent(service, lost).id, held="what it left is being kept")
    stop(service, stopped, kept=False)
    assert [run.id for run in await runs_as_left(service, [lost.id, stopped.id], stopped=True)] == [stopped.id]


async def test_a_name_can_do_nothing_to_the_shell(service: FakeService) -> None:
    start_agent(service, service.add_run("", prompt="\x1b]0;PWN\x07\x9b31mdo"))
    assert all(letter.isprintable() for letter in await said(service))


@pytest.mark.parametrize(("answer", "left"), [("l", True), ("escape", False)], ids=["left", "stayed"])
async def test_the_runs_that_are_active_when_it_is_left_are_remembered(show: Show, service: FakeService, answer: str, left: bool) -> None:
    push(service, service.add_run("before"))
    run = start_agent(service, service.add_run("one"))
    async with show(detached=True) as pilot:
        await wait_for_text(pilot, "one")
        app = as_ccterm(pilot)
        await pilot.press("q")
        await wait_for_text(pilot, "Quit?")
        await pilot.press(answer)
        await until(lambda: not app.is_running if left else not isinstance(app.screen, ModalScreen))
        assert list(app.leaving) == ([run.id] if left else [])
