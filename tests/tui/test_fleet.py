"""The fleet: which runs have a pane, which one has the focus, and what each of them shows."""

import pytest

from ccterm.events import Held, Said, Started, StepStarted
from ccterm.models import CheckResult
from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.pane.view import ViewportView
from ccterm.tui.screens.run import RunScreen
from ccterm.tui.widgets.run_pane import KeyStrip, RunPane
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, screen_text, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import fail, push, refuse, start_agent, wait_for_input


async def test_without_runs_it_says_how_to_start(show: Show) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "No runs yet", "write a task", "no runs")


async def test_active_runs_are_shown_from_the_start(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("feature/login"))
    async with show() as pilot:
        await wait_for_text(pilot, "feature/login", "I'll start with the session middleware.", "$0.31", "1 running")


async def test_a_run_of_another_process_appears(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        service.add_run("feature/late")
        await wait_for_text(pilot, "feature/late", "1 queued")


async def test_events_are_shown_as_they_happen(show: Show, service: FakeService) -> None:
    run = service.add_run("feature/login")
    async with show() as pilot:
        service.emit(run.id, Started(), StepStarted(step="setup"))
        await wait_for_text(pilot, "setup")
        service.emit(run.id, Said(text="A word from the agent."))
        await wait_for_text(pilot, "A word from the agent.")


async def test_a_held_run_says_why(show: Show, service: FakeService) -> None:
    for number in range(5):
        start_agent(service, service.add_run(f"feature/{number}"))
    service.emit(service.add_run("feature/held").id, Held(reason="branch busy"))
    async with show() as pilot:
        await wait_for_text(pilot, "held: branch busy", "1 held")


async def test_a_run_that_waits_for_its_turn_counts_as_queued(show: Show, service: FakeService) -> None:
    for number in range(5):
        start_agent(service, service.add_run(f"feature/{number}"))
    service.emit(service.add_run("feature/next").id, Held(reason="waiting for a free slot", turn=True))
    async with show() as pilot:
        await wait_for_text(pilot, "queued", "waiting for a free slot", "5 running  1 queued")


async def test_the_first_run_has_the_focus_and_numbers_move_it(show: Show, service: FakeService) -> None:
    for name in ("one", "two", "three"):
        start_agent(service, service.add_run(name))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1 ●")
        await pilot.press("3")
        await wait_for_text(pilot, "▌#3 ●")
        await pilot.press("tab")
        await wait_for_text(pilot, "▌#1 ●")
        await pilot.press("shift+tab")
        await wait_for_text(pilot, "▌#3 ●")


async def test_a_click_focuses_a_run(show: Show, service: FakeService) -> None:
    for name in ("one", "two"):
        start_agent(service, service.add_run(name))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1 ●", "two")
        await pilot.click(list(pilot.app.screen.query(RunPane))[1])
        await wait_for_text(pilot, "▌#2 ●")


async def test_a_folded_run_gets_a_pane_with_the_focus(show: Show, service: FakeService) -> None:
    for number in range(6):
        start_agent(service, service.add_run(f"feature/{number}"))
    async with show((80, 24)) as pilot:
        await wait_for_text(pilot, "▌#1 ●", "#5 ● feature/4")
        await pilot.press(*["tab"] * 4)
        await wait_for_text(pilot, "▌#5 ●", "#1 ● feature/0")


async def test_a_run_that_needs_attention_gets_a_pane(show: Show, service: FakeService) -> None:
    runs = [start_agent(service, service.add_run(f"feature/{number}")) for number in range(7)]
    async with show() as pilot:
        await wait_for_text(pilot, "feature/6")
        assert runs[6].id not in [pane.run for pane in pilot.app.screen.query(RunPane)]
        wait_for_input(service, runs[6])
        await wait_for_text(pilot, "s answer", "waiting for input until 12:52")
        await until(lambda: runs[6].id in [pane.run for pane in pilot.app.screen.query(RunPane)])


async def test_a_pinned_run_keeps_its_pane(show: Show, service: FakeService) -> None:
    runs = [start_agent(service, service.add_run(f"feature/{number}")) for number in range(5)]
    async with show((80, 24)) as pilot:
        await pilot.press("tab", "asterisk", "tab", "tab")
        await wait_for_text(pilot, "pinned")
        await until(lambda: [pane.run for pane in pilot.app.screen.query(RunPane)] == [runs[1].id])


async def test_the_filter_shows_only_runs_with_all_words(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("feature/login"))
    fail(service, service.add_run("fix/rounding"))
    async with show() as pilot:
        await wait_for_text(pilot, "feature/login", "fix/rounding")
        await pilot.press("f")
        await type_text(pilot, "failed auth")
        await wait_until_gone(pilot, "● feature/login")
        await pilot.press("enter")
        await wait_for_text(pilot, "filter: failed auth", "fix/rounding")
        await pilot.press("f")
        await type_text(pilot, " nowhere")
        await wait_for_text(pilot, "none of 2 runs passes the filter; esc shows all")
        await wait_until_gone(pilot, "No runs yet")
        await pilot.press("escape")
        await wait_for_text(pilot, "feature/login")


async def test_a_click_on_a_key_below_a_pane_presses_it(show: Show, service: FakeService) -> None:
    run = fail(service, service.add_run("fix/rounding"))
    async with show() as pilot:
        await wait_for_text(pilot, "x reviewed")
        strip = pilot.app.screen.query_one(KeyStrip)
        await pilot.click(strip, offset=(1 + strip.left.plain.index("x reviewed") + 3, 0))
        await wait_for_call(service, "review", run.id)


async def test_only_what_can_be_done_is_offered(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    fail(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#2", "m Continue")
        assert "s Steer" not in screen_text(pilot.app)
        await pilot.press("2")
        await wait_for_text(pilot, "s Steer", "c Cancel")
        assert "m Continue" not in screen_text(pilot.app)


async def test_zoom_shows_the_run_alone_and_escape_returns(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("enter")
        await wait_for_text(pilot, "resolve", "18 turns")
        assert isinstance(pilot.app.screen, RunScreen)
        await pilot.press("escape")
        await wait_for_text(pilot, "▌#1")


async def test_markup_in_names_and_words_is_never_interpreted(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/x", prompt="[bold red]do[/] it"), text="[@click=app.bell]press[/]")
    fail(service, run, summary="[/nonsense] failed")
    async with show() as pilot:
        await wait_for_text(pilot, "[@click=app.bell]press[/]", "[bold red]do[/] it")
        await pilot.press("enter")
        await wait_for_text(pilot, "[/nonsense] failed")


async def test_a_toast_is_shown_once_for_each_event(show: Show, service: FakeService) -> None:
    run = service.add_run("feature/search")
    async with show() as pilot:
        await wait_for_text(pilot, "feature/search")
        wait_for_input(service, run)
        await wait_for_text(pilot, "feature/search is waiting for input")
        await until(lambda: len(as_ccterm(pilot)._notifications) == 1)
        assert [notice.title for notice in as_ccterm(pilot)._notifications] == ["#1 feature/search is waiting for input"]


async def test_events_from_before_the_start_make_no_toast(show: Show, service: FakeService) -> None:
    wait_for_input(service, service.add_run("feature/search"))
    service.clock.forward(minutes=5)
    async with show() as pilot:
        await wait_for_text(pilot, "s answer")
        assert list(as_ccterm(pilot)._notifications) == []


async def test_a_smaller_window_folds_panes_and_a_larger_one_unfolds_them(show: Show, service: FakeService) -> None:
    for number in range(4):
        start_agent(service, service.add_run(f"feature/{number}"))
    async with show((160, 48)) as pilot:
        await wait_for_text(pilot, "feature/3")
        await until(lambda: len(pilot.app.screen.query(RunPane)) == 4)
        await pilot.resize_terminal(80, 24)
        await until(lambda: len(pilot.app.screen.query(RunPane)) == 1)
        await wait_for_text(pilot, "#4 ● feature/3")


async def test_selected_text_is_copied_and_the_pane_resumes(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "I'll start with the session middleware.")
        view = pilot.app.screen.query_one(ViewportView)
        await pilot.mouse_down(view, offset=(1, 0))
        await pilot.hover(view, offset=(30, 2))
        await pilot.mouse_up(view, offset=(30, 2))
        await wait_for_text(pilot, "ctrl+c copy")
        await pilot.press("ctrl+c")
        await wait_for_text(pilot, "copied")
        await wait_until_gone(pilot, "ctrl+c copy")
        assert pilot.app.clipboard.startswith("» Do it")
        assert pilot.app.clipboard.count("\n") == 2


async def test_a_refused_run_says_so_in_its_title(show: Show, service: FakeService) -> None:
    refuse(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1 ! one", "refused  0:00")


async def test_at_first_an_active_run_is_focused(show: Show, service: FakeService) -> None:
    push(service, service.add_run("one"))
    start_agent(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#2 ● two")


@pytest.mark.parametrize(
    ("modes", "place"),
    [
        ((), "this machine, no isolation"),
        (("dagger",), "containers ·"),
        (("dagger", "local"), "containers and this machine, no isolation"),
    ],
    ids=["none", "containers", "both"],
)
async def test_the_header_says_where_the_runs_are_whatever_new_ones_would_be(
    show: Show, service: FakeService, modes: tuple[str, ...], place: str
) -> None:
    for mode in modes:
        start_agent(service, service.add_run(mode, execution_mode=mode))
    async with show(settings={"mode": "local"}) as pilot:
        await wait_for_text(pilot, f"ccterm  {place}")


async def test_what_came_behind_another_screen_is_shown(show: Show, service: FakeService) -> None:
    service.check_results = [CheckResult(name="login", group="claude", status="pass", text="a login, valid for 8 h")]
    app = CctermApp.provided_with(Settings.model_validate({"mode": "dagger"}), memory=Memory(None))
    async with app.run_test(size=(120, 32)) as pilot:
        await pilot.press("p")
        app.connected(service)
        await until(lambda: app.runs.known and app.checked and not app.checking)
        await pilot.press("escape")
        await wait_for_text(pilot, "No runs yet", "a login, valid for 8 h")
