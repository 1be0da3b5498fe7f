"""History: how runs ended, and what is left to do about them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ccterm.tui.memory import Memory
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import fail, push, refuse, start_agent


def past(service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    push(service, service.add_run("docs/api"))
    refuse(service, service.add_run("chore/settings"))
    fail(service, service.add_run("fix/rounding"))


async def test_past_runs_are_listed_with_their_outcome(show: Show, service: FakeService) -> None:
    past(service)
    start_agent(service, service.add_run("still/running"))
    async with show() as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "✓ feature/login", "pushed a91f03c2, verified", "! chore/settings", "✗ fix/rounding", "4 runs")
        await wait_until_gone(pilot, "● still/running")


async def test_one_run_is_one_run(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with show() as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "✓ feature/login", "1 run")
        await wait_until_gone(pilot, "1 runs")


async def test_the_first_line_says_what_happened_since_the_user_left(show: Show, service: FakeService, tmp_path: Path) -> None:
    fail(service, service.add_run("long/ago"))
    memory = Memory(tmp_path)
    memory.leave(service.clock() + timedelta(minutes=1))
    service.clock.forward(hours=1)
    past(service)
    async with show(memory=memory) as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "since you left: 2 pushed, 1 refused, 1 failed")


@asynccontextmanager
async def history(show: Show, service: FakeService) -> AsyncIterator[Pilot[None]]:
    """Show the history of four past runs."""
    past(service)
    async with show() as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "feature/login", "4 runs")
        yield pilot


async def test_filter_and_unreviewed_narrow_the_list(show: Show, service: FakeService) -> None:
    async with history(show, service) as pilot:
        await pilot.press("f")
        await type_text(pilot, "failed")
        await wait_until_gone(pilot, "feature/login")
        await pilot.press("escape")
        await wait_for_text(pilot, "feature/login")
        await pilot.press("x", "u")
        await wait_until_gone(pilot, "fix/rounding")


async def test_actions_apply_to_the_highlighted_run(show: Show, service: FakeService) -> None:
    async with history(show, service) as pilot:
        await pilot.press("down", "P")
        await wait_for_call(service, "push", "01FAKE00000000000000000002")
        await pilot.press("r")
        await wait_for_call(service, "retry", "01FAKE00000000000000000002")


async def test_a_past_run_is_opened_and_closed(show: Show, service: FakeService) -> None:
    async with history(show, service) as pilot:
        await pilot.press("end", "enter")
        await wait_for_text(pilot, "18 turns", "› Read")
        await pilot.press("escape")
        await wait_for_text(pilot, "4 runs")


def conversation(service: FakeService, *prompts: str) -> None:
    """Have a run end, and others go on with it, one after the other."""
    before = None
    for prompt in prompts:
        run = push(service, service.add_run("feature/login", prompt=prompt))
        service.change(run.id, continues=before)
        before = run.id


@pytest.mark.parametrize("size", [(80, 24), (120, 34)], ids=["narrow", "wide"])
async def test_a_conversation_is_one_row_with_what_all_of_it_cost(show: Show, service: FakeService, size: tuple[int, int]) -> None:
    conversation(service, "Limit the logins", "Fix the tests", "Say it in the README")
    push(service, service.add_run("docs/api"))
    async with show(size) as pilot:
        await pilot.press("H")
        await wait_for_text(
            pilot, "4 runs in 2 conversations", "in total: 4 pushed", "#3 ✓ feature/login", "3 runs", "$0.93", "#4 ✓ docs/api"
        )
        assert "#1 ✓" not in screen_text(pilot.app)


async def test_a_conversation_is_found_by_what_any_of_its_runs_was_asked(show: Show, service: FakeService) -> None:
    conversation(service, "Limit the logins", "Fix the tests")
    push(service, service.add_run("docs/api"))
    async with show() as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "docs/api")
        await pilot.press("f")
        await type_text(pilot, "limit")
        await wait_until_gone(pilot, "docs/api")
        await wait_for_text(pilot, "#2 ✓ feature/login")


async def test_a_conversation_opens_with_all_its_runs(show: Show, service: FakeService) -> None:
    conversation(service, "Limit the logins", "Fix the tests")
    async with show((120, 60)) as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "2 runs")
        await pilot.press("enter")
        await wait_for_text(
            pilot, "» Limit the logins", "── #1 succeeded · continued ──", "» Fix the tests", "thread   2 runs · $0.62 · 36 turns"
        )


async def test_a_narrow_screen_cuts_no_words(show: Show, service: FakeService) -> None:
    push(service, service.add_run("one"))
    async with show((80, 24)) as pilot:
        await pilot.press("H")
        await wait_for_text(pilot, "pushed a91f03c2, verified")
        assert "…" not in screen_text(pilot.app)
