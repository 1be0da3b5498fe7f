"""Ended runs go on: what is said to them, how, and how it reads."""

from ccterm.errors import UsageError
from ccterm.tui.screens.writing import WritingScreen
from ccterm.tui.widgets.run_pane import RunPane
from ccterm.values import StepRecord
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import conflict, fail, push, start_agent


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


async def test_after_a_conflict_the_user_chooses_a_new_branch_in_the_terminal(show: Show, service: FakeService) -> None:
    run = conflict(service)
    async with show() as pilot:
        await wait_for_text(pilot, "both changed login.py")
        await pilot.press("m")
        await wait_for_text(pilot, "Where is feature/login to go on?", "on a new branch")
        await pilot.press("b")
        await wait_for_text(pilot, "What is the new branch called?", "feature/login-2")
        await pilot.press("enter")
        await wait_for_text(pilot, "on feature/login-2, from where the earlier run began")
        await pilot.press("enter")  # with the text that no agent has been told yet
        await wait_for_call(service, "continue", run.id, "Fix the tests", "feature/login-2")


async def test_after_a_conflict_the_same_branch_may_be_tried_again(show: Show, service: FakeService) -> None:
    run = conflict(service)
    async with show() as pilot:
        await wait_for_text(pilot, "both changed login.py")
        await pilot.press("m", "escape", "m", "t")
        await type_text(pilot, " now")
        await pilot.press("enter")
        await wait_for_call(service, "continue", run.id, "Fix the tests now")


async def test_without_a_conversation_a_new_one_begins_and_it_is_said(show: Show, service: FakeService) -> None:
    run = fail(service, service.add_run("feature/login"))
    service.change(run.id, session_id=None, steps=(StepRecord(name="agent", ok=False, seconds=1.0),))
    async with show() as pilot:
        await wait_for_text(pilot, "m continue")
        await pilot.press("m")
        await wait_for_text(pilot, "there is no conversation to go on with: a new one begins")
        await type_text(pilot, "fix it")
        await pilot.press("enter")
        await wait_for_call(service, "continue", run.id, "fix it", "fresh")


async def test_what_could_not_be_said_to_a_run_is_there_when_it_goes_on(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("s")
        service.refusal = UsageError("run #1 has ended already (succeeded)", "ccterm continue 1 TEXT goes on with it")
        await type_text(pilot, "use SQLite")
        await pilot.press("enter")
        await wait_for_text(pilot, "run #1 has ended already")
        push(service, run)
        await wait_for_text(pilot, "pushed a91f03c2")
        await pilot.press("m")
        await wait_for_text(pilot, "What is feature/login to do next?", "use SQLite")
        await pilot.press("enter")  # which is refused, too
        await wait_for_call(service, "continue", run.id, "use SQLite")
        await pilot.press("m")
        await wait_for_text(pilot, "What is feature/login to do next?", "use SQLite")


async def test_what_could_not_be_said_is_kept_while_an_empty_message_is_put_away(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("s")
        await wait_for_text(pilot, "Message to feature/login")
        screen = pilot.app.screen
        assert isinstance(screen, WritingScreen)
        screen.keep_unsent(run.id, "use SQLite")  # sent before, and refused only now
        await pilot.press("escape", "s")
        await wait_for_text(pilot, "use SQLite")


async def test_what_could_not_be_said_in_a_dialog_is_there_again(show: Show, service: FakeService) -> None:
    for number in range(6):  # so many that a pane has no room to write in
        fail(service, service.add_run(f"agent/{number}"))
    service.refusal = UsageError("the branch is busy", "wait")
    async with show((40, 10)) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("m")
        await type_text(pilot, "use SQLite")
        await pilot.press("enter")
        await wait_for_text(pilot, "the branch is busy")
        await pilot.press("m")
        await wait_for_text(pilot, "What is agent/0 to do next?", "use SQLite")
        await pilot.press("escape", "m")
        await wait_for_text(pilot, "What is agent/0 to do next?", "use SQLite")


async def test_a_dialog_shows_all_of_itself_on_a_very_low_screen(show: Show, service: FakeService) -> None:
    for number in range(6):  # so many that a pane has no room to write in
        fail(service, service.add_run(f"agent/{number}"))
    async with show((40, 10)) as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press("m")
        await wait_for_text(pilot, "What is agent/0 to do next?", "esc cancel", "╰───")
