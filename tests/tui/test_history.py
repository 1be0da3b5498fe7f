"""History: what became of runs, and what is left to do about them."""

from datetime import timedelta
from pathlib import Path

from ccterm.tui.memory import Memory
from tests.tui.acts import delivers, fails, is_refused, works
from tests.tui.conftest import Show
from tests.tui.seeing import asked, sees, sees_no, text_of, typed
from tests.tui.stage import Stage


def past(stage: Stage) -> None:
    delivers(stage, stage.enter("feature/login"))
    delivers(stage, stage.enter("docs/api"))
    is_refused(stage, stage.enter("chore/settings"))
    fails(stage, stage.enter("fix/rounding"))


async def test_past_runs_stand_with_what_became_of_them(show: Show, stage: Stage) -> None:
    past(stage)
    works(stage, stage.enter("still/running"))
    async with show() as pilot:
        await pilot.press("H")
        await sees(pilot, "✓ feature/login", "pushed a91f03c2, verified", "! chore/settings", "✗ fix/rounding", "4 runs")
        await sees_no(pilot, "still/running")


async def test_the_first_line_says_what_happened_since_one_left(show: Show, stage: Stage, tmp_path: Path) -> None:
    fails(stage, stage.enter("long/ago"))
    memory = Memory(tmp_path)
    memory.leave(stage.clock() + timedelta(minutes=1))
    stage.clock.forward(hours=1)
    past(stage)
    async with show(memory=memory) as pilot:
        await pilot.press("H")
        await sees(pilot, "since you left: 2 pushed, 1 refused, 1 failed")


async def test_filter_and_unreviewed_narrow_the_list(show: Show, stage: Stage) -> None:
    past(stage)
    async with show() as pilot:
        await pilot.press("H")
        await sees(pilot, "feature/login")
        await pilot.press("f")
        await typed(pilot, "failed")
        await sees_no(pilot, "feature/login")
        await pilot.press("escape")
        await sees(pilot, "feature/login")
        await pilot.press("m", "u")
        await sees_no(pilot, "fix/rounding")


async def test_orders_go_to_the_chosen_run(show: Show, stage: Stage) -> None:
    past(stage)
    async with show() as pilot:
        await pilot.press("H")
        await sees(pilot, "chore/settings")
        await pilot.press("down", "P")
        await asked(stage, "push", "01STAGE0000000000000000002")
        await pilot.press("r")
        await asked(stage, "retry", "01STAGE0000000000000000002")


async def test_a_past_run_is_opened_and_left(show: Show, stage: Stage) -> None:
    past(stage)
    async with show() as pilot:
        await pilot.press("H")
        await sees(pilot, "fix/rounding")
        await pilot.press("end", "enter")
        await sees(pilot, "18 turns", "› Read")
        await pilot.press("escape")
        await sees(pilot, "4 runs")


async def test_a_narrow_screen_has_whole_words_only(show: Show, stage: Stage) -> None:
    delivers(stage, stage.enter("one"))
    async with show((80, 24)) as pilot:
        await pilot.press("H")
        await sees(pilot, "pushed a91f03c2, verified")
        assert "…" not in text_of(pilot.app)
