"""kill -9 at random points of runs: what the agent had written is found again, without a login, a token, a secret, or room on the disk."""

import asyncio
import errno
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.daemon.wiring import serving
from ccterm.models import Run
from ccterm.service.protocol import Service
from ccterm.state_dir import StateDir
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli, require_git_servers
from tests.e2e.arranged import configure
from tests.servers.git_http import GitServer
from tests.support.core import script, start
from tests.support.fake_engine import make_base
from tests.support.faults import FaultyStorage
from tests.support.git import files_at, git, make_remote, make_repository, tip
from tests.support.waiting import PAUSE

TOKEN = "tok-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
FILES, TURNS = 40, 4
SETTINGS = '[secrets.DEPLOY_KEY]\nfrom = "env:HOST_KEY"\nsteps = ["setup"]\n'


@dataclass
class Killed:
    """One run whose daemon is killed. ledger: the agent notes in it which file it has written, and when."""

    place: Path
    remote: Path
    url: str
    mode: str
    copy: Path | None = None

    @property
    def state(self) -> Path:
        return self.place / "state"

    @property
    def ledger(self) -> Path:
        return self.place / "ledger"

    def arguments(self, pause: float) -> list[str]:
        """Return the arguments of a run that writes many files, in several turns, with a pause after each file."""
        body = f'echo "bytes of $i" > f$i.txt; echo "$i $(date +%s.%N)" >> {self.ledger}; sleep {pause}'
        each = FILES // TURNS
        turns = [{"bash": f"for i in $(seq {at} {at + each - 1}); do {body}; done"} for at in range(0, FILES, each)]
        task = script(*(action for turn in turns for action in (turn, {"turn": "some are written"})), {"say": "all written"})
        where = ["--repo", str(self.copy), "--yes"] if self.copy else ["--repo", self.url, "--branch", self.place.name]
        return ["run", task, "--mode", self.mode, "--agent", "scripted", "--setup", "true", "--verify", "true", *where]

    def kill_after(self, pause: float, seconds: float) -> float:
        """Start the run and kill its daemon so long after its record began; return the time before which nothing that was written may be lost."""
        daemon = start(*self.arguments(pause), env={"CCTERM_STATE_DIR": str(self.state)})
        begun, checkpoints = 0.0, [0.0, 0.0]
        try:
            while not begun or time.monotonic() < begun + seconds:
                if daemon.poll() is not None:
                    break
                if not begun and list(self.state.glob("runs/*/transcript.ndjson")):
                    begun = time.monotonic()
                if (at := self._checkpoint()) > checkpoints[-1]:
                    checkpoints.append(at)
                time.sleep(PAUSE)
        finally:
            daemon.kill()
            daemon.communicate()
        if self.mode == "local" or self._said('"kind":"finished"'):
            return float("inf")
        return checkpoints[-2]  # the last one began after the one before was made

    def _said(self, text: str) -> bool:
        return any(text in path.read_text() for path in self.state.glob("runs/*/transcript.ndjson"))

    def _checkpoint(self) -> float:
        for path in self.state.glob("runs/*/checkpoint/manifest.json"):
            try:
                return float(json.loads(path.read_bytes())["at"])
            except FileNotFoundError:
                continue
        return 0.0

    def written(self, before: float = float("inf")) -> dict[str, bytes]:
        """Return what the agent wrote before a time: name -> content."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        noted = [line.split() for line in lines if line.count(" ") == 1 and "." in line.rpartition(" ")[2]]
        return {f"f{number}.txt": f"bytes of {number}\n".encode() for number, at in noted if float(at) < before}

    async def found(self, service: Service) -> dict[str, bytes]:
        """Return what is found of the agent's files, wherever the record says that they are."""
        runs = await service.runs()
        if not runs:
            return {}
        [known] = runs
        run = await service.wait(known.id)  # what a lost run left is kept beside everything else
        assert run.state.final
        if self.copy and run.synced:
            return {path.name: path.read_bytes() for path in self.copy.glob("f*.txt")}
        if not self.copy and tip(self.remote, self.place.name):
            return dict(files_at(self.remote, self.place.name))
        return await self._kept(service, run)

    async def _kept(self, service: Service, run: Run) -> dict[str, bytes]:
        patch = await service.patch(run.id)
        if not patch:
            return {}
        clone = self.place / "clone"
        git(self.place, "clone", "--quiet", str(self.copy or self.remote), "clone")
        if self.copy:
            (self.place / "patch").write_bytes(patch)
            git(clone, "apply", str(self.place / "patch"))
            return {path.name: path.read_bytes() for path in clone.glob("f*.txt")}
        return dict(files_at(clone, await service.fetch(run.id, clone)))


