"""The terminal on the real service: scripted agents are watched, steered and stopped."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.models import State
from ccterm.service.protocol import Service
from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from ccterm.tui.widgets.field import Field
from tests.conftest import MakeRemote
from tests.support.core import draft, script
from tests.support.git import files_at, tip
from tests.tui.on_screen import type_text, wait_for_text

WAITS = script({"say": "Which one do you want?"})


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with AgentService.open(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"a.txt": "a\n"})


@pytest.fixture
def app() -> CctermApp:
    return CctermApp.provided_with(Settings.model_validate({"mode": "local", "agent": "scripted"}), memory=Memory(None), checks=False)


async def test_a_run_is_watched_until_it_has_pushed_and_shows_its_diff(app: CctermApp, service: Service, remote: Path) -> None:
    async with app.run_test(size=(120, 32)) as pilot:
        app.connected(service)
        await service.submit([draft(remote, "x")])
        app.find_new_runs()
        await wait_for_text(pilot, "I'll add a file.", "verified", "d Diff")
        await pilot.press("d")
        await wait_for_text(pilot, "A new.txt", "+ new")
    assert files_at(remote, "x")["new.txt"] == b"new\n"


async def test_a_waiting_agent_is_answered(app: CctermApp, service: Service, remote: Path) -> None:
    async with app.run_test(size=(120, 32)) as pilot:
        app.connected(service)
        [run] = await service.submit([draft(remote, "x", WAITS, hold=True)])
        app.find_new_runs()
        await wait_for_text(pilot, "s answer")
        await pilot.press("s")
        await wait_for_text(pilot, "Answer to x")
        await type_text(pilot, "the second")
        await pilot.press("enter")
        await wait_for_text(pilot, "I will take this down: the second")
        await pilot.press("h")
        await wait_for_text(pilot, "pushed")
    assert (await service.wait(run.id)).state is State.SUCCEEDED
    assert b"the second" in files_at(remote, "x")["AGENT_NOTES.md"]


@pytest.mark.slow
async def test_a_cancelled_run_keeps_its_work_which_is_then_pushed(app: CctermApp, service: Service, remote: Path) -> None:
    async with app.run_test(size=(120, 32)) as pilot:
        app.connected(service)
        task = script({"write": "half.txt", "text": "half\n"}, {"say": "ready"}, *[{"sleep": 0.1}] * 300)
        await service.submit([draft(remote, "x", task)])
        app.find_new_runs()
        await wait_for_text(pilot, "ready")
        await pilot.press("c", "s")
        await wait_for_text(pilot, "P push its work")
        await pilot.press("P")
        await wait_for_text(pilot, "pushed later")
    assert tip(remote, "x")


async def test_a_task_is_written_and_launched_in_the_form(app: CctermApp, service: Service, remote: Path) -> None:
    async with app.run_test(size=(120, 32)) as pilot:
        app.connected(service)
        await pilot.press("n")
        await type_text(pilot, "Add a LICENSE")
        app.screen.query_one("#repo", Field).value = str(remote)
        await wait_for_text(pilot, "pushes agent/add-license to")
        await pilot.press("ctrl+s")
        await wait_for_text(pilot, "pushed", "agent/add-license")
    assert tip(remote, "agent/add-license")
