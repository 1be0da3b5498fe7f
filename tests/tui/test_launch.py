"""The launch form: problems are shown while typing, the summary before the start, and the last form is remembered."""

from pathlib import Path

from textual.widgets import TextArea

from ccterm.errors import PreflightError
from ccterm.models import Mode
from ccterm.tui.memory import Memory
from ccterm.tui.screens.launch import LaunchScreen
from ccterm.tui.widgets.field import Field
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import settle, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import start_agent


async def test_a_task_is_launched_with_the_keyboard_alone(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await wait_for_text(pilot, "agent/add-license", "1 run on this machine, without isolation")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "agent/add-license", "Add a LICENSE")
        await wait_for_text(pilot, "1 run queued", "agent/add-license")


async def test_three_dashes_separate_tasks_and_each_gets_a_branch(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding")
        await wait_for_text(pilot, "2 tasks", "agent/…", "2 runs", "agent/fix-rounding")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "agent/add-license", "Add a LICENSE")
        await wait_for_call(service, "submit", "agent/fix-rounding", "Fix the rounding")


async def test_problems_of_a_field_are_shown_while_typing(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        pilot.app.screen.query_one("#timeout", Field).input.focus()
        await type_text(pilot, "soon")
        await wait_for_text(pilot, "is not a duration")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert service.calls == []
        await pilot.press("ctrl+u")
        await type_text(pilot, "45m")
        await wait_until_gone(pilot, "is not a duration")


async def test_a_bad_branch_has_the_same_message_as_on_the_command_line(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        branch = pilot.app.screen.query_one("#branch", Field).input
        branch.focus()
        await pilot.press("end")
        await type_text(pilot, "..")
        await wait_for_text(pilot, "use a single dot")


async def test_a_branch_that_was_typed_is_not_overwritten(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        branch = pilot.app.screen.query_one("#branch", Field).input
        branch.focus()
        await pilot.press("end", "ctrl+u")
        await type_text(pilot, "mine")
        pilot.app.screen.query_one(TextArea).focus()
        await type_text(pilot, " more")
        assert branch.value == "mine"


async def test_without_a_branch_the_form_says_that_it_works_on_the_directory_itself(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        pilot.app.screen.query_one("#branch", Field).input.value = ""
        await wait_for_text(pilot, "works on a snapshot of", "until you apply")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "1 run queued")
        assert [run.task.mode for run in await service.runs()] == [Mode.TESTING]


async def test_a_refusal_by_the_service_replaces_the_summary(show: Show, service: FakeService) -> None:
    service.refusal = PreflightError("the Claude CLI is not there", "npm install it")
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        await wait_for_text(pilot, "the Claude CLI is not there", "npm install it")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen)


async def test_what_was_launched_is_remembered(show: Show, service: FakeService, tmp_path: Path) -> None:
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        pilot.app.screen.query_one("#verify", Field).input.value = "make test"
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "1 run queued")
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "make test")
        await pilot.press("ctrl+up")
        await wait_for_text(pilot, "Add a LICENSE")


async def test_a_batch_file_is_launched(show: Show, service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text("tasks:\n  - {prompt: One, branch: a}\n  - {prompt: Two, branch: b}\n")
    async with show() as pilot:
        await pilot.press("n", "ctrl+o", "end", "ctrl+u")
        await type_text(pilot, str(tmp_path / "tasks.yaml"))
        await pilot.press("enter")
        await wait_for_call(service, "submit", "a", "One")
        await wait_for_call(service, "submit", "b", "Two")
        await wait_for_text(pilot, "2 queued")


async def test_an_invalid_batch_file_says_where(show: Show, service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text("tasks:\n  - {promt: One}\n")
    async with show() as pilot:
        await pilot.press("n", "ctrl+o", "end", "ctrl+u")
        await type_text(pilot, str(tmp_path / "tasks.yaml"))
        await pilot.press("enter")
        await wait_for_text(pilot, "promt")
        assert service.calls == []


async def test_escape_leaves_the_form_without_a_run(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        await pilot.press("escape")
        await wait_for_text(pilot, "No runs yet")
        assert service.calls == []


async def test_the_number_at_once_is_shown_passed_on_and_remembered(show: Show, service: FakeService) -> None:
    memory = Memory(None)
    async with show(memory=memory) as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding\n---\nDocument it")
        await wait_for_text(pilot, "3 at once")
        pilot.app.screen.query_one("#max_concurrent", Field).input.focus()
        await type_text(pilot, "2")
        await wait_for_text(pilot, "2 at once")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "3 runs queued")
    assert service.at_once == 2
    assert memory.now.form["max_concurrent"] == "2"


async def test_skipped_permissions_are_explained_before_the_start(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await wait_until_gone(pilot, "permissions are skipped")
        pilot.app.screen.query_one("#skip_permissions", Field).input.focus()
        await type_text(pilot, "yes")
        await wait_for_text(pilot, "permissions are skipped: the agent may do everything that you may do")


async def test_the_first_of_the_launched_runs_is_focused(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("old"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌1 ● old")
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding")
        await wait_for_text(pilot, "2 runs")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "▌2 ○ agent/add-license")
