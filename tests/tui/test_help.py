"""Help and palette, made from the bindings: every action, and no other."""

from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import refuse, start_agent


async def test_help_lists_the_keys_of_the_screen_and_the_signs(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show((120, 90)) as pilot:
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


async def test_help_lists_what_cannot_be_done_now_and_why(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show((120, 90)) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Run the same task again (now: one has not ended yet)")


async def test_the_palette_says_why_an_action_cannot_be_done(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("ctrl+p")
        await type_text(pilot, "retry")
        await wait_for_text(pilot, "Retry  (r)", "now: one has not ended yet")
        await pilot.press("enter")
        await wait_for_text(pilot, "12:00:00  one has not ended yet")
        assert service.calls == []


async def test_the_palette_finds_actions_by_their_words(show: Show, service: FakeService) -> None:
    refuse(service, service.add_run("one"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("ctrl+p")
        await type_text(pilot, "pus")
        await wait_for_text(pilot, "Push  (P)")
        found = screen_text(pilot.app)
        assert found.index("Push  (P)") < found.index("Open  (o)")
        assert "Filter  (f)" not in found
        await pilot.press("enter")
        await wait_for_call(service, "push", "01FAKE00000000000000000000")


async def test_the_palette_begins_with_what_can_be_done_to_the_run(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"))
    async with show((120, 60)) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("ctrl+p")
        await wait_for_text(pilot, "Steer  (s)", "Pin  (*)")
        found = screen_text(pilot.app)
        assert found.index("Steer  (s)") < found.index("Pin  (*)") < found.index("Next run  (tab)")
        assert "Copy selected text" not in found


async def test_the_palette_of_the_form_leaves_out_cursor_keys(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "What should be done?")
        await pilot.press("ctrl+p")
        await type_text(pilot, "l")
        await wait_for_text(pilot, "Launch  (^s)")
        assert "Cursor" not in screen_text(pilot.app)
