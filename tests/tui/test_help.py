"""Help and palette, made from the bindings: every action, and no other."""

from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import start_agent


async def test_help_lists_the_keys_of_the_screen_and_the_signs(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show((120, 60)) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Send a message to the running agent", "Past runs", "refused by policy", "All actions by name", "Search")
        await pilot.press("escape")
        await wait_until_gone(pilot, "refused by policy")


async def test_the_palette_runs_an_action(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("ctrl+p")
        await type_text(pilot, "hold")
        await wait_for_text(pilot, "Have the agent wait")
        await pilot.press("enter")
        await wait_for_call(service, "hold", run.id)


async def test_the_palette_offers_only_what_can_be_done(show: Show) -> None:
    async with show() as pilot:
        await wait_for_text(pilot, "No runs yet")
        await pilot.press("ctrl+p")
        await type_text(pilot, "steer")
        await wait_for_text(pilot, "Filter  (f)")
        assert "Send a message to the running agent" not in screen_text(pilot.app)


async def test_the_palette_of_the_form_leaves_out_cursor_keys(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "What should be done?")
        await pilot.press("ctrl+p")
        await type_text(pilot, "l")
        await wait_for_text(pilot, "Launch  (ctrl+s)")
        assert "Cursor" not in screen_text(pilot.app)
