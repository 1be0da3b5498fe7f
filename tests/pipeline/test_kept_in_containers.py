"""Work in containers is never lost: what was in the last checkpoint is found again, at whatever await its pipeline fails."""

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.agents.base import Agent
from ccterm.credentials.login import TOKEN_NAME
from ccterm.executors.control import socket_directory
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.gateway.client import RunPass
from ccterm.models import ExecutionMode, Run, RunId, State
from ccterm.pipeline.gateway_access import Gatekeeper, GatewayAccess, GatewayListener
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.run_control import RunControl
from ccterm.record import Recorder
from ccterm.state_dir import StateDir
from ccterm.transcript import Transcript
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli
from tests.pipeline.parts import StandIn, contexts, recorder_of, task
from tests.support.core import script
from tests.support.fake_engine import Fake, make_base
from tests.support.git import make_repository, tip
from tests.support.stepping import Stepped


def precious(seconds: float) -> str:
    """Return a task whose agent goes on for so long after what has to be kept."""
    return script({"write": "precious.txt", "text": "precious\n"}, {"turn": "written"}, {"sleep": seconds}, {"say": "the end"})


ERRORS = (RuntimeError("nothing that the code knows"), OSError(28, "No space left on device"), asyncio.CancelledError())


@asynccontextmanager
async def boxed_pipeline(
    state: StateDir, tmp_path: Path, engine_cache: Path, *agents: Agent, keeper: Gatekeeper | None = None
) -> AsyncIterator[Pipeline]:
    """Yield a pipeline on a stand-in engine."""
    sockets = socket_directory()
    try:
        with FakeEngine() as engine:
            options = Fake(engine, make_cli(tmp_path / "bin"), make_base(tmp_path / "base.tar")).options()
            async with DaggerExecutor(options, cache=engine_cache, bundles=engine_cache / "lib") as executor:
                yield Pipeline(executor, contexts(state, executor, sockets, *agents, environ=os.environ, keeper=keeper), state)
    finally:
        shutil.rmtree(sockets)


async def where_it_is_after_a_fault(
    tested: Pipeline, state: StateDir, place: Path, error: BaseException, at: int, prompt: str
) -> tuple[str, bool]:
    """Carry out a run and fail it at its `at`-th await after its first checkpoint; recover what ended without an end.

    place: a bare remote, or the working copy of a testing run that applies by itself. Returns where the file is, "" = lost, and whether the
    run came so far.
    """
    mode = {"branch": None, "mode": "testing", "yes": True} if (place / ".git").exists() else {"branch": f"b{at}-{type(error).__name__}"}
    recorder = recorder_of(state, task(place, prompt, execution_mode=ExecutionMode.DAGGER, **mode))
    manifest = state.run(recorder.run.id) / "checkpoint" / "manifest.json"
    stepped = Stepped(tested.carry_out(recorder, RunControl()), error, at, manifest.exists)
    run = recorder.run
    try:
        run = await stepped
    except type(error):
        await recorder.close()
        run = await tested.recover(Recorder(recorder.run, Transcript(state.run(run.id), run.id), None))
    return where_the_work_is(run, state, place), stepped.thrown


def where_the_work_is(run: Run, state: StateDir, place: Path) -> str:
    """Return where a run's file is found, or ""."""
    if (place / "precious.txt").exists():
        return "applied" if run.synced else ""
    if run.task.branch and tip(place, run.task.branch):
        return "pushed"
    if run.salvage is None:
        return ""
    assert run.salvage.directory == str(state.salvage(run.id))
    if (patch := state.salvage(run.id) / "work.patch").exists():
        return "salvage" if b"+precious" in patch.read_bytes() else ""
    return "tree" if run.salvage.tree and list(state.salvage(run.id).glob("*/precious.txt")) else ""


async def test_an_exception_after_a_checkpoint_loses_nothing(remote: Path, state: StateDir, tmp_path: Path, engine_cache: Path) -> None:
    async with boxed_pipeline(state, tmp_path, engine_cache) as tested:
        for seconds in (0.5, 20):  # on a busy machine the agent may have ended before its first checkpoint is there
            where, thrown = await where_it_is_after_a_fault(tested, state, remote, ERRORS[0], 1, precious(seconds))
            assert where
            if where == "tree":
                break
    assert (where, thrown) == ("tree", True)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["branch", "working copy"])
async def test_an_exception_at_any_await_after_a_checkpoint_loses_nothing(
    remote: Path, state: StateDir, tmp_path: Path, engine_cache: Path, what: str, rounds: Callable[[int], int]
) -> None:
    """One of ten awaits, unless CCTERM_TEST_ROUNDS wants more."""
    lost, at, thrown, places = list[str](), 0, True, set[str]()
    async with boxed_pipeline(state, tmp_path, engine_cache) as tested:
        while thrown:
            at += 1 if rounds(1) > 1 else random.randint(1, 19)
            for error in ERRORS if rounds(1) > 1 else [random.choice(ERRORS)]:
                name = f"copy-{at}-{type(error).__name__}"
                place = remote if what == "branch" else make_repository(tmp_path / name, {"README.md": "hello\n"})
                where, thrown = await where_it_is_after_a_fault(tested, state, place, error, at, precious(0.5))
                places.add(where)
                lost += [] if where else [f"await {at}: {error!r}"]
    print(f"{at - 1} awaits; found in {places}")
    assert not lost
    assert at > 10


class LateFailure:
    """A gateway that fails when the agent has ended."""

    @asynccontextmanager
    async def admitted(self, run: RunId, access: GatewayAccess, listener: GatewayListener) -> AsyncIterator[RunPass]:
        yield RunPass(Path("/no/gateway"), SecretStr("pass"), "")
        raise OSError(28, "No space left on device")


@pytest.mark.slow
async def test_a_gateway_that_fails_at_the_end_costs_no_work(
    remote: Path, state: StateDir, tmp_path: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, "sk-ant-oat01-" + "D" * 95)
    asked = task(
        remote,
        script({"write": "precious.txt", "text": "precious\n"}),
        agent="claude",
        login="gateway",
        execution_mode=ExecutionMode.DAGGER,
    )
    recorder = recorder_of(state, asked)
    async with boxed_pipeline(state, tmp_path, engine_cache, StandIn(), keeper=LateFailure()) as tested:
        run = await tested.carry_out(recorder, RunControl())
    assert run.state is State.FAILED
    assert where_the_work_is(run, state, remote) in ("salvage", "tree")
