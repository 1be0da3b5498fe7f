"""What an agent in a container had done is found again after its daemon or its engine was killed: its last checkpoint is the salvage."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.draft import Draft
from ccterm.errors import StepError
from ccterm.models import ExecutionMode, Mode, State
from ccterm.render import run_facts
from ccterm.values import Changes
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli, require_git_servers
from tests.e2e.arranged import configure, forms, found_below
from tests.servers.git_http import GitServer
from tests.support.core import Action, draft, script, start
from tests.support.fake_engine import make_base
from tests.support.git import files_at, git, make_remote, make_repository
from tests.support.waiting import wait_until

TOKEN = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
WORK = (
    {"write": "new.txt", "text": "new\n"},
    {"edit": "src/a.py", "old": "1", "new": "2"},
    {"delete": "gone.txt"},
    {"bash": "mkdir -p build && echo x > build/ignored && chmod +x run.sh && ln -s README.md link"},
)


AFTERWARDS = {
    "README.md": b"hello\n", "src/a.py": b"a = 2\n", ".gitignore": b"build/\n", "run.sh": b"true\n", "new.txt": b"new\n", "link": b"README.md",
}  # fmt: skip


@dataclass(frozen=True)
class Boxed:
    """A remote that requires a token, an engine, and a state directory for daemons in other processes."""

    engine: FakeEngine
    remote: Path
    url: str
    state: Path

    def draft(self, *actions: Action) -> Draft:
        """Return a run in a container whose agent waits after each turn."""
        return draft(self.url, "x", script(*actions), execution_mode=ExecutionMode.DAGGER, hold=True)

    def start(self, *actions: Action, flags: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Start a run in a container, and a daemon for it."""
        return start("run", script(*actions), "--repo", self.url, "--branch", "x", "--mode", "dagger", "--agent", "scripted", *flags)

    @property
    def run(self) -> Path:
        """The directory of the one run's record."""
        [path] = self.state.glob("runs/*")
        return path

    def checkpoints(self) -> int:
        """Return how many segments the last checkpoint has, 0 when there is none."""
        found = list(self.state.glob("runs/*/checkpoint/manifest.json"))
        return len({piece[0] for pieces in json.loads(found[0].read_text())["files"].values() for piece in pieces}) if found else 0

    def has_more_than(self, known: int) -> bool:
        """Whether the last checkpoint has more segments than that."""
        return self.checkpoints() > known

    def said(self, text: str) -> bool:
        """Whether the transcript holds a text."""
        return any(text in path.read_text() for path in self.state.glob("runs/*/transcript.ndjson"))


@pytest.fixture
def boxed(isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Boxed]:
    require_git_servers()
    remote = make_remote(
        tmp_path / "served" / "remote.git",
        {"README.md": "hello\n", "src/a.py": "a = 1\n", "gone.txt": "x\n", ".gitignore": "build/\n", "run.sh": "true\n"},
    )
    with FakeEngine() as engine, GitServer(remote.parent, token=TOKEN) as server:
        configure(isolation, f'checkpoint = "1s"\n[host."127.0.0.1:{server.port}"]\ntoken = "env:GIT_SERVER_TOKEN"\n')
        for name, value in {
            "GIT_SERVER_TOKEN": TOKEN,
            "CCTERM_STATE_DIR": str(tmp_path / "state"),
            "CCTERM_ENGINE": engine.runner,
            "CCTERM_DAGGER_CLI": str(make_cli(tmp_path / "bin")),
            "CCTERM_BASE_IMAGE": str(make_base(tmp_path / "base.tar")),
        }.items():
            monkeypatch.setenv(name, value)
        yield Boxed(engine, remote, server.url(remote.name), tmp_path / "state")


