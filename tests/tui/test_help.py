"""Help and palette: made from the bindings, so that they hold every action and no other."""

from tests.tui.acts import works
from tests.tui.conftest import Show
from tests.tui.seeing import asked, sees, sees_no, text_of, typed
from tests.tui.stage import Stage


async def test_help_tells_the_keys_of_the_screen_and_the_signs(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("one"))
    async with show((120, 60)) as pilot:
        await sees(pilot, "▌1")
        await pilot.press("question_mark")
        await sees(pilot, "Say something to the running agent", "Past runs", "refused by a rule", "Every action by name", "Search")
        await pilot.press("escape")
        await sees_no(pilot, "refused by a rule")


async def test_the_palette_carries_an_action_out(show: Show, stage: Stage) -> None:
    run = works(stage, stage.enter("one"))
    async with show() as pilot:
        await sees(pilot, "▌1")
        await pilot.press("ctrl+p")
        await typed(pilot, "hold")
        await sees(pilot, "Let the agent wait")
        await pilot.press("enter")
        await asked(stage, "hold", run.id)


async def test_the_palette_offers_nothing_that_cannot_be_done(show: Show) -> None:
    async with show() as pilot:
        await sees(pilot, "No runs yet")
        await pilot.press("ctrl+p")
        await typed(pilot, "steer")
        await sees(pilot, "Filter  (f)")
        assert "Say something to the running agent" not in text_of(pilot.app)


async def test_the_theme_turns_from_dark_to_light(show: Show) -> None:
    async with show() as pilot:
        await sees(pilot, "No runs yet")
        await pilot.press("t")
        assert pilot.app.theme == "textual-light"
        await pilot.press("t")
        assert pilot.app.theme == "textual-dark"


async def test_the_settings_choose_the_theme(show: Show) -> None:
    async with show(settings={"mode": "local", "tui": {"theme": "nord"}}) as pilot:
        await sees(pilot, "No runs yet")
        assert pilot.app.theme == "nord"


async def test_the_palette_of_the_form_leaves_out_what_moves_its_cursor(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await sees(pilot, "What should be done?")
        await pilot.press("ctrl+p")
        await typed(pilot, "l")
        await sees(pilot, "Launch  (ctrl+s)")
        assert "Cursor" not in text_of(pilot.app)
