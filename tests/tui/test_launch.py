"""The launch form: what is wrong is said as it is type_text, what will happen is said before it happens, and nothing is forgotten."""

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


async def test_a_task_is_launched_by_keys_alone(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await wait_for_text(pilot, "agent/add-license", "1 run on this machine, without isolation")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "agent/add-license", "Add a LICENSE")
        await wait_for_text(pilot, "1 run queued", "agent/add-license")


async def test_three_dashes_part_tasks_and_each_gets_a_branch(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding")
        await wait_for_text(pilot, "2 tasks", "agent/…", "2 runs", "agent/fix-rounding")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "agent/add-license", "Add a LICENSE")
        await wait_for_call(service, "submit", "agent/fix-rounding", "Fix the rounding")


async def test_what_is_wrong_with_a_field_is_said_as_it_is_typed(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        pilot.app.screen.query_one("#timeout", Field).input.focus()
        await type_text(pilot, "soon")
        await wait_for_text(pilot, "is no duration")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert service.calls == []
        await pilot.press("ctrl+u")
        await type_text(pilot, "45m")
        await wait_until_gone(pilot, "is no duration")


async def test_a_bad_branch_is_refused_in_the_words_of_the_command_line(show: Show) -> None:
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


async def test_without_a_branch_it_works_on_the_directory_itself_and_says_so(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        pilot.app.screen.query_one("#branch", Field).input.value = ""
        await wait_for_text(pilot, "works on a snapshot of", "until you apply")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "1 run queued")
        assert [run.task.mode for run in await service.runs()] == [Mode.TESTING]


async def test_a_refusal_of_the_owner_stands_where_the_promise_would(show: Show, service: FakeService) -> None:
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


async def test_a_batch_file_that_does_not_fit_says_where(show: Show, service: FakeService, tmp_path: Path) -> None:
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


async def test_how_many_run_at_once_is_said_given_and_remembered(show: Show, service: FakeService) -> None:
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


async def test_what_skipped_permissions_mean_is_said_before_the_start(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await wait_until_gone(pilot, "permissions are skipped")
        pilot.app.screen.query_one("#skip_permissions", Field).input.focus()
        await type_text(pilot, "yes")
        await wait_for_text(pilot, "permissions are skipped: the agent may do everything that you may do")


async def test_the_first_run_of_those_that_were_launched_is_focused(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("old"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌1 ● old")
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding")
        await wait_for_text(pilot, "2 runs")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "▌2 ○ agent/add-license")