def killed(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


async def killed_after_a_checkpoint(boxed: Boxed, daemon: "subprocess.Popen[str]") -> None:
    try:
        await asyncio.to_thread(wait_until, boxed.checkpoints)
    finally:
        killed(daemon)


async def test_after_kill_9_the_last_checkpoint_is_kept_without_engine_and_token(
    boxed: Boxed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await killed_after_a_checkpoint(boxed, boxed.start(*WORK, {"bash": f"echo {TOKEN[::-1]} | rev"}, {"say": "the end"}, flags=("--hold",)))
    boxed.engine.stop()
    monkeypatch.delenv("GIT_SERVER_TOKEN")
    async with AgentService.open(boxed.state) as service:
        [run] = await service.runs()
        assert (run.state, run.cause, run.changes) == (State.FAILED, "lost", Changes(files=5, added=3, removed=2, deleted=1))
        assert any(line.startswith("kept as    the checkpoint from ") for line in run_facts(run))
        assert b"+new" in (await service.patch(run.id) or b"")
        git(tmp_path, "clone", "--quiet", str(boxed.remote), "copy")
        held = files_at(tmp_path / "copy", await service.fetch(run.id, tmp_path / "copy"))
    assert held == AFTERWARDS
    assert "the end" in (boxed.run / "session.jsonl").read_text()
    assert found_below(boxed.state, forms(TOKEN)) == []
    assert sorted(path.name for path in boxed.run.iterdir()) == ["agent.ndjson", "environment.json", "session.jsonl", "transcript.ndjson"]
    with pytest.raises(StepError):
        async with AgentService.open(boxed.state) as service:
            await service.push(run.id)


@pytest.mark.slow
async def test_what_a_checkpoint_kept_is_pushed(boxed: Boxed) -> None:
    await killed_after_a_checkpoint(boxed, boxed.start(*WORK, flags=("--hold",)))
    async with AgentService.open(boxed.state) as service:
        [run] = await service.runs()
        await service.push(run.id)
    assert files_at(boxed.remote, "x") == AFTERWARDS


async def test_when_the_engine_is_killed_the_last_checkpoint_is_the_salvage(boxed: Boxed) -> None:
    async with AgentService.open(boxed.state) as service:
        [queued] = await service.submit([boxed.draft(*WORK)])
        await asyncio.to_thread(wait_until, boxed.checkpoints)
        await asyncio.to_thread(boxed.engine.stop)
        run = await service.wait(queued.id)
        assert (run.state, run.cause) == (State.FAILED, "engine")
        assert run.salvage is not None
        assert run.salvage.checkpoint is not None
        assert f"ccterm push {run.ref} delivers what was kept" in run.action
        assert b"+new" in (await service.patch(run.id) or b"")
    assert not (boxed.run / "checkpoint").exists()


@pytest.mark.slow
async def test_checkpoints_hold_what_is_new_since_the_last_one_and_their_bundle_is_whole(boxed: Boxed, tmp_path: Path) -> None:
    turns = [script({"write": f"{n}.txt", "text": f"{n}\n" * 1000}, {"commit": f"Add {n}"}, {"say": "done"}) for n in range(4)]
    daemon = boxed.start(*WORK, {"say": "done"}, flags=("--hold",))
    try:
        await asyncio.to_thread(wait_until, boxed.checkpoints)
        async with AgentService.open(boxed.state) as service:
            [run] = await service.runs()
            for turn in turns:
                known = boxed.checkpoints()
                await service.steer(run.id, turn)
                await asyncio.to_thread(wait_until, partial(boxed.has_more_than, known))
        sizes = [path.stat().st_size for path in (boxed.run / "checkpoint").glob("*.segment")]
    finally:
        killed(daemon)
    assert max(sizes) < 8000
    async with AgentService.open(boxed.state) as service:
        git(tmp_path, "clone", "--quiet", str(boxed.remote), "copy")
        held = files_at(tmp_path / "copy", await service.fetch(run.id, tmp_path / "copy"))
    assert held == AFTERWARDS | {f"{n}.txt": f"{n}\n".encode() * 1000 for n in range(4)}
    assert git(tmp_path / "copy", "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.slow
async def test_the_checkpoint_of_a_testing_run_is_applied(boxed: Boxed, tmp_path: Path) -> None:
    copy = make_repository(tmp_path / "copy", {"README.md": "hello\n", "src/a.py": "a = 1\n", "gone.txt": "x\n", "run.sh": "true\n"})
    await killed_after_a_checkpoint(
        boxed, start("run", script(*WORK), "--repo", str(copy), "--mode", "dagger", "--agent", "scripted", "--hold")
    )
    async with AgentService.open(boxed.state) as service:
        [run] = await service.runs()
        assert (run.cause, run.task.mode) == ("lost", Mode.TESTING)
        await service.apply(run.id)
    assert ((copy / "new.txt").read_text(), (copy / "src/a.py").read_text(), (copy / "gone.txt").exists()) == ("new\n", "a = 2\n", False)


@pytest.mark.slow
async def test_a_commit_that_reached_the_host_is_kept_when_the_daemon_is_killed(boxed: Boxed) -> None:
    daemon = boxed.start(*WORK, {"say": "done"}, flags=("--verify", "echo verifying; sleep 60"))
    try:
        await asyncio.to_thread(wait_until, lambda: boxed.said('"text":"verifying"'))
    finally:
        killed(daemon)
    async with AgentService.open(boxed.state) as service:
        [run] = await service.runs()
        assert run.cause == "lost"
        assert run.salvage is not None
        assert run.salvage.checkpoint is None
        await service.push(run.id)
    assert files_at(boxed.remote, "x") == AFTERWARDS


@pytest.mark.slow
async def test_a_run_that_ends_well_leaves_no_checkpoint(boxed: Boxed) -> None:
    async with AgentService.open(boxed.state) as service:
        [queued] = await service.submit([boxed.draft(*WORK)])
        await asyncio.to_thread(wait_until, boxed.checkpoints)
        await service.release(queued.id)
        assert (await service.wait(queued.id)).state is State.SUCCEEDED
    assert files_at(boxed.remote, "x") == AFTERWARDS
    assert sorted(path.name for path in boxed.run.iterdir()) == [
        "agent.ndjson",
        "environment.json",
        "session.jsonl",
        "transcript.ndjson",
        "work",
    ]
    assert '"checkpoint"' not in (boxed.run / "transcript.ndjson").read_text()


async def test_who_looks_at_the_diff_of_a_working_agent_has_a_checkpoint_made(boxed: Boxed) -> None:
    async with AgentService.open(boxed.state) as service:
        [queued] = await service.submit([boxed.draft(*WORK, {"say": "All is written."}, {"sleep": 600})])
        await asyncio.to_thread(wait_until, partial(boxed.said, '"kind":"said"'))
        assert boxed.checkpoints() == 0
        patch = await service.patch(queued.id)
        assert patch is not None
        assert {b"+new", b"+a = 2", b"deleted file mode 100644"} <= set(patch.split(b"\n"))
        assert await service.patch(queued.id) == patch  # nothing is new
        await service.cancel(queued.id, now=True)
        await service.wait(queued.id)
