"""The fleet: who has a pane, who has the keys, and what orders come of them."""

from ccterm.causes import Cause
from ccterm.errors import UsageError
from ccterm.events import Held, Said, Started, StepStarted
from ccterm.tui.pane.view import ViewportView
from ccterm.tui.screens.fleet import FleetScreen
from ccterm.tui.screens.run import RunViewScreen
from ccterm.tui.widgets.run_pane import RunPane
from tests.support.waiting import until
from tests.tui.acts import delivers, fails, is_refused, waits, works
from tests.tui.conftest import Show
from tests.tui.seeing import asked, breathe, sees, sees_no, text_of, the_app, typed
from tests.tui.stage import Stage


def fleet(screen: object) -> FleetScreen:
    assert isinstance(screen, FleetScreen)
    return screen


async def test_without_runs_it_says_what_to_do(show: Show) -> None:
    async with show() as pilot:
        await sees(pilot, "No runs yet", "write a task", "0 running · 0 queued · 0 held · 0 failed")


async def test_runs_that_are_under_way_are_there_from_the_start(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("feature/login"))
    async with show() as pilot:
        await sees(pilot, "feature/login", "I'll start with the session middleware.", "$0.31", "1 running")


async def test_a_run_of_another_process_appears(show: Show, stage: Stage) -> None:
    async with show() as pilot:
        stage.enter("feature/late")
        await sees(pilot, "feature/late", "1 queued")


async def test_what_happens_is_shown_as_it_happens(show: Show, stage: Stage) -> None:
    run = stage.enter("feature/login")
    async with show() as pilot:
        stage.play(run.id, Started(), StepStarted(step="setup"))
        await sees(pilot, "setup")
        stage.play(run.id, Said(text="A word from the agent."))
        await sees(pilot, "A word from the agent.")


async def test_a_held_run_says_why(show: Show, stage: Stage) -> None:
    for number in range(5):
        works(stage, stage.enter(f"feature/{number}"))
    stage.play(stage.enter("feature/held").id, Held(reason="branch busy"))
    async with show() as pilot:
        await sees(pilot, "held: branch busy", "1 held")


async def test_the_first_run_has_the_keys_and_numbers_choose_others(show: Show, stage: Stage) -> None:
    for name in ("one", "two", "three"):
        works(stage, stage.enter(name))
    async with show() as pilot:
        await sees(pilot, "▌1 ●")
        await pilot.press("3")
        await sees(pilot, "▌3 ●")
        await pilot.press("tab")
        await sees(pilot, "▌1 ●")
        await pilot.press("shift+tab")
        await sees(pilot, "▌3 ●")


async def test_a_click_chooses_a_run(show: Show, stage: Stage) -> None:
    for name in ("one", "two"):
        works(stage, stage.enter(name))
    async with show() as pilot:
        await sees(pilot, "▌1 ●", "two")
        await pilot.click(list(pilot.app.screen.query(RunPane))[1])
        await sees(pilot, "▌2 ●")


async def test_a_folded_run_gets_a_pane_when_it_is_chosen(show: Show, stage: Stage) -> None:
    for number in range(6):
        works(stage, stage.enter(f"feature/{number}"))
    async with show((80, 24)) as pilot:
        await sees(pilot, "▌1 ●", " 5 ● feature/4")
        await pilot.press("5")
        await sees(pilot, "▌5 ●", " 1 ● feature/0")


async def test_a_run_that_wants_its_user_gets_room(show: Show, stage: Stage) -> None:
    runs = [works(stage, stage.enter(f"feature/{number}")) for number in range(7)]
    async with show() as pilot:
        await sees(pilot, "feature/6")
        assert runs[6].id not in [pane.run for pane in pilot.app.screen.query(RunPane)]
        waits(stage, runs[6])
        await sees(pilot, "s answer", "waits until 12:52")
        assert runs[6].id in [pane.run for pane in pilot.app.screen.query(RunPane)]


async def test_a_pinned_run_keeps_its_pane(show: Show, stage: Stage) -> None:
    runs = [works(stage, stage.enter(f"feature/{number}")) for number in range(5)]
    async with show((80, 24)) as pilot:
        await pilot.press("2", "space", "4")
        await sees(pilot, "pinned")
        assert [pane.run for pane in pilot.app.screen.query(RunPane)] == [runs[1].id]


