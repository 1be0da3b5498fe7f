"""The service that carries runs out, asked at the wrong moment."""

import asyncio
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.models import Run, RunId, State
from ccterm.service.local import LocalService
from ccterm.service.protocol import Service
from tests.conftest import MakeRemote
from tests.support.core import draft, script
from tests.support.late import Late
from tests.support.waiting import until


@pytest.mark.parametrize("question", ["find", "list"])
async def test_a_run_that_ends_while_it_is_read_has_ended(question: str, make_remote: MakeRemote, tmp_path: Path) -> None:
    go = tmp_path / "go"
    late = Late.here(question, answers=True)
    async with AgentService.open(tmp_path / "state") as service:
        assert isinstance(service, LocalService)
        [run] = await service.submit([draft(make_remote(), task=script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}))])
        asked = asyncio.ensure_future(service.runs() if question == "list" else _found(service, run.id))
        await until(late.waits.is_set)
        go.touch()
        await until(lambda: not service.busy)
        late.released.set()
        assert [found.state for found in await asked] == [State.SUCCEEDED]


async def _found(service: Service, run: RunId) -> list[Run]:
    return [await service.find(run)]
