"""A million lines of thirty-two concurrent runs through all of ccterm: none is lost, their order is kept, and memory stays bounded."""

from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from ccterm import AgentService
from ccterm.events import Printed
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from ccterm.settings import Settings
from ccterm.transcript import EVENTS_FILE, read_events
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from tests.conftest import MakeRemote
from tests.support.core import draft
from tests.support.waiting import until
from tests.tui.on_screen import wait_for_text

pytestmark = pytest.mark.slow

RUNS, LINES = 32, 31_250
GROWTH = 150 * 1_000_000
"""Bytes for the terminal, the service and 32 running runs; a million lines kept as text would take more."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with AgentService.open(tmp_path / "state") as opened:
        yield opened


def printed(service: Service, run: Run) -> list[str]:
    """Return all lines that a run's programs printed."""
    found = read_events(service.state.run(run.id) / EVENTS_FILE)
    return [line for event in found if isinstance(event, Printed) for line in event.text.split("\n")]


async def test_no_line_of_thirty_two_live_runs_is_lost(service: Service, make_remote: MakeRemote) -> None:
    remote, process = make_remote({"a.txt": "a\n"}), psutil.Process()
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local", "agent": "scripted"}), memory=Memory(None), checks=False)
    async with app.run_test(size=(200, 60)) as pilot:
        app.connected(service)
        await wait_for_text(pilot, "No runs yet")
        before = process.memory_info().rss
        setup = f"seq -f 'line %.0f of a build' 1 {LINES}"
        queued = await service.submit([draft(remote, f"x{n}", setup=setup) for n in range(RUNS)], max_concurrent=RUNS)
        app.find_new_runs()
        ended = [await service.wait(run.id) for run in queued]
        await until(lambda: app.runs.counts()["✓"] == RUNS)
        assert process.memory_info().rss - before < GROWTH
    assert {run.state for run in ended} == {State.SUCCEEDED}
    wanted = [f"line {number} of a build" for number in range(1, LINES + 1)]
    for run in ended:
        assert printed(service, run) == wanted