async def test_filter_shows_only_what_holds_all_words(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("feature/login"))
    fails(stage, stage.enter("fix/rounding"))
    async with show() as pilot:
        await sees(pilot, "feature/login", "fix/rounding")
        await pilot.press("f")
        await typed(pilot, "failed auth")
        await sees_no(pilot, "feature/login")
        await pilot.press("enter")
        await sees(pilot, "filter: failed auth", "fix/rounding")
        await pilot.press("f", "escape")
        await sees(pilot, "feature/login")


async def test_steering_says_it_to_the_run_that_has_the_keys(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    second = works(stage, stage.enter("two"))
    async with show() as pilot:
        await sees(pilot, "two")
        await pilot.press("2", "s")
        await sees(pilot, "What should two know?")
        await typed(pilot, "use SQLite")
        await pilot.press("enter")
        await asked(stage, "steer", second.id, "use SQLite")
        await sees(pilot, "told two")


async def test_an_empty_word_is_not_said(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("s", "escape", "s", "enter")
        await breathe(pilot)
        assert stage.orders == []


async def test_hold_holds_a_running_agent_and_releases_a_waiting_one(show: Show, stage: Stage) -> None:
    running = works(stage, stage.enter("one"))
    waiting = waits(stage, stage.enter("two"))
    async with show() as pilot:
        await sees(pilot, "two", "s answer")
        await pilot.press("1", "h")
        await asked(stage, "hold", running.id)
        await pilot.press("2", "h")
        await asked(stage, "release", waiting.id)


async def test_cancel_asks_and_keeps_the_work(show: Show, stage: Stage) -> None:
    run = works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("c")
        await sees(pilot, "Stop one?", "keep its work")
        await pilot.press("s")
        await asked(stage, "cancel", run.id, "keep")
        await sees(pilot, "cancelled")


async def test_cancel_can_kill_and_escape_does_nothing(show: Show, stage: Stage) -> None:
    run = works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("c", "escape")
        await breathe(pilot)
        assert stage.orders == []
        await pilot.press("c", "k")
        await asked(stage, "cancel", run.id, "now")


async def test_retry_queues_a_failed_run_again(show: Show, stage: Stage) -> None:
    run = fails(stage, stage.enter("fix/rounding"))
    async with show() as pilot:
        await sees(pilot, "r retry")
        await pilot.press("r")
        await asked(stage, "retry", run.id)
        await sees(pilot, "2 ○ fix/rounding")


async def test_push_delivers_what_was_kept(show: Show, stage: Stage) -> None:
    run = is_refused(stage, stage.enter("chore/settings"))
    async with show() as pilot:
        await sees(pilot, "P push it all the same", "work kept")
        await pilot.press("P")
        await asked(stage, "push", run.id)


async def test_fetch_asks_where_to(show: Show, stage: Stage) -> None:
    run = delivers(stage, stage.enter("feature/login"))
    async with show() as pilot:
        await sees(pilot, "pushed a91f03c2")
        await pilot.press("b")
        await sees(pilot, "Into which repository?")
        await pilot.press("end", "ctrl+u")
        await typed(pilot, "/tmp/shop")
        await pilot.press("enter")
        await asked(stage, "fetch", run.id, "/tmp/shop")


async def test_a_reviewed_run_is_put_away(show: Show, stage: Stage) -> None:
    run = fails(stage, stage.enter("fix/rounding"))
    async with show() as pilot:
        await sees(pilot, "m seen")
        await pilot.press("m")
        await asked(stage, "review", run.id)
        await sees(pilot, "No runs yet")


async def test_only_what_can_be_done_is_offered(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    fails(stage, stage.enter("two"))
    async with show() as pilot:
        await sees(pilot, "s Steer", "c Cancel")
        assert "r Retry" not in text_of(pilot.app)
        await pilot.press("2")
        await sees(pilot, "r Retry")
        assert "s Steer" not in text_of(pilot.app)


async def test_a_refused_order_says_why_and_what_to_do(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    stage.refusal = UsageError("the agent takes no words now", "ccterm show says where it is")
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("h")
        await sees(pilot, "the agent takes no words now", "ccterm show says where it is")


async def test_a_failed_login_is_mended_by_one_key(show: Show, stage: Stage) -> None:
    fails(stage, stage.enter("fix/rounding"), Cause.AUTH)
    async with show() as pilot:
        await sees(pilot, "e re-export the login")
        await pilot.press("e")
        await asked(stage, "export")
        await sees(pilot, "good until 20:00")


async def test_zoom_shows_the_run_alone_and_escape_comes_back(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("enter")
        await sees(pilot, "resolve", "18 turns")
        assert isinstance(pilot.app.screen, RunViewScreen)
        await pilot.press("escape")
        await sees(pilot, "▌1")


async def test_markup_in_names_and_words_is_never_interpreted(show: Show, stage: Stage) -> None:
    run = works(stage, stage.enter("feature/x", prompt="[bold red]do[/] it"), said="[@click=app.bell]press[/]")
    fails(stage, run, summary="[/nonsense] failed")
    async with show() as pilot:
        await sees(pilot, "[@click=app.bell]press[/]", "[bold red]do[/] it")
        await pilot.press("enter")
        await sees(pilot, "[/nonsense] failed")


async def test_a_toast_tells_each_turn_of_events_once(show: Show, stage: Stage) -> None:
    run = stage.enter("feature/search")
    async with show() as pilot:
        await sees(pilot, "feature/search")
        waits(stage, run)
        await sees(pilot, "feature/search waits for a word")
        titles = [notice.title for notice in the_app(pilot)._notifications]
        assert titles.count("feature/search waits for a word") == 1


async def test_what_happened_before_is_not_told_again(show: Show, stage: Stage) -> None:
    waits(stage, stage.enter("feature/search"))
    stage.clock.forward(minutes=5)
    async with show() as pilot:
        await sees(pilot, "s answer")
        assert list(the_app(pilot)._notifications) == []


async def test_a_smaller_window_folds_panes_and_a_larger_one_unfolds_them(show: Show, stage: Stage) -> None:
    for number in range(4):
        works(stage, stage.enter(f"feature/{number}"))
    async with show((160, 48)) as pilot:
        await sees(pilot, "feature/3")
        assert len(pilot.app.screen.query(RunPane)) == 4
        await pilot.resize_terminal(80, 24)
        await until(lambda: len(pilot.app.screen.query(RunPane)) == 1, limit=10)
        await sees(pilot, " 4 ● feature/3")


async def test_what_the_mouse_selects_is_copied_and_the_pane_goes_on(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "I'll start with the session middleware.")
        view = pilot.app.screen.query_one(ViewportView)
        await pilot.mouse_down(view, offset=(1, 0))
        await pilot.hover(view, offset=(30, 2))
        await pilot.mouse_up(view, offset=(30, 2))
        await sees(pilot, "ctrl+c copies")
        await pilot.press("ctrl+c")
        await sees(pilot, "copied")
        await sees_no(pilot, "ctrl+c copies")
        assert pilot.app.clipboard.startswith("» Do it")
        assert pilot.app.clipboard.count("\n") == 2


async def test_a_refused_run_says_so_in_its_title(show: Show, stage: Stage) -> None:
    is_refused(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1 ! one", "refused  0:00")


async def test_a_waiting_agent_goes_on_at_once_with_what_it_is_told(show: Show, stage: Stage) -> None:
    waits(stage, stage.enter("one"))
    works(stage, stage.enter("two"))
    async with show() as pilot:
        await sees(pilot, "s answer")
        await pilot.press("s")
        await sees(pilot, "it goes on with this at once")
        await pilot.press("escape", "2", "s")
        await sees(pilot, "taken up when the running tool ends")


async def test_at_first_a_run_that_goes_on_is_focused(show: Show, stage: Stage) -> None:
    delivers(stage, stage.enter("one"))
    works(stage, stage.enter("two"))
    async with show() as pilot:
        await sees(pilot, "▌2 ● two")
