"""The fleet: which runs have a pane, which one has the focus, and what its keys do."""

import pytest

from ccterm.causes import Cause
from ccterm.errors import UsageError
from ccterm.events import Finished, Held, HoldChanged, Said, Spent, Started, StepStarted
from ccterm.models import ExecutionMode, Manifest, State
from ccterm.service.protocol import GO_ON
from ccterm.tui.app import CctermApp
from ccterm.tui.pane.view import ViewportView
from ccterm.tui.run_view import RunView
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.run import RunScreen
from ccterm.tui.screens.run_actions import export_login
from ccterm.tui.widgets.run_pane import KeyStrip, RunPane
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, screen_text, settle, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import ask_permission, fail, push, refuse, start_agent, wait_for_input


def fleet(screen: object) -> FleetScreen:
    assert isinstance(screen, FleetScreen)
    return screen


async def test_one_key_starts_all_runs_again_whose_login_was_refused_once_there_is_another(show: Show, service: FakeService) -> None:
    runs = [service.add_run(name) for name in ("one", "two", "three")]
    for run, turns in zip(runs, (0, 4, 0), strict=True):
        cause = Cause.AUTH if run is not runs[2] else Cause.AGENT
        service.emit(run.id, Spent(cost_usd=0.1, turns=turns), Finished(state=State.FAILED, cause=cause))
        service.change(run.id, session_id="5f0c4b9e-2f2a-4b38-9d57-2a8e1b1f6f10")
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
        assert runs[6].id in [pane.run for pane in pilot.app.screen.query(RunPane)]


async def test_a_pinned_run_keeps_its_pane(show: Show, service: FakeService) -> None:
    runs = [start_agent(service, service.add_run(f"feature/{number}")) for number in range(5)]
    async with show((80, 24)) as pilot:
        await pilot.press("tab", "asterisk", "tab", "tab")
        await wait_for_text(pilot, "pinned")
        assert [pane.run for pane in pilot.app.screen.query(RunPane)] == [runs[1].id]


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
        await pilot.press("f", "escape")
        await wait_for_text(pilot, "feature/login")


