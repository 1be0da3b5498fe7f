"""The launch form: problems are shown while typing, the summary before the start, and the last form is remembered."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from ccterm.draft import Draft
from ccterm.errors import PreflightError, UsageError
from ccterm.models import BranchState, Mode
from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.launch_form import MORE_NAMES
from ccterm.tui.memory import Memory
from ccterm.tui.screens.launch import LaunchScreen
from ccterm.tui.screens.preflight import PreflightScreen
from ccterm.tui.widgets.field import Fold
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import as_ccterm, field_of, settle, type_text, wait_for_call, wait_for_text, wait_until_gone
from tests.tui.run_events import start_agent


def remembering(**form: str) -> Memory:
    memory = Memory(None)
    memory.launched(form)
    return memory


async def test_a_task_is_launched_with_the_keyboard_alone(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await wait_for_text(pilot, "agent/add-license", "1 run on this machine; pushes")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "agent/add-license", "Add a LICENSE")
        await wait_for_text(pilot, "1 run queued", "agent/add-license")


async def test_three_dashes_separate_tasks_and_each_gets_a_branch(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding")
        await wait_for_text(pilot, "2 tasks", "2 runs", "agent/fix-rounding")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "agent/add-license", "Add a LICENSE")
        await wait_for_call(service, "submit", "agent/fix-rounding", "Fix the rounding")


async def test_problems_of_a_field_are_shown_while_typing(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await pilot.press("f2")
        field_of(pilot, "timeout").take_focus()
        await type_text(pilot, "soon")
        await wait_for_text(pilot, "is not a duration")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert service.calls == []
        await pilot.press("ctrl+u")
        await type_text(pilot, "45m")
        await wait_until_gone(pilot, "is not a duration")


async def test_while_a_launch_takes_long_it_is_said(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        await wait_for_text(pilot, "1 run on this machine")
        service.answering.clear()
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "launching…")
        await until(lambda: all(worker.is_finished for worker in pilot.app.workers if worker.group == "plan"))
        assert isinstance(pilot.app.screen, LaunchScreen)
        await pilot.app.screen._plan(pilot.app.screen._result.drafts).wait()  # of what is typed meanwhile
        await wait_for_text(pilot, "launching…")
        service.answering.set()
        await wait_for_text(pilot, "▌#1 ○")


async def test_a_form_that_was_opened_from_the_checks_goes_to_the_run_that_it_has_started(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("p", "n")
        await type_text(pilot, "Add a LICENSE")
        await wait_for_text(pilot, "1 run")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "▌#1 ○ agent/add-license")


async def test_the_work_may_come_back_into_the_working_copy(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        field_of(pilot, "delivery").take_focus()
        await pilot.press("right")
        await wait_for_text(pilot, "works on a snapshot of", "until you apply")
        assert not field_of(pilot, "branch").display
        field_of(pilot, "repo").value = "https://github.com/acme/shop"
        await wait_for_text(pilot, "a URL has no working copy; push a branch, or name a directory as Repository")
        field_of(pilot, "repo").value = "/src/shop"
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "1 run queued")
        assert [run.task.mode for run in await service.runs()] == [Mode.TESTING]


async def test_a_problem_in_a_folded_field_unfolds_it_and_gets_the_keys(show: Show) -> None:
    async with show(memory=remembering(timeout="soon")) as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "is not a duration")
        await type_text(pilot, "Add")
        await pilot.press("ctrl+s", "ctrl+u")
        await type_text(pilot, "45m")
        await wait_until_gone(pilot, "is not a duration")
        await pilot.press("f2")
        await wait_for_text(pilot, "▸ more: start, agent, limits, at once, network, login, setup, verify · Timeout 45m")


@pytest.mark.parametrize("width", [80, 40])
async def test_what_is_folded_is_told_whole_on_a_narrow_screen(show: Show, width: int) -> None:
    async with show((width, 24), memory=remembering(timeout="45m", max_turns="40", setup="npm ci", verify="npm test")) as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "▸ more:", "Verify npm test")
        fold = pilot.app.screen.query_one(Fold)
        told = " ".join(" ".join(strip.text for strip in fold.render_lines(fold.outer_size.region)).split())
        assert told == f"▸ more: {MORE_NAMES} · {fold.held}"


async def test_what_was_typed_is_kept_until_it_is_launched(show: Show, service: FakeService, tmp_path: Path) -> None:
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        field_of(pilot, "branch").value = "mine"
        await pilot.press("escape", "n")
        await wait_for_text(pilot, "Add a LICENSE", "mine")
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "Add a LICENSE", "mine")
        await pilot.press("ctrl+s")
        await wait_for_call(service, "submit", "mine", "Add a LICENSE")
        await wait_for_text(pilot, "1 run queued")
        await pilot.press("n")
        await wait_until_gone(pilot, "Add a LICENSE")
        assert field_of(pilot, "branch").value == ""


async def test_a_form_that_was_open_before_the_service_asks_once_it_is_there(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        app = as_ccterm(pilot)
        app.service = None
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await wait_for_text(pilot, "connecting…")
        app.connected(service)
        await wait_for_text(pilot, "agent/add-license · new, from main")


async def test_help_says_how_such_a_line_is_written_into_a_task(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "a line --- between them · f1 help")
        await pilot.press("f1")
        await wait_for_text(pilot, "\\--- is such a line within a task")


async def test_letters_choose_and_do_nothing_else(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        where, model = field_of(pilot, "execution_mode"), field_of(pilot, "model")
        where.take_focus()
        await pilot.press("c", "e", "q")
        await wait_for_text(pilot, "● container")
        model.take_focus()
        await pilot.press("h", "s", "a")
        await type_text(pilot, "claude-next")
        await until(lambda: (where.value, model.value) == ("dagger", "claude-next"))
        await pilot.press("shift+tab", "d")
        await until(lambda: model.value == "")


async def test_the_form_can_be_emptied(show: Show) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        field_of(pilot, "branch").value = "mine"
        await pilot.press("ctrl+l")
        await wait_until_gone(pilot, "Add a LICENSE", "mine")


def _has_repo(pilot: Pilot[None], repo: str) -> bool:
    """Whether the form is there and names this repository."""
    return isinstance(pilot.app.screen, LaunchScreen) and field_of(pilot, "repo").value == repo


async def test_the_repository_is_that_of_the_current_directory_and_else_the_last_one(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, nowhere = tmp_path / "here" / "src", tmp_path / "nowhere"
    for directory in (here, nowhere, here.parent / ".git"):
        directory.mkdir(parents=True)
    for directory, first in ((here, str(here.parent)), (nowhere, "/src/last")):
        monkeypatch.chdir(directory)
        async with show(memory=remembering(repo="/src/last")) as pilot:
            await pilot.press("n")
            await until(partial(_has_repo, pilot, first))


@pytest.mark.slow
async def test_the_prompt_grows_with_the_screen(show: Show) -> None:
    heights = []
    for size in ((40, 10), (120, 34), (200, 50)):
        async with show(size) as pilot:
            await pilot.press("n")
            heights.append(pilot.app.screen.query_one(TextArea).size.height)
    assert heights[0] >= 3
    assert heights[1] > 12
    assert heights[2] > heights[1] + 12


async def test_a_refusal_by_the_service_replaces_the_summary(show: Show, service: FakeService) -> None:
    service.refusal = PreflightError("the Claude CLI is not there", "npm install it")
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        await wait_for_text(pilot, "the Claude CLI is not there", "npm install it")
        await pilot.press("ctrl+s")
        await settle(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen)


@pytest.mark.slow
async def test_what_was_launched_is_remembered(show: Show, service: FakeService, tmp_path: Path) -> None:
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        field_of(pilot, "verify").value = "make test"
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "1 run queued")
    async with show(memory=Memory(tmp_path)) as pilot:
        await pilot.press("n")
        await wait_for_text(pilot, "make test")
        await pilot.press("ctrl+up")
        await wait_for_text(pilot, "Add a LICENSE")


async def test_escape_leaves_the_form_without_a_run(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add")
        await pilot.press("escape")
        await wait_for_text(pilot, "No runs yet")
        assert service.calls == []


@pytest.mark.slow
async def test_the_number_at_once_is_shown_passed_on_and_remembered(show: Show, service: FakeService) -> None:
    memory = Memory(None)
    async with show(memory=memory) as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding\n---\nDocument it")
        await wait_for_text(pilot, "3 at once")
        await pilot.press("f2")
        field_of(pilot, "max_concurrent").take_focus()
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
        field_of(pilot, "skip_permissions").value = "yes"
        await wait_for_text(pilot, "permissions are skipped: the agent may do everything that you may do")


async def test_the_first_of_the_launched_runs_is_focused(show: Show, service: FakeService) -> None:
    start_agent(service, service.add_run("old"))
    async with show() as pilot:
        await wait_for_text(pilot, "▌#1 ● old")
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE\n---\nFix the rounding")
        await wait_for_text(pilot, "2 runs")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "▌#2 ○ agent/add-license")


async def test_a_form_behind_the_checks_hears_of_the_connection(service: FakeService) -> None:
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False)
    async with app.run_test(size=(120, 32)) as pilot:
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        await wait_for_text(pilot, "connecting…")
        app.push_screen(PreflightScreen())
        app.connected(service)
        await until(lambda: app.runs.known)
        app.pop_screen()
        await wait_for_text(pilot, "1 run on this machine; pushes")


async def test_a_form_below_another_screen_is_closed_once_its_tasks_are_launched(show: Show, service: FakeService) -> None:
    async with show() as pilot:
        app = as_ccterm(pilot)
        await pilot.press("n")
        await type_text(pilot, "Add")
        service.answering.clear()
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "launching…")
        app.action_help()
        await wait_for_text(pilot, "This screen")
        service.answering.set()
        await until(lambda: len(app.runs) == 1)
        await wait_for_text(pilot, "This screen")
        await pilot.press("escape")
        await wait_for_text(pilot, "▌#1 ○")


class Unreachable(FakeService):
    """A service that asks remotes in vain at first. asked: how often it did."""

    asked = 0

    async def branches(self, drafts: Sequence[Draft]) -> list[BranchState | None]:
        """Return what is known of the branches, except the first time."""
        self.asked += 1
        if self.asked == 1:
            raise UsageError("the remote cannot be reached")
        return await super().branches(drafts)


async def test_the_branch_is_asked_about_again_when_a_launch_could_not_ask(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Unreachable(tmp_path_factory.mktemp("service"))
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False, clock=service.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        app.connected(service)
        await pilot.press("n")
        await type_text(pilot, "Add")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "the remote cannot be reached")
        await type_text(pilot, ".")
        await wait_for_text(pilot, "agent/add · new, from main")
    await service.close()
