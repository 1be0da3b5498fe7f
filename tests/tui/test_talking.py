"""What the user writes to agents: messages, orders to wait, and answers to what they ask."""

import pytest
from textual.events import Paste

from ccterm.events import HoldChanged
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import settle, type_text, wait_for_call, wait_for_text
from tests.tui.run_events import ask_permission, start_agent, wait_for_input


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


@pytest.mark.parametrize("keys", ["s", "ts"], ids=["in the box", "in a line"])
async def test_all_that_is_pasted_is_sent(show: Show, service: FakeService, keys: str) -> None:
    """A line of Textual's own takes the first line of it and drops the others."""
    run = start_agent(service, service.add_run("one"))
    lines = [f"line {number} {'x' * 60}" for number in range(2_000)]
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1")
        await pilot.press(*keys)
        await wait_for_text(pilot, "Message to one")
        pilot.app.post_message(Paste("\n".join(lines)))
        await settle(pilot)
        await pilot.press("enter")
        await wait_for_call(service, "steer", run.id, ("\n" if keys == "s" else " ").join(lines))


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