async def test_steering_sends_a_message_to_the_focused_run(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    second = start_agent(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "two")
        await pilot.press("2", "s")
        await wait_for_text(pilot, "Message to two")
        await type_text(pilot, "use SQLite")
        await pilot.press("enter")
        await wait_for_call(service, "steer", second.id, "use SQLite")
        await wait_for_text(pilot, "sent to two")


async def test_an_empty_message_is_not_sent(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("s", "escape", "s", "enter")
        await settle(pilot)
        assert service.calls == []


async def test_hold_holds_a_running_agent_and_releases_a_waiting_one(show: Show, service: FakeService) -> None:
    running = start_agent(service, service.add_run("one"))
    waiting = wait_for_input(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#2 ? two", "s answer")
        await pilot.press("2", "h")
        await wait_for_call(service, "hold", running.id)
        await pilot.press("1", "h")
        await wait_for_call(service, "release", waiting.id)


async def test_a_held_agent_has_a_badge_and_the_same_key_takes_the_order_back(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    service.emit(run.id, HoldChanged(on=True))
    async with show() as pilot:
        await wait_for_text(pilot, "hold  agent")
        await pilot.press("h")
        await wait_for_call(service, "release", run.id)


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


async def test_retry_queues_a_failed_run_again(show: Show, service: FakeService) -> None:
    run = fail(service, service.add_run("fix/rounding"))
    async with show() as pilot:
        await wait_for_text(pilot, "r retry")
        await pilot.press("r")
        await wait_for_call(service, "retry", run.id)
        await wait_for_text(pilot, "#2 ○ fix/rounding")


async def test_push_pushes_kept_work(show: Show, service: FakeService) -> None:
    run = refuse(service, service.add_run("chore/settings"))
    async with show() as pilot:
        await wait_for_text(pilot, "P push anyway", "work kept")
        await pilot.press("P")
        await wait_for_call(service, "push", run.id)


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


async def test_a_reviewed_run_disappears(show: Show, service: FakeService) -> None:
    run = fail(service, service.add_run("fix/rounding"))
    async with show() as pilot:
        await wait_for_text(pilot, "x reviewed")
        await pilot.press("x")
        await wait_for_call(service, "review", run.id)
        await wait_for_text(pilot, "No runs yet")


async def test_an_ended_run_goes_on_with_what_is_said(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    async with show() as pilot:
        await wait_for_text(pilot, "pushed a91f03c2")
        await pilot.press("m")
        await wait_for_text(pilot, "What is feature/login to do next?")
        await type_text(pilot, "fix it")
        await pilot.press("enter")
        await wait_for_call(service, "continue", run.id, "fix it")
        await wait_until_gone(pilot, "pushed a91f03c2")


async def test_a_continued_run_is_one_thread_and_one_row(show: Show, service: FakeService) -> None:
    first = push(service, service.add_run("feature/login"))
    service.change(first.id, reviewed=True)
    second = start_agent(service, service.add_run("feature/login", prompt="Fix the tests"), text="The second turn.")
    service.change(second.id, continues=first.id)
    async with show((120, 60)) as pilot:
        await wait_for_text(pilot, "▌#2 ● feature/login", "── #1 succeeded · continued ──", "The second turn.")
        text = screen_text(pilot.app)
        assert text.index("» Do it") < text.index("── #1") < text.index("» Fix the tests")
        assert len(pilot.app.screen.query(RunPane)) == 1


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
        assert len(pilot.app.screen.query(RunPane)) == 4
        await pilot.resize_terminal(80, 24)
        await until(lambda: len(pilot.app.screen.query(RunPane)) == 1, limit=10)
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


@pytest.mark.slow
async def test_the_box_says_when_a_message_is_delivered(show: Show, service: FakeService) -> None:
    wait_for_input(service, service.add_run("one"))
    start_agent(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "s answer")
        await pilot.press("s")
        await wait_for_text(pilot, "Answer to one")
        await pilot.press("escape", "2", "s")
        await wait_for_text(pilot, "Message to two", "delivered when the running tool ends")


async def test_what_is_written_is_seen_on_a_very_small_screen(show: Show, service: FakeService) -> None:
    runs = [service.add_run(f"agent/{number}") for number in range(6)]
    for run in runs:
        start_agent(service, run)
    async with show((40, 10)) as pilot:
        await wait_for_text(pilot, "▌#1 ●")
        await pilot.press("s", *"hello")
        await wait_for_text(pilot, "hello")
        await pilot.press("enter")
        await wait_for_call(service, "steer", runs[0].id, "hello")


async def test_at_first_an_active_run_is_focused(show: Show, service: FakeService) -> None:
    push(service, service.add_run("one"))
    start_agent(service, service.add_run("two"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#2 ● two")


async def test_a_request_for_permission_is_answered_with_one_key(show: Show, service: FakeService) -> None:
    one = ask_permission(service, start_agent(service, service.add_run("one")), key="q1")
    two = ask_permission(service, start_agent(service, service.add_run("two")), key="q2")
    async with show() as pilot:
        await wait_for_text(pilot, "asks permission: Bash")
        await pilot.press("y")
        await wait_for_call(service, "decide", one.id, "q1", "allow", "")
        await pilot.press("full_stop", "Y")
        await wait_for_call(service, "decide", two.id, "q2", "always", "")


@pytest.mark.parametrize("word", ["", "only in n"])
async def test_a_refusal_may_carry_a_word_for_the_agent(show: Show, service: FakeService, word: str) -> None:
    run = ask_permission(service, start_agent(service, service.add_run("one")))
    async with show() as pilot:
        await wait_for_text(pilot, "asks permission: Bash")
        await pilot.press("n")
        await wait_for_text(pilot, "Refuse Bash npm ci")
        await type_text(pilot, word)
        await pilot.press("enter")
        await wait_for_call(service, "decide", run.id, "q1", "deny", word)


async def test_what_was_written_and_not_sent_is_there_again(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("s", *"first", "shift+enter", *"second", "escape", "s", "ctrl+j", *"third", "enter")
        await wait_for_call(service, "steer", run.id, "first\nsecond\nthird")


async def test_a_text_keeps_its_keys_while_other_runs_change(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("s", *"ny")
        ask_permission(service, start_agent(service, service.add_run("two")))
        await wait_for_text(pilot, "asks permission")
        await pilot.press(*"Yn", "enter")
        await wait_for_call(service, "steer", run.id, "nyYn")
