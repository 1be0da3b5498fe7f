"""The service that carries runs out, asked at the wrong moment."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ccterm import AgentService
from ccterm.errors import UsageError
from ccterm.models import Run, RunId, State
from ccterm.service.local import LocalService
from ccterm.service.protocol import Service
from tests.conftest import MakeRemote
from tests.support.core import draft, script
from tests.support.git import files_at
from tests.support.waiting import until


class LateAnswers(ThreadPoolExecutor):
    """Threads that keep the answers of one function back, or of those of its calls that are `late`."""

    def __init__(self, name: str, late: Callable[..., bool] = lambda *_: True) -> None:
        super().__init__()
        self._name, self._late = name, late
        self.has_read, self.released = Event(), Event()

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        """Run a function; `asyncio.to_thread` hands over a partial of `Context.run` and the function."""
        asked = isinstance(fn, partial) and fn.args[0].__name__ == self._name and self._late(*fn.args[1:])
        return super().submit(self._keep_back if asked else _call, fn, args, kwargs)

    def _keep_back(self, fn: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        answer = fn(*args, **kwargs)
        self.has_read.set()
        assert self.released.wait(30)
        return answer


def _call(fn: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    return fn(*args, **kwargs)


@pytest.mark.parametrize("question", ["find", "list"])
async def test_a_run_that_ends_while_it_is_read_has_ended(question: str, make_remote: MakeRemote, tmp_path: Path) -> None:
    go = tmp_path / "go"
    late = LateAnswers(question)
    asyncio.get_running_loop().set_default_executor(late)
    async with AgentService.open(tmp_path / "state") as service:
        assert isinstance(service, LocalService)
        [run] = await service.submit([draft(make_remote(), task=script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}))])
        asked = asyncio.ensure_future(service.runs() if question == "list" else _found(service, run.id))
        await until(late.has_read.is_set)
        go.touch()
        await until(lambda: not service.busy)
        late.released.set()
        assert [found.state for found in await asked] == [State.SUCCEEDED]


async def test_what_is_done_with_an_ended_run_waits_for_the_record_of_the_last_run_on_its_branch(
    make_remote: MakeRemote, tmp_path: Path
) -> None:
    remote, go = make_remote(), tmp_path / "go"
    late = LateAnswers("save", lambda run: run.state is State.SUCCEEDED)
    asyncio.get_running_loop().set_default_executor(late)
    async with AgentService.open(tmp_path / "state") as service:
        [kept] = await service.submit([draft(remote, task=script({"write": "kept.txt", "text": "kept\n"}, {"fail": "auth"}))])
        await service.wait(kept.id)
        [other] = await service.submit([draft(remote, task=script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}))])
        with pytest.raises(UsageError, match=f"{other.label} works on agent/x now"):
            await service.push(kept.id)
        go.touch()
        assert (await service.wait(other.id)).state is State.SUCCEEDED
        await until(late.has_read.is_set)
        pushing = asyncio.ensure_future(service.push(kept.id))
        await asyncio.wait([pushing], timeout=0.1)
        assert not pushing.done()
        late.released.set()
        await pushing
    assert files_at(remote, "agent/x")["kept.txt"] == b"kept\n"


async def _found(service: Service, run: RunId) -> list[Run]:
    return [await service.find(run)]
