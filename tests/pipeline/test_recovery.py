"""What lost runs left is kept beside everything else, one at a time; nobody waits for it but those who want that very run."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.executors.control import socket_directory
from ccterm.models import Run, RunId, State, new_id, now
from ccterm.pipeline.run_control import RunControl
from ccterm.proof import is_recovering
from ccterm.record import Recorder
from ccterm.service.reader import needs_recovery
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import Transcript
from tests.pipeline.parts import pipeline, task
from tests.support.core import ccterm, draft, script
from tests.support.git import files_at
from tests.support.stepping import Stepped
from tests.support.waiting import until

PRECIOUS = script({"write": "precious.txt", "text": "precious\n"}, {"say": "written"})
_SCRIPT = """#!/bin/sh
case " $* " in *" commit-tree "*) touch {place}/asked; until [ -e {place}/open ]; do sleep 0.05; done;; esac
exec {git} "$@"
"""


@dataclass(frozen=True)
class HeldUpGit:
    """A git that makes no commit before it is let."""

    place: Path

    @property
    def path(self) -> str:
        return f"{self.place}:{os.environ['PATH']}"

    @property
    def asked(self) -> bool:
        return (self.place / "asked").exists()

    def let(self) -> None:
        (self.place / "open").touch()


@pytest.fixture
def held_up(tmp_path: Path) -> Iterator[HeldUpGit]:
    git = HeldUpGit(tmp_path / "held-up")
    git.place.mkdir()
    (git.place / "git").write_text(_SCRIPT.format(place=git.place, git=shutil.which("git")))
    (git.place / "git").chmod(0o755)
    yield git
    git.let()


@pytest.fixture
async def lost(state_dir: Path, remote: Path) -> RunId:
    """Return a run whose daemon died after its agent wrote a file."""
    state, sockets = StateDir(state_dir).prepare(), socket_directory()
    with closing(Store.open(state.db)) as store:
        run = Run(id=RunId(new_id()), task=task(remote, PRECIOUS), created=now())
        recorder = Recorder(run, Transcript(state.run(run.id), run.id), store)
        boxes = state.boxes(run.id)
        async with pipeline(state, sockets, os.environ) as tested:
            written = Stepped(
                tested.carry_out(recorder, RunControl()), asyncio.CancelledError(), 1, lambda: bool(list(boxes.glob("*/work/precious.txt")))
            )
            with pytest.raises(asyncio.CancelledError):
                await written
        await recorder.close()
    shutil.rmtree(sockets)
    return run.id


async def test_others_never_wait_for_a_lost_run_and_its_own_commands_do(
    state_dir: Path, remote: Path, lost: RunId, held_up: HeldUpGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", held_up.path)
        async with AgentService.open(state_dir) as service:
            known = await service.find(lost)
            assert (known.state, is_recovering(known)) == (State.RUNNING, True)
            [rival] = await service.submit([draft(remote, task=script({"say": "same branch"}))])
            await until(lambda: held_up.asked)
            assert (await service.find(rival.id)).held == "branch busy (#1 is being recovered)"
            reviewing = asyncio.ensure_future(service.review(lost))
            await asyncio.sleep(0)
            [other] = await service.submit([draft(remote, "agent/other", task=script({"say": "another branch"}))])
            assert (await service.wait(other.id)).state is State.SUCCEEDED
            assert not reviewing.done()
            held_up.let()
            ended = await reviewing
            assert (await service.wait(rival.id)).state is State.SUCCEEDED
            await service.push(lost)
    assert (ended.state, ended.cause, ended.steps[-1].name) == (State.FAILED, "lost", "recovering")
    assert files_at(remote, "agent/x")["precious.txt"] == b"precious\n"


@pytest.mark.slow
async def test_what_a_lone_command_leaves_undone_is_done_at_the_next_start(
    state_dir: Path, remote: Path, lost: RunId, held_up: HeldUpGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", held_up.path)
        listed = ccterm("runs", timeout=60)
        assert ("running" in listed.stdout, listed.returncode) == (True, 0)
    state = StateDir(state_dir)
    assert needs_recovery(state)
    assert list(state.boxes(lost).glob("*/work/precious.txt"))
    shown = ccterm("show", "last", timeout=60)
    assert "lost" in shown.stdout
    async with AgentService.open(state_dir) as service:
        await service.push(lost)
    assert files_at(remote, "agent/x")["precious.txt"] == b"precious\n"


async def test_leaving_leaves_the_work_to_the_next_start_and_a_stop_leaves_it_in_its_boxes(
    state_dir: Path, lost: RunId, held_up: HeldUpGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", held_up.path)
        async with AgentService.open(state_dir):
            pass
        assert needs_recovery(StateDir(state_dir))
        async with AgentService.open(state_dir) as service:
            await until(lambda: held_up.asked)
            await service.cancel(lost)
            run = await service.wait(lost)
    assert (run.state, run.cause, run.kept_in) == (State.FAILED, "lost", str(StateDir(state_dir).boxes(lost)))
