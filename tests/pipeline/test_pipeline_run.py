"""Once the agent has worked, its work is kept whatever fails next; what keeping and delivering need is no more than they use."""

import json
import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from ccterm.agents.claude import ClaudeAgent
from ccterm.causes import Cause
from ccterm.credentials.login import MARGIN
from ccterm.credentials.setup_token import FILE, VALID
from ccterm.errors import PreflightError
from ccterm.executors.local.executor import LocalExecutor
from ccterm.models import State, now
from ccterm.pipeline.agent_home import RAW_CONVERSATION
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.run_control import RunControl
from ccterm.proof import uncommitted
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from tests.pipeline.parts import StandIn, contexts, pipeline, recorder_of, task
from tests.support.core import EDIT, script
from tests.support.git import tip


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("failing", "kept"), [("collect session", "commit"), ("commit", "boxes"), ("collect out", "boxes"), ("push", "commit")]
)
async def test_a_failure_after_the_agent_keeps_its_work(remote: Path, state: StateDir, sockets: Path, failing: str, kept: str) -> None:
    recorder = recorder_of(state, task(remote, EDIT))
    async with pipeline(state, sockets, os.environ, failing) as tested:
        run = await tested.carry_out(recorder, RunControl())
    assert (run.state, run.cause) == (State.FAILED, Cause.ENGINE)
    assert tip(remote, "agent/x") is None
    if kept == "boxes":
        assert (run.salvage, run.kept_in, uncommitted(run)) == (None, str(state.boxes(run.id)), True)
        assert [path.read_text() for path in state.boxes(run.id).glob("*/work/new.txt")] == ["new\n"]
    else:
        assert run.salvage is not None
        assert run.salvage.commit == run.commit is not None
        assert b"new.txt" in (Path(run.salvage.directory) / "work.patch").read_bytes()
        assert (run.kept_in, state.boxes(run.id).exists()) == (None, False)


@pytest.mark.parametrize("failing", ["checkout", "agent"])
async def test_a_failure_before_the_agent_has_worked_keeps_nothing(remote: Path, state: StateDir, sockets: Path, failing: str) -> None:
    recorder = recorder_of(state, task(remote, EDIT))
    async with pipeline(state, sockets, os.environ, failing) as tested:
        run = await tested.carry_out(recorder, RunControl())
    assert (run.state, run.cause, run.salvage, run.kept_in) == (State.FAILED, Cause.ENGINE, None, None)
    assert not state.boxes(run.id).exists()


async def test_only_a_run_needs_the_agents_program(remote: Path, state: StateDir, tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    recorder = recorder_of(state, task(remote, "Add a file", agent="claude"))
    async with LocalExecutor(state.path, environ=environ) as executor:
        factory = contexts(state, executor, tmp_path, ClaudeAgent(path=str(tmp_path)), environ=environ)
        with pytest.raises(PreflightError, match="the Claude CLI was not found"):
            factory.for_run(recorder.run, recorder)
        assert factory.for_recovery(recorder.run, recorder).task == recorder.run.task
        assert factory.for_delivery(recorder.run, recorder).remote.url == str(remote)
    await recorder.close()


async def test_an_api_on_this_machine_where_nobody_listens_is_told_before_the_run(remote: Path, state: StateDir, sockets: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    asked = task(remote, "x", agent=ClaudeAgent.name)
    recorder = recorder_of(state, asked)
    async with LocalExecutor(state.path, environ=os.environ) as executor:
        tested = Pipeline(executor, contexts(state, executor, sockets, environ=os.environ, settings=Settings(base_url=url)), state)
        with pytest.raises(PreflightError, match=f"{url} cannot be reached: nothing listens there"):
            await tested.prepare(asked)
        run = await tested.carry_out(recorder, RunControl())
    assert (run.state, run.cause, run.reason, run.steps) == (State.FAILED, Cause.AGENT, "api", ())
    assert url in run.summary


@pytest.mark.parametrize(
    ("left", "cause", "reason"), [(1.5, Cause.TIMEOUT, "login"), (-1, Cause.AUTH, "")], ids=["a moment", "too little to begin"]
)
async def test_a_run_that_its_login_ends_says_so(
    left: float, cause: Cause, reason: str, isolation: Path, remote: Path, state: StateDir, sockets: Path
) -> None:
    """left: seconds until five minutes before its end. No gate is asked here."""
    path = isolation / FILE
    path.parent.mkdir(mode=0o700)
    stored = now() - VALID + MARGIN + timedelta(seconds=left)
    path.write_text(json.dumps({"token": "sk-ant-oat01-" + "D" * 95, "stored": stored.isoformat()}))
    path.chmod(0o600)
    recorder = recorder_of(state, task(remote, script({"write": "half.txt", "text": "half"}, {"sleep": 60}), agent=ClaudeAgent.name))
    async with LocalExecutor(state.path, environ=os.environ) as executor:
        tested = Pipeline(executor, contexts(state, executor, sockets, StandIn(), environ=os.environ), state)
        run = await tested.carry_out(recorder, RunControl())
    assert (run.state, run.cause, run.reason) == (State.FAILED, cause, reason)
    assert "ccterm auth setup" in run.action
    assert "raise --timeout" not in run.action


async def test_a_conversation_that_was_being_cleaned_when_the_daemon_died_does_not_stay_as_it_was(
    remote: Path, state: StateDir, sockets: Path
) -> None:
    recorder = recorder_of(state, task(remote, EDIT))
    raw = state.run(recorder.run.id) / RAW_CONVERSATION
    raw.mkdir(parents=True)
    (raw / "x.jsonl").write_text("a token\n")
    async with pipeline(state, sockets, os.environ) as tested:
        assert (await tested.recover(recorder)).cause is Cause.LOST
    assert not raw.exists()
