"""Whole runs in containers of a stand-in for a Dagger engine: how the pipeline handles sessions, images and engines that go away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.draft import Draft
from ccterm.errors import PreflightError
from ccterm.events import Held, HostAsked, Said, StepFinished
from ccterm.models import ExecutionMode, Run, RunId, State
from ccterm.service.protocol import Service
from tests.conftest import MakeRemote
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli, require_git_servers
from tests.e2e.arranged import carried_out, configure, forms, found_below
from tests.servers.git_http import GitServer
from tests.support.core import EDIT, ccterm, draft, script
from tests.support.fake_engine import make_base
from tests.support.git import branches, files_at, make_remote, tip

TOKEN = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
HANGING = script({"write": "half.txt", "text": "half\n"}, {"say": "hanging"}, {"hang": True})


@dataclass(frozen=True)
class Boxed:
    """A service whose runs use containers, and a remote that requires a token."""

    service: Service
    engine: FakeEngine
    remote: Path
    url: str
    state: Path

    def draft(self, branch: str = "agent/x", task: str = EDIT, **fields: object) -> Draft:
        return draft(self.url, branch, task, execution_mode=ExecutionMode.DAGGER, **fields)

    async def start(self, branch: str, task: str) -> RunId:
        [queued] = await self.service.submit([self.draft(branch, task)])
        return queued.id

    async def run(self, branch: str = "agent/x", task: str = EDIT, **fields: object) -> Run:
        return await carried_out(self.service, self.draft(branch, task, **fields))

    async def reused(self, run: RunId) -> dict[str, bool]:
        """Return step -> whether its result came from the engine's cache."""
        events = [event async for event in self.service.follow(run)]
        return {event.step: event.detail == "reused" for event in events if isinstance(event, StepFinished)}

    async def says(self, run: RunId, text: str) -> None:
        """Wait until the agent has said a text."""
        async for event in self.service.follow(run):
            if isinstance(event, Said) and text in event.text:
                return


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine that the environment names."""
    with FakeEngine() as engine:
        monkeypatch.setenv("CCTERM_ENGINE", engine.runner)
        monkeypatch.setenv("CCTERM_DAGGER_CLI", str(make_cli(tmp_path / "bin")))
        monkeypatch.setenv("CCTERM_BASE_IMAGE", str(make_base(tmp_path / "base.tar")))
        yield engine


@pytest.fixture
async def boxed(engine: FakeEngine, isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Boxed]:
    require_git_servers()
    monkeypatch.setenv("GIT_SERVER_TOKEN", TOKEN)
    remote = make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n"})
    with GitServer(remote.parent, token=TOKEN) as server:
        configure(isolation, f'[host."127.0.0.1:{server.port}"]\ntoken = "env:GIT_SERVER_TOKEN"\n')
        async with AgentService.open(tmp_path / "state") as service:
            yield Boxed(service, engine, remote, server.url(remote.name), tmp_path / "state")
            await service.cancel_all(now=True)  # after a test that failed in the middle of a run


async def test_a_task_becomes_a_pushed_branch_and_the_next_run_reuses_its_base(boxed: Boxed) -> None:
    fields = {"setup": "date +%N > .git/installed", "verify": "test -e .git/installed || test -e new.txt"}
    first, second = [await boxed.run(branch, **fields) for branch in ("agent/1", "agent/2")]
    for run, branch in ((first, "agent/1"), (second, "agent/2")):
        assert run.state is State.SUCCEEDED, run.summary
        assert run.pushed is not None
        assert tip(boxed.remote, branch) == run.pushed.sha == run.commit
        assert files_at(boxed.remote, branch) == {"README.md": b"hello\n", "new.txt": b"new\n"}
    assert (first.manifest.executor, first.manifest.credential) == ("dagger", "none")
    assert not any((await boxed.reused(first.id)).values())
    assert [step for step, reused in (await boxed.reused(second.id)).items() if reused] == ["checkout", "setup"]
    assert found_below(boxed.state, forms(TOKEN)) == []


def asking(url: str, times: int = 3) -> str:
    """Return the task of an agent that asks for a page, through the proxy that its environment names."""
    ask = f"env -u NO_PROXY -u no_proxy python3 -c 'import urllib.request as u; u.urlopen(\"{url}\")'"
    return script({"write": "new.txt", "text": "new\n"}, *[{"bash": f"{ask} 2>&1 || true"}] * times)


async def test_what_a_box_asks_for_is_written_down(boxed: Boxed) -> None:
    run = await boxed.run(task=asking("http://nowhere.invalid/"), egress="record")
    assert (run.state, run.manifest.egress) == (State.SUCCEEDED, "recorded"), run.summary
    asked = [event for event in [event async for event in boxed.service.follow(run.id)] if isinstance(event, HostAsked)]
    assert {(f"{event.host}:{event.port}", event.allowed) for event in asked} == {("nowhere.invalid:80", True)}
    assert sum(event.more for event in asked) == 3
    assert run.refused_hosts == ()


async def test_a_batch_with_a_list_is_refused_where_no_network_can_be_closed_whatever_else_is_in_it(boxed: Boxed) -> None:
    drafts = [boxed.draft("agent/1", egress=("a.example",)), boxed.draft("agent/2")]
    with pytest.raises(PreflightError, match="cannot close the network of a box"):
        await boxed.service.submit(drafts)
    assert await boxed.service.runs() == []


@pytest.mark.slow
async def test_of_a_reused_setup_only_its_own_run_tells_what_it_asked_for(boxed: Boxed) -> None:
    ask = "env -u NO_PROXY -u no_proxy python3 -c 'import urllib.request as u; u.urlopen(\"http://nowhere.invalid/\")' || true"
    runs = [await boxed.run(branch, setup=ask, egress="record") for branch in ("agent/1", "agent/2")]
    events = [[event async for event in boxed.service.follow(run.id)] for run in runs]
    asked = [[f"{event.host}:{event.port}" for event in each if isinstance(event, HostAsked)] for each in events]
    assert "setup" in [step for step, reused in (await boxed.reused(runs[1].id)).items() if reused]
    assert asked == [["nowhere.invalid:80"], []]


@pytest.mark.slow
async def test_a_cancelled_run_goes_on_with_its_work_and_its_conversation(boxed: Boxed) -> None:
    stopped = await boxed.start("agent/x", script({"write": "half.txt", "text": "half\n"}, {"say": "hanging"}, {"sleep": 60}))
    await boxed.says(stopped, "hanging")
    await boxed.service.cancel(stopped)
    await boxed.service.wait(stopped)
    queued = await boxed.service.continue_(stopped, script({"bash": "cp half.txt whole.txt"}, {"say": "Copied."}))
    run = await boxed.service.wait(queued.id)
    assert run.state is State.SUCCEEDED, run.summary
    assert files_at(boxed.remote, "agent/x").keys() >= {"half.txt", "whole.txt"}
    conversation = (boxed.state / "runs" / run.id / "session.jsonl").read_text()
    assert conversation.index("half.txt") < conversation.index("whole.txt")


@pytest.mark.slow
async def test_a_state_directory_may_have_any_name(engine: FakeEngine, tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote({"README.md": "hello\n"})
    with GitServer(remote.parent) as server:
        async with AgentService.open(tmp_path / "a b,c|d:e'f\"g\\h #%$=ü" / "state") as service:
            given = draft(server.url(remote.name), execution_mode=ExecutionMode.DAGGER, setup="true", verify="test -f new.txt")
            run = await carried_out(service, given)
    assert run.state is State.SUCCEEDED, run.summary


async def test_a_run_whose_engine_dies_fails_and_the_next_waits_for_it(boxed: Boxed) -> None:
    lost = await boxed.start("agent/lost", HANGING)
    await boxed.says(lost, "hanging")
    await asyncio.to_thread(boxed.engine.stop)
    ended = await boxed.service.wait(lost)
    assert (ended.state, ended.cause) == (State.FAILED, Cause.ENGINE), ended.summary
    [waiting] = await boxed.service.submit([boxed.draft("agent/later")])
    async for event in boxed.service.follow(waiting.id):
        if isinstance(event, Held) and boxed.engine.runner in event.reason:
            break
    boxed.engine.start()
    later = await boxed.service.wait(waiting.id)
    assert later.state is State.SUCCEEDED, later.summary
    assert set(branches(boxed.remote)) == {"main", "agent/later"}


async def test_a_cancelled_run_keeps_its_work_which_can_be_pushed(boxed: Boxed) -> None:
    run = await boxed.start("agent/x", HANGING)
    await boxed.says(run, "hanging")
    await boxed.service.cancel(run)
    ended = await boxed.service.wait(run)
    assert ended.state is State.CANCELLED
    assert ended.salvage is not None
    delivered = await boxed.service.push(run)
    assert delivered.pushed is not None
    assert files_at(boxed.remote, "agent/x")["half.txt"] == b"half\n"


async def test_a_service_that_cannot_start_is_the_reason_of_the_failure(
    engine: FakeEngine, isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n"})
    with GitServer(remote.parent) as server:
        configure(isolation, '[services.db]\nimage = "localhost:1/nothing:1"\nport = 1\n')
        async with AgentService.open(tmp_path / "state") as service:
            run = await Boxed(service, engine, remote, server.url(remote.name), tmp_path / "state").run()
    assert (run.state, run.cause, run.reason, run.salvage) == (State.FAILED, Cause.ENGINE, "service", None)
    assert run.summary.startswith("A service beside the step could not start: the service db cannot start: failed to resolve image")
    assert "could not be taken out" not in run.summary


@pytest.mark.slow
async def test_without_a_log_stream_runs_still_work(boxed: Boxed) -> None:
    boxed.engine.faults.no_logs = True
    run = await boxed.run(task=script({"say": "I am heard at the end."}, {"write": "new.txt", "text": "new\n"}))
    assert run.state is State.SUCCEEDED, run.summary
    said = [event.text async for event in boxed.service.follow(run.id) if isinstance(event, Said)]
    assert said == ["I am heard at the end."]


def refused(*args: str) -> str:
    """Run a command that is refused with exit code 3 and one sentence, which is returned."""
    done = ccterm("run", "x", "--branch", "b", *args)
    assert done.returncode == 3, (done.stdout, done.stderr)
    said, *fix = [line for line in done.stderr.splitlines() if line.strip()]
    assert said.startswith("ccterm: ")
    assert len(fix) < 2, done.stderr
    assert done.stdout == ""
    return "; ".join([said, *map(str.strip, fix)])


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CCTERM_DAGGER_CLI", str(make_cli(tmp_path / "bin")))


URL = ("--repo", "http://127.0.0.1:9/o/r.git")


@pytest.mark.usefixtures("outside")
def test_without_docker_a_run_is_refused_with_the_fix() -> None:
    said = refused(*URL, "--agent", "scripted")
    assert "start Docker" in said
    assert "--mode local" in said


@pytest.mark.usefixtures("outside")
def test_a_dead_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_ENGINE", "unix:///nowhere/engine.sock")
    assert "unix:///nowhere/engine.sock cannot be reached" in refused(*URL, "--agent", "scripted")


@pytest.mark.usefixtures("outside")
def test_a_container_cannot_use_a_bare_path_as_its_remote(tmp_path: Path) -> None:
    remote = make_remote(tmp_path / "remote.git", {"a": "a\n"})
    assert "a container cannot reach the path" in refused("--repo", str(remote), "--agent", "scripted")


@pytest.mark.usefixtures("outside")
def test_without_a_login_for_containers_the_fix_is_named() -> None:
    assert "ccterm auth setup" in refused(*URL)


@pytest.mark.slow
def test_an_image_without_what_boxes_need_is_refused_at_once(
    engine: FakeEngine, outside: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCTERM_BASE_IMAGE", str(tmp_path / "nowhere.tar"))
    assert "nowhere.tar does not exist" in refused(*URL, "--agent", "scripted")
