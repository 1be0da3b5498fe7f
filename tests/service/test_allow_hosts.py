"""Hosts that a user allows after a run was refused them count for what comes of that run, and for nothing else."""

import asyncio
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.errors import UsageError
from ccterm.events import HostAsked, Started
from ccterm.models import ExecutionMode, Run, RunId, State, Task, new_id, now
from ccterm.record import Recorder
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import Transcript
from ccterm.values import Egress, StepRecord
from tests.conftest import MakeRemote
from tests.support.core import draft, script

LIST = Egress(mode="list", hosts=("registry.npmjs.org:443",))


async def ended(state: StateDir, remote: Path) -> Run:
    """Record a run with a list of hosts that has ended."""
    task = Task(
        prompt=script({"say": "x"}), repo=str(remote), remote=str(remote), remote_key=str(remote), branch="b", agent="scripted",
        execution_mode=ExecutionMode.LOCAL, egress=LIST,
    )  # fmt: skip
    store = Store.open(state.db)
    began = StepRecord(name="agent", ok=True, seconds=1)
    [run] = store.submit([Run(id=RunId(new_id()), task=task, created=now(), session_id="s", steps=(began,))], None)
    recorder = Recorder(run, Transcript(state.run(run.id), run.id), store)
    recorder.emit([Started(), HostAsked(host="pypi.org", port=443, allowed=False, count=1, more=1)])
    run = await recorder.finish(State.SUCCEEDED)
    store.close()
    return run


async def test_hosts_that_were_allowed_are_kept_with_the_run_whose_own_list_stays(tmp_path: Path, make_remote: MakeRemote) -> None:
    """What comes of the run then reaches them in `tests/e2e/test_engine_closed.py`: only a real engine closes boxes."""
    run = await ended(StateDir(tmp_path / "state").prepare(), make_remote())
    async with AgentService.open(tmp_path / "state") as service:
        changed = await service.allow_hosts(run.id, ["PyPI.org:443", "npm"])
        assert changed.allowed_hosts == ("pypi.org:443", "registry.npmjs.org:443", "registry.yarnpkg.com:443")
    async with AgentService.open(tmp_path / "state") as service:
        found = await service.find(run.id)
        assert (found.allowed_hosts, found.task.egress) == (changed.allowed_hosts, LIST)


async def test_a_run_that_may_reach_every_host_is_allowed_no_more(tmp_path: Path, make_remote: MakeRemote) -> None:
    async with AgentService.open(tmp_path / "state") as service:
        [run] = await service.submit([draft(make_remote(), task=script({"hang": True}))])
        with pytest.raises(UsageError, match="may reach every host"):
            await service.allow_hosts(run.id, ["pypi.org"])
        await service.cancel(run.id, now=True)
        await asyncio.wait_for(service.wait(run.id), 30)


async def test_what_is_no_host_is_not_allowed(tmp_path: Path, make_remote: MakeRemote) -> None:
    run = await ended(StateDir(tmp_path / "state").prepare(), make_remote())
    async with AgentService.open(tmp_path / "state") as service:
        with pytest.raises(UsageError, match=r'the request holds "10\.0\.0\.1:443", which is an address'):
            await service.allow_hosts(run.id, ["10.0.0.1:443"])