async def recovered(killed: Killed, *, full: bool) -> dict[str, bytes]:
    """Recover and return what is found. full: the first attempt meets a full disk."""
    if full:
        try:
            storage = FaultyStorage(errno.ENOSPC, 1, until=lambda: False)
            async with serving(StateDir(killed.state, storage).prepare(), os.environ):
                pass
        except Exception as error:  # noqa: BLE001 - it may fail as it likes, if it destroys nothing
            print(f"  on a full disk: {error!r}"[:200])
    async with AgentService.open(killed.state) as service:
        return await killed.found(service)


async def holds_everything(killed: Killed, before: float, *, full: bool) -> None:
    """Check that each byte that the agent wrote before a time is found again."""
    found = await recovered(killed, full=full)
    missing = {name: data for name, data in killed.written(before).items() if found.get(name) != data}
    assert not missing, sorted(missing)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n"})


@pytest.fixture
def local_run(remote: Path, tmp_path: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Killed]:
    """Return what makes a run on this machine, whose setup needs a secret: (name, what)."""
    configure(isolation, SETTINGS)
    monkeypatch.setenv("HOST_KEY", "s3cr3t-value-of-the-deploy-key")

    def make(name: str, what: str) -> Killed:
        (place := tmp_path / name).mkdir()
        copy = make_repository(place / "copy", {"README.md": "hello\n"}) if what == "working copy" else None
        return Killed(place, remote, str(remote), "local", copy)

    return make


@pytest.fixture
def boxed_run(remote: Path, tmp_path: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Killed]]:
    """Return what makes a run in a container of a stand-in engine, from a remote that requires a token: (name, what)."""
    require_git_servers()
    with FakeEngine() as engine, GitServer(remote.parent, token=TOKEN) as server:
        configure(isolation, f'checkpoint = "0.3s"\n{SETTINGS}[host."127.0.0.1:{server.port}"]\ntoken = "env:GIT_SERVER_TOKEN"\n')
        for variable, value in {
            "HOST_KEY": "s3cr3t-value-of-the-deploy-key",
            "GIT_SERVER_TOKEN": TOKEN,
            "CCTERM_ENGINE": engine.runner,
            "CCTERM_DAGGER_CLI": str(make_cli(tmp_path / "bin")),
            "CCTERM_BASE_IMAGE": str(make_base(tmp_path / "base.tar")),
        }.items():
            monkeypatch.setenv(variable, value)

        def make(name: str, what: str) -> Killed:
            (place := tmp_path / name).mkdir()
            copy = make_repository(place / "copy", {"README.md": "hello\n"}) if what == "working copy" else None
            return Killed(place, remote, server.url(remote.name), "dagger", copy)

        yield make


async def check_killed_at_random(make: Callable[[str, str], Killed], monkeypatch: pytest.MonkeyPatch, count: int, pause: float) -> None:
    """Kill the daemons of so many runs, each at a random moment of it, and look for their work. All that fail are shown."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    lasted = dict[str, float]()
    for what in ("branch", "working copy"):
        began = time.monotonic()
        whole = make(f"whole-{what.replace(' ', '-')}", what)
        await asyncio.to_thread(whole.kill_after, pause, 60.0)
        lasted[what] = time.monotonic() - began
        await holds_everything(whole, float("inf"), full=False)
        assert len(whole.written()) == FILES
    failures, written = list[str](), 0
    for number in range(count):
        what, full = chance.choice(list(lasted)), chance.random() < 0.25
        seconds = chance.random() * lasted[what]
        killed = make(str(number), what)
        certain = await asyncio.to_thread(killed.kill_after, pause, seconds)
        written += len(killed.written(certain))
        with monkeypatch.context() as without:
            for variable in ("HOST_KEY", "GIT_SERVER_TOKEN", "CCTERM_ENGINE", "CCTERM_DAGGER_CLI", "CCTERM_BASE_IMAGE"):
                without.delenv(variable, raising=False)
            try:
                await holds_everything(killed, certain, full=full)
            except Exception as error:  # noqa: BLE001 - all that fail are shown
                failures.append(f"{number} {what} {seconds:.3f} {'full' if full else ''} {error!r}"[:1500])
                print(failures[-1])
    print(f"{count} runs killed, seed {seed}; {written} files looked for, lost in {len(failures)} runs")
    assert not failures


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_runs_on_this_machine(
    local_run: Callable[[str, str], Killed], monkeypatch: pytest.MonkeyPatch, rounds: Callable[[int], int]
) -> None:
    await check_killed_at_random(local_run, monkeypatch, rounds(10), pause=0.01)


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_runs_in_containers(
    boxed_run: Callable[[str, str], Killed], monkeypatch: pytest.MonkeyPatch, rounds: Callable[[int], int]
) -> None:
    await check_killed_at_random(boxed_run, monkeypatch, rounds(4), pause=0.08)
