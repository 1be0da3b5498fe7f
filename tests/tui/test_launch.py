"""The launch form: what is wrong is said as it is typed, what will happen is said before it happens, and nothing is forgotten."""

from pathlib import Path

from textual.widgets import TextArea

from ccterm.errors import PreflightError
from ccterm.models import Mode
from ccterm.tui.memory import Memory
from ccterm.tui.screens.launch import LaunchScreen
from ccterm.tui.widgets.field import Field
from tests.tui.acts import works
from tests.tui.conftest import Show
from tests.tui.seeing import asked, breathe, sees, sees_no, typed
from tests.tui.stage import Stage


async def test_a_task_is_launched_by_keys_alone(show: Show, stage: Stage) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE")
        await sees(pilot, "agent/add-license", "1 run on this machine, without isolation")
        await pilot.press("ctrl+s")
        await asked(stage, "submit", "agent/add-license", "Add a LICENSE")
        await sees(pilot, "1 run queued", "agent/add-license")


async def test_three_dashes_part_tasks_and_each_gets_a_branch(show: Show, stage: Stage) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE\n---\nMend the rounding")
        await sees(pilot, "2 tasks", "agent/…", "2 runs", "agent/mend-rounding")
        await pilot.press("ctrl+s")
        await asked(stage, "submit", "agent/add-license", "Add a LICENSE")
        await asked(stage, "submit", "agent/mend-rounding", "Mend the rounding")


async def test_what_is_wrong_with_a_field_is_said_as_it_is_typed(show: Show, stage: Stage) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE")
        pilot.app.screen.query_one("#timeout", Field).input.focus()
        await typed(pilot, "soon")
        await sees(pilot, "is no duration")
        await pilot.press("ctrl+s")
        await breathe(pilot)
        assert stage.orders == []
        await pilot.press("ctrl+u")
        await typed(pilot, "45m")
        await sees_no(pilot, "is no duration")


async def test_a_bad_branch_is_refused_in_the_words_of_the_command_line(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE")
        branch = pilot.app.screen.query_one("#branch", Field).input
        branch.focus()
        await pilot.press("end")
        await typed(pilot, "..")
        await sees(pilot, "use a single dot")


async def test_a_branch_that_was_typed_is_not_overwritten(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add")
        branch = pilot.app.screen.query_one("#branch", Field).input
        branch.focus()
        await pilot.press("end", "ctrl+u")
        await typed(pilot, "mine")
        pilot.app.screen.query_one(TextArea).focus()
        await typed(pilot, " more")
        assert branch.value == "mine"


async def test_without_a_branch_it_works_on_the_directory_itself_and_says_so(show: Show, stage: Stage) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add")
        pilot.app.screen.query_one("#branch", Field).input.value = ""
        await sees(pilot, "works on a snapshot of", "after your yes")
        await pilot.press("ctrl+s")
        await sees(pilot, "1 run queued")
        assert [run.task.mode for run in await stage.runs()] == [Mode.TESTING]


async def test_a_refusal_of_the_owner_stands_where_the_promise_would(show: Show, stage: Stage) -> None:
    stage.refusal = PreflightError("the Claude CLI is not there", "npm install it")
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add")
        await sees(pilot, "the Claude CLI is not there", "npm install it")
        await pilot.press("ctrl+s")
        await breathe(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen)


async def test_what_was_launched_is_remembered(show: Show, stage: Stage, tmp_path: Path) -> None:
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE")
        pilot.app.screen.query_one("#verify", Field).input.value = "make test"
        await pilot.press("ctrl+s")
        await sees(pilot, "1 run queued")
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await sees(pilot, "make test")
        await pilot.press("ctrl+up")
        await sees(pilot, "Add a LICENSE")


async def test_a_batch_file_is_launched(show: Show, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text("tasks:\n  - {prompt: One, branch: a}\n  - {prompt: Two, branch: b}\n")
    async with show() as pilot:
        await pilot.press("n", "ctrl+o", "end", "ctrl+u")
        await typed(pilot, str(tmp_path / "tasks.yaml"))
        await pilot.press("enter")
        await asked(stage, "submit", "a", "One")
        await asked(stage, "submit", "b", "Two")
        await sees(pilot, "2 queued")


async def test_a_batch_file_that_does_not_fit_says_where(show: Show, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text("tasks:\n  - {promt: One}\n")
    async with show() as pilot:
        await pilot.press("n", "ctrl+o", "end", "ctrl+u")
        await typed(pilot, str(tmp_path / "tasks.yaml"))
        await pilot.press("enter")
        await sees(pilot, "promt")
        assert stage.orders == []


async def test_escape_leaves_the_form_without_a_run(show: Show, stage: Stage) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add")
        await pilot.press("escape")
        await sees(pilot, "No runs yet")
        assert stage.orders == []


async def test_how_many_run_at_once_is_said_given_and_remembered(show: Show, stage: Stage) -> None:
    memory = Memory(None)
    async with show(memory=memory) as pilot:
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE\n---\nMend the rounding\n---\nDocument it")
        await sees(pilot, "3 at once")
        pilot.app.screen.query_one("#max_concurrent", Field).input.focus()
        await typed(pilot, "2")
        await sees(pilot, "2 at once")
        await pilot.press("ctrl+s")
        await sees(pilot, "3 runs queued")
    assert stage.at_once == 2
    assert memory.now.form["max_concurrent"] == "2"


async def test_what_skipped_permissions_mean_is_said_before_the_start(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE")
        await sees_no(pilot, "permissions are skipped")
        pilot.app.screen.query_one("#skip_permissions", Field).input.focus()
        await typed(pilot, "yes")
        await sees(pilot, "permissions are skipped: the agent may do everything that you may do")


async def test_the_first_run_of_those_that_were_launched_is_focused(show: Show, stage: Stage) -> None:
    works(stage, stage.enter("old"))
    async with show() as pilot:
        await sees(pilot, "▌1 ● old")
        await pilot.press("n")
        await typed(pilot, "Add a LICENSE\n---\nMend the rounding")
        await sees(pilot, "2 runs")
        await pilot.press("ctrl+s")
        await sees(pilot, "▌2 ○ agent/add-license")
