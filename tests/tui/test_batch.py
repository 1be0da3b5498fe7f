"""The dialog for a batch file: its name is completed, what it would start is shown, and what is wrong with it keeps it open."""

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ccterm.errors import PreflightError
from ccterm.models import BranchState
from ccterm.tui.screens.batch import BatchDialog
from ccterm.tui.screens.fleet import FleetScreen
from tests.support.waiting import until
from tests.tui.conftest import Show
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import type_text, wait_for_call, wait_for_text, wait_until_gone

TASKS = "tasks:\n  - {prompt: One, branch: a}\n  - {prompt: Two, branch: agent/...}\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "project"
    found.mkdir()
    monkeypatch.chdir(found)
    return found


async def open_dialog(pilot: Pilot[None]) -> None:
    await pilot.press("n", "ctrl+o")
    await wait_for_text(pilot, "Launch the tasks of which file?")


async def test_the_only_file_is_shown_with_what_it_would_start_and_launched(show: Show, service: FakeService, directory: Path) -> None:
    (directory / "tasks.yaml").write_text(TASKS)
    service.remote_branches["agent/two"] = BranchState(branch="agent/two", tip="a" * 40)
    async with show() as pilot:
        await open_dialog(pilot)
        await wait_for_text(
            pilot, "2 runs on this machine", "a  new, from main", "One", "agent/two-2  new, from main; agent/two exists", "Two"
        )
        assert service.calls == []
        await pilot.press("enter")
        await wait_for_call(service, "submit", "a", "One")
        await wait_for_call(service, "submit", "agent/two-2", "Two")
        await wait_for_text(pilot, "2 runs of tasks.yaml queued")
        await until(lambda: isinstance(pilot.app.screen, FleetScreen))


async def test_a_name_is_completed(show: Show, directory: Path) -> None:
    for name in ("more/first.yaml", "more/first.jsonl", "more/second.yaml", "more/notes.txt"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(TASKS)
    async with show() as pilot:
        await open_dialog(pilot)
        line = pilot.app.screen.query_one(Input)
        await wait_for_text(pilot, "more/")
        await pilot.press("tab")
        await wait_for_text(pilot, "more/first.jsonl", "more/first.yaml", "more/second.yaml")
        await type_text(pilot, "f")
        await wait_until_gone(pilot, "second")
        await pilot.press("tab")
        await until(lambda: line.value == "more/first.")
        await pilot.press("down", "down", "enter")
        await until(lambda: line.value == "more/first.yaml")
        await wait_for_text(pilot, "2 runs on this machine")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("tasks:\n  - {promt: One}\n", 'line 2, column 6: unknown key "promt"'),
        ("tasks:\n  - {prompt: One, branch: main}\n", "main is the default branch"),
        ("tasks:\n  - {prompt: One, branch: a, base: x}\n", "leave out base, or use mode: dagger"),
    ],
    ids=["key", "default-branch", "refused"],
)
async def test_what_is_wrong_is_said_and_keeps_the_dialog_open(
    show: Show, service: FakeService, directory: Path, content: str, words: str
) -> None:
    service.remote_branches["main"] = BranchState(branch="main", tip="a" * 40, is_default=True)
    if "base" in content:
        service.refusal = PreflightError("that cannot be", "leave out --base, or use --mode dagger")
    (directory / "tasks.yaml").write_text(content)
    async with show() as pilot:
        await open_dialog(pilot)
        await wait_for_text(pilot, words)
        await pilot.press("enter")
        await wait_for_text(pilot, words)
        assert isinstance(pilot.app.screen, BatchDialog)
        assert not [call for call in service.calls if call[0] == "submit" and not service.refusal]


async def test_a_file_that_is_not_there_is_refused_in_the_dialog(show: Show) -> None:
    async with show() as pilot:
        await open_dialog(pilot)
        await type_text(pilot, "nowhere.yaml")
        await pilot.press("enter")
        await wait_for_text(pilot, "nowhere.yaml cannot be read")
        await pilot.press("escape")
        await wait_for_text(pilot, "What should be done?")
