"""One run alone: transcript, facts, diff, and the keys between runs."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.geometry import Offset
from textual.pilot import Pilot

from ccterm.errors import UsageError
from ccterm.tui.memory import Memory
from ccterm.tui.widgets.file_tree import FileTree
from ccterm.tui.widgets.patch_view import PatchView
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, screen_text, settle, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import PATCH, commit, push, refuse, start_agent


@asynccontextmanager
async def opened(show: Show, key: str, *shown: str, size: tuple[int, int] = (120, 32)) -> AsyncIterator[Pilot[None]]:
    """Open the chosen run by a key, and wait for what it shows."""
    async with show(size) as pilot:
        await pilot.press(key)
        await wait_for_text(pilot, *shown)
        yield pilot


async def test_facts_are_beside_the_transcript(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    facts = ("✓ agent", "4:12", "5 files +61 -9", "policy: fine", "$0.31 · 18 turns · 212k tokens", "feature/login, verified")
    async with opened(show, "enter", *facts):
        pass


async def test_a_refusal_shows_the_rule_and_where_the_work_is(show: Show, service: FakeService) -> None:
    refuse(service, service.add_run("chore/settings"))
    async with opened(show, "enter", "policy: a symlink that leaves the", "kept in"):
        pass


async def test_steps_appear_as_they_end(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    async with opened(show, "enter", "● agent") as pilot:
        await wait_until_gone(pilot, "✓ commit")
        commit(service, run)
        await wait_for_text(pilot, "✓ commit")


async def test_the_diff_shows_files_and_lines(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "d", "▾ shop/", "A limits.py  +2 -0", "M login.py  +2 -1", "- LIMIT = 3", "+ LIMIT = 5") as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "› Read")


async def test_a_diff_has_two_columns_on_a_wide_screen_and_can_be_switched(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "d", "2 LIMIT = 3", "│     2 LIMIT = 5", size=(160, 40)) as pilot:
        await pilot.press("v")
        await wait_for_text(pilot, "- LIMIT = 3")


async def test_brackets_go_to_the_next_and_previous_file(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    service.patches[run.id] = b"".join(
        b"diff --git a/f%d b/f%d\nnew file mode 100644\n--- a/f%d\n+++ b/f%d\n@@ -1,0 +1,60 @@\n" % (n, n, n, n) + b"+line\n" * 60
        for n in range(3)
    )
    async with opened(show, "d", "f0  +60 -0") as pilot:
        await pilot.press("right_square_bracket", "right_square_bracket")
        await wait_for_text(pilot, "▎f2  added  +60 -0")
        assert pilot.app.screen.query_one(FileTree).cursor_line == 2
        await pilot.press("left_square_bracket")
        await wait_for_text(pilot, "▎f1  added  +60 -0")


async def test_without_a_commit_the_diff_says_so(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    del service.patches[run.id]
    async with opened(show, "d", "There is no diff"):
        pass


async def test_on_a_narrow_screen_tab_switches_sides(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "enter", "› Read", size=(80, 24)) as pilot:
        await wait_until_gone(pilot, "212k tokens")
        await pilot.press("tab")
        await wait_for_text(pilot, "212k tokens")
        await pilot.press("tab")
        await wait_for_text(pilot, "› Read")


@pytest.mark.slow
async def test_arrows_go_to_the_neighbouring_runs(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"), text="The first one speaks.")
    start_agent(service, service.add_run("two"), text="The second one speaks.")
    async with opened(show, "enter", "The first one speaks.", "1  one") as pilot:
        await pilot.press("right")
        await wait_for_text(pilot, "The second one speaks.", "2  two")


async def test_escape_closes_the_diff_first(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "enter", "› Read") as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "+ LIMIT = 5")
        await pilot.press("escape")
        await wait_for_text(pilot, "› Read", "18 turns")


async def test_hostile_bytes_of_a_patch_never_reach_the_screen(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    service.patches[run.id] = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+\x1b]52;c;aGk=\x07\x1b[2J\xc2\x9bhello\xff\n"
    async with opened(show, "d", "+ ello") as pilot:
        shown = "".join(segment.text for y in range(10) for segment in pilot.app.screen.query_one(PatchView).render_line(y))
        assert all(letter.isprintable() for letter in shown)


async def test_hostile_texts_of_a_task_never_reach_the_screen(show: Show, service: FakeService) -> None:
    """Model and prompt may come from a file of the repository, a name from a directory."""
    evil = "\x1b]0;PWN\x07\x9b31m\u202ex"
    run = push(service, service.add_run(f"feature/{evil}", prompt=f"{evil} do", model=evil, base=evil, setup=f"echo {evil}"))
    service.refusal = UsageError(f"no {evil}", f"try {evil}")
    async with show() as pilot:
        await wait_for_text(pilot, "]0;PWN")
        for key in ("enter", "p", "question_mark", "escape", "escape", "h"):
            await pilot.press(key)
            await pilot.pause()
            assert all(line.isprintable() for line in screen_text(pilot.app).split("\n"))
    assert run.task.model == evil


async def test_long_lines_are_wrapped_or_both_sides_scroll_to_their_ends_together(show: Show, service: FakeService) -> None:
    run = commit(service, service.add_run("one"))
    service.patches[run.id] = PATCH.replace(b"LIMIT = 3", b"LIMIT = " + b"3" * 90 + b" left").replace(
        b"LIMIT = 5", b"LIMIT = " + b"5" * 90 + b" RIGHT"
    )
    async with show((160, 32)) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, " left", " RIGHT")  # wrapped
        await pilot.press("w")
        await wait_until_gone(pilot, " left", " RIGHT")
        await pilot.press(*["right"] * 10)
        await wait_for_text(pilot, " left", " RIGHT")


@pytest.mark.slow
async def test_nothing_of_a_wrapped_line_is_under_the_scroll_bar(show: Show, service: FakeService) -> None:
    long = "".join(chr(ord("a") + number % 26) for number in range(300))
    more = b"".join(b"+ line %d\n" % number for number in range(60))
    run = commit(service, service.add_run("one"))
    service.patches[run.id] = PATCH.replace(b"+LIMIT = 5", f"+LIMIT = '{long}'".encode()).replace(
        b"+SECONDS = 60.0\n", b"+SECONDS = 60.0\n" + more
    )
    async with opened(show, "d", "LIMIT = 'abc", size=(100, 32)) as pilot:
        patch = pilot.app.screen.query_one(PatchView)
        assert patch.show_vertical_scrollbar
        width = patch.scrollable_content_region.width
        painted = "".join(re.findall("[a-z]{20,}", "\n".join(patch.render_line(y).crop(0, width).text for y in range(12))))
        assert long[:150] in painted


async def test_hunk_keys_go_to_the_first_changed_line_of_each(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "d", "+ LIMIT = 5") as pilot:
        await pilot.press("J")
        await wait_for_text(pilot, "▎    2      - LIMIT = 3")
        await pilot.press("J")
        await wait_for_text(pilot, "▎         1 + class Limiter:")
        await pilot.press("K")
        await wait_for_text(pilot, "▎    2      - LIMIT = 3")


async def test_source_has_the_colours_of_its_language_and_changed_words_are_marked(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    service.patches[run.id] = PATCH.replace(b"SECONDS = 60.0", b'NAME = "a"  # why')
    async with show() as pilot:
        await pilot.press("d")
        patch = pilot.app.screen.query_one(PatchView)
        await until(lambda: any(segment.style and segment.style.italic for segment in patch.render_line(5)))
        words = [segment.text for segment in patch.render_line(4) if segment.style and segment.style.bold]
    assert words == ["5"]


async def test_comments_are_kept_and_sent_together(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    memory = Memory(None)
    async with show(memory=memory) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "+ LIMIT = 5")
        await pilot.press("J", "j", "a")
        await wait_for_text(pilot, "Comment on login.py, line 2")
        await type_text(pilot, "read it from [b]settings")
        await pilot.press("enter")
        await wait_for_text(pilot, "▏ read it from [b]settings")
        await pilot.press("escape", "d")
        await wait_for_text(pilot, "▏ read it from [b]settings")
        await pilot.press("m")
        await wait_for_text(pilot, "with 1 comment")
        await pilot.press("enter")
        sent = "Address my comments.\n\nshop/login.py:2\n> +LIMIT = 5\nread it from [b]settings"
        await wait_for_call(service, "continue", run.id, sent)
        await until(lambda: memory.comments(run.id) == ())


async def test_a_comment_can_be_changed_and_removed(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "d", "+ LIMIT = 5") as pilot:
        await pilot.press("a", *"why", "enter")
        await wait_for_text(pilot, "▏ why")
        await pilot.press("a", *"so", "enter")
        await wait_for_text(pilot, "▏ whyso")
        await pilot.press("backspace")
        await wait_until_gone(pilot, "▏ whyso")


async def test_a_number_shows_the_run_of_that_pane(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"), text="The first one speaks.")
    start_agent(service, service.add_run("two"), text="The second one speaks.")
    async with opened(show, "enter", "18 turns", size=(160, 40)) as pilot:
        await pilot.press("2")
        await wait_for_text(pilot, "2  two", "18 turns")
        await pilot.press("1")
        await wait_for_text(pilot, "1  one", "18 turns")


async def test_tab_goes_to_files_and_facts_and_back(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "d", "+ LIMIT = 5", size=(80, 24)) as pilot:
        await pilot.press("tab")
        await wait_for_text(pilot, "A limits.py", "18 turns")
        await pilot.press("home", "down", "enter")
        await wait_for_text(pilot, "▎shop/limits.py")


async def test_a_click_chooses_a_line(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "d", "+ LIMIT = 5") as pilot:
        await pilot.click(PatchView, offset=Offset(20, 4))
        await wait_for_text(pilot, "▎         2 + LIMIT = 5")


async def test_a_huge_diff_opens_and_answers_keys(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    many = b"".join(
        b"diff --git a/d%d/f%d.py b/d%d/f%d.py\n@@ -1,2 +1,2 @@\n-old = %d\n+new = %d\n" % (n // 50, n, n // 50, n, n, n)
        for n in range(5000)
    )
    service.patches[run.id] = many + b"diff --git a/z.js b/z.js\n@@ -1 +1 @@\n-x\n+" + b"var a=1;" * 130_000 + b"\n"
    async with opened(show, "d", "▸ d0/", "+ new = 0") as pilot:
        await pilot.press("G")
        await wait_for_text(pilot, "… 1,030,000 more c")
        await pilot.press("w", "v", "g")
        await wait_for_text(pilot, "▎d0/f0.py")


async def test_the_diff_of_a_running_agent_follows_it(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    service.patches[run.id] = b""
    async with opened(show, "d", "The agent has changed nothing yet", "changes up to") as pilot:
        service.patches[run.id] = PATCH
        await wait_for_text(pilot, "+ LIMIT = 5")
        service.patches[run.id] = PATCH.replace(b"LIMIT = 5", b"LIMIT = 6")
        await pilot.press("R")
        await wait_for_text(pilot, "+ LIMIT = 6")
        push(service, run)  # with the first patch again
        await wait_for_text(pilot, "+ LIMIT = 5")
        await wait_until_gone(pilot, "changes up to")


async def test_until_a_running_agent_was_asked_what_it_has_changed_it_is_said_and_can_be_left(show: Show, service: FakeService) -> None:
    service.patches[start_agent(service, service.add_run("feature/login")).id] = PATCH
    service.answering.clear()
    async with opened(show, "d", "Reading what the agent has changed up to now") as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "› Read")
        service.answering.set()
        await settle(pilot)
        await wait_until_gone(pilot, "LIMIT = 5", "Reading what")
        await pilot.press("d")
        await wait_for_text(pilot, "+ LIMIT = 5")


async def test_a_run_that_was_reviewed_behind_another_screen_is_left(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with opened(show, "enter", "policy: fine") as pilot:
        await pilot.press("question_mark")
        await wait_for_text(pilot, "Mark the run as reviewed")
        [view] = as_ccterm(pilot).runs
        as_ccterm(pilot).update_run(view.run.model_copy(update={"reviewed": True}))
        await pilot.press("escape")
        await wait_for_text(pilot, "No runs yet")
