"""One run alone: transcript, facts, diff, and the keys between runs."""

from textual.widgets import OptionList

from ccterm.errors import UsageError
from ccterm.tui.widgets.patch_view import PatchView
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, wait_for_text, wait_until_gone
from tests.tui.run_events import PATCH, commit, push, refuse, start_agent


async def test_facts_are_beside_the_transcript(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with show() as pilot:
        await pilot.press("enter")
        await wait_for_text(
            pilot, "✓ agent", "4:12", "5 files +61 -9", "policy: fine", "$0.31 · 18 turns · 212k tokens", "feature/login, verified"
        )


async def test_a_refusal_shows_the_rule_and_where_the_work_is(show: Show, service: FakeService) -> None:
    refuse(service, service.add_run("chore/settings"))
    async with show() as pilot:
        await pilot.press("enter")
        await wait_for_text(pilot, "policy: a symlink that leaves the", "kept in")


async def test_steps_appear_as_they_end(show: Show, service: FakeService) -> None:
    run = start_agent(service, service.add_run("feature/login"))
    async with show() as pilot:
        await pilot.press("enter")
        await wait_for_text(pilot, "● agent")
        await wait_until_gone(pilot, "✓ commit")
        commit(service, run)
        await wait_for_text(pilot, "✓ commit")


async def test_the_diff_shows_files_and_lines(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with show() as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "M shop/login.py  +2 -1", "A shop/limits.py  +2 -0", "- LIMIT = 3", "+ LIMIT = 5")
        await pilot.press("d")
        await wait_for_text(pilot, "› Read")


async def test_a_diff_has_two_columns_on_a_wide_screen_and_can_be_switched(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with show((160, 40)) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "2 LIMIT = 3", "│    2 LIMIT = 5")
        await pilot.press("v")
        await wait_for_text(pilot, "- LIMIT = 3")


async def test_brackets_go_to_the_next_and_previous_file(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    service.patches[run.id] = b"".join(
        b"diff --git a/f%d b/f%d\n--- a/f%d\n+++ b/f%d\n@@ -1,0 +1,60 @@\n" % (n, n, n, n) + b"+line\n" * 60 for n in range(3)
    )
    async with show() as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "f0  +60 -0")
        await pilot.press("right_square_bracket", "right_square_bracket")
        await wait_for_text(pilot, "f2  +60 -0")
        assert pilot.app.screen.query_one("#files", OptionList).highlighted == 2
        await pilot.press("left_square_bracket")
        await wait_for_text(pilot, "f1  +60 -0")


async def test_without_a_commit_the_diff_says_so(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    del service.patches[run.id]
    async with show() as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "No commit yet")


async def test_on_a_narrow_screen_tab_switches_sides(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with show((80, 24)) as pilot:
        await pilot.press("enter")
        await wait_for_text(pilot, "› Read")
        await wait_until_gone(pilot, "18 turns")
        await pilot.press("tab")
        await wait_for_text(pilot, "18 turns")
        await pilot.press("tab")
        await wait_for_text(pilot, "› Read")


async def test_arrows_go_to_the_neighbouring_runs(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("one"), text="The first one speaks.")
    start_agent(service, service.add_run("two"), text="The second one speaks.")
    async with show() as pilot:
        await pilot.press("enter")
        await wait_for_text(pilot, "The first one speaks.", "1  one")
        await pilot.press("right")
        await wait_for_text(pilot, "The second one speaks.", "2  two")


async def test_escape_closes_the_diff_first(show: Show, service: FakeService) -> None:
    push(service, service.add_run("feature/login"))
    async with show() as pilot:
        await pilot.press("enter")
        await wait_for_text(pilot, "› Read")
        await pilot.press("d")
        await wait_for_text(pilot, "+ LIMIT = 5")
        await pilot.press("escape")
        await wait_for_text(pilot, "› Read", "18 turns")


async def test_hostile_bytes_of_a_patch_never_reach_the_screen(show: Show, service: FakeService) -> None:
    run = push(service, service.add_run("feature/login"))
    service.patches[run.id] = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+\x1b]52;c;aGk=\x07\x1b[2J\xc2\x9bhello\xff\n"
    async with show() as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "+ ello")
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


async def test_both_sides_scroll_to_a_long_line_together(show: Show, service: FakeService) -> None:
    run = commit(service, service.add_run("one"))
    service.patches[run.id] = PATCH.replace(b"LIMIT = 3", b"LIMIT = " + b"3" * 90 + b" end").replace(
        b"LIMIT = 5", b"LIMIT = " + b"5" * 90 + b" END"
    )
    async with show(size=(160, 32)) as pilot:
        await pilot.press("d")
        await wait_for_text(pilot, "LIMIT = 33")
        await wait_until_gone(pilot, "3 end", "5 END")
        pilot.app.screen.query_one(PatchView).scroll_to(x=200, animate=False)
        await wait_for_text(pilot, "3 end", "5 END")
