"""The first push creates the branch; all others keep their work and say so: no push ever overwrites another."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import MakeRemote
from tests.servers.git_http import GitServer
from tests.support.core import documents, local, script, start
from tests.support.git import files_at, git, install_hook, tip

LIMIT = 300.0
BARRIER = """echo here >> arrived
turns=0
until [ "$(wc -l < arrived)" -ge {count} ] || [ $turns -gt 6000 ]; do sleep 0.02; turns=$((turns + 1)); done"""
"""A hook of the remote: no push continues before all have come this far, so each was started before the branch existed."""

Document = Mapping[str, object]


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"README.md": "hello\n"})


@contextmanager
def racers(urls: Sequence[str], place: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start one ccterm per URL, each with its own state directory and its own file to add."""
    with ExitStack() as stack:
        started = []
        for number, url in enumerate(urls):
            task = script({"write": f"by-{number}.txt", "text": f"{number}\n"}, {"say": f"I am number {number}."})
            environment = {"CCTERM_STATE_DIR": str(place / f"state-{number}")}
            process = stack.enter_context(start(*local(url, "agent/x", task), "--json", env=environment))
            stack.callback(process.kill)
            started.append(process)
        yield started


async def race(urls: Sequence[str], place: Path) -> list[Document]:
    """Let them all run to their end; return their documents."""
    with racers(urls, place) as started:
        told = await asyncio.gather(*(asyncio.to_thread(process.communicate, timeout=LIMIT) for process in started))
    runs = [documents(stdout) for stdout, _ in told]
    assert all(len(found) == 1 for found in runs), [stderr for _, stderr in told]
    return [found[0] for found in runs]


def judge(runs: Sequence[Document], remote: Path, reasons: set[str]) -> None:
    """Check that one has won and that all others kept their work."""
    [winner] = [run for run in runs if run["state"] == "succeeded"]
    losers = [run for run in runs if run is not winner]
    assert tip(remote, "agent/x") == winner["commit"]
    assert {(run["state"], run["cause"]) for run in losers} == {("failed", "push")}
    assert {run["reason"] for run in losers} <= reasons, [run["summary"] for run in losers]
    assert len({run["commit"] for run in runs}) == len(runs)
    assert git(remote, "fsck", "--strict", "--no-dangling") == ""
    git(remote.parent, "clone", "--quiet", "--bare", str(remote), f"{remote.name}-fresh")
    for run in losers:
        check_salvage(run, remote.with_name(f"{remote.name}-fresh"))


def check_salvage(run: Document, clone: Path) -> None:
    """Check that a run's bundle brings its own commit, with its own file, to any clone that has the base."""
    salvage = run["salvage"]
    assert isinstance(salvage, dict)
    bundle, commit = f"{salvage['directory']}/work.bundle", str(run["commit"])
    assert git(clone, "bundle", "list-heads", bundle).split()[0] == commit == salvage["commit"]
    git(clone, "bundle", "unbundle", bundle)
    [path] = git(clone, "diff", "--name-only", str(run["base_sha"]), commit).splitlines()
    assert path.startswith("by-")
    assert path in files_at(clone, commit)


@pytest.mark.slow
@pytest.mark.parametrize("over_http", [False, True], ids=["path", "http"])
async def test_of_six_creators_one_wins_and_five_keep_their_work(over_http: bool, remote: Path, tmp_path: Path) -> None:
    install_hook(remote, "pre-receive", BARRIER.format(count=6))
    with GitServer(remote.parent) as server:
        runs = await race([server.url(remote.name) if over_http else str(remote)] * 6, tmp_path)
    assert len((remote / "arrived").read_text().split()) == 6
    judge(runs, remote, {"exists"})


@pytest.mark.slow
async def test_of_four_that_continue_one_branch_one_wins(remote: Path, tmp_path: Path) -> None:
    git(remote, "branch", "agent/x", "main")
    install_hook(remote, "pre-receive", BARRIER.format(count=4))
    runs = await race([str(remote)] * 4, tmp_path)
    assert {run["base_sha"] for run in runs} == {tip(remote, "main")}
    judge(runs, remote, {"non_fast_forward"})


@pytest.mark.slow
@pytest.mark.parametrize("over_http", [False, True], ids=["path", "http"])
async def test_of_twenty_creators_one_wins_every_time(
    over_http: bool, make_remote: MakeRemote, tmp_path: Path, rounds: Callable[[int], int]
) -> None:
    for number in range(rounds(3)):
        remote = make_remote({"README.md": "hello\n"}, name=f"remote-{number}.git")
        install_hook(remote, "pre-receive", BARRIER.format(count=20))
        with GitServer(remote.parent) as server:
            runs = await race([server.url(remote.name) if over_http else str(remote)] * 20, tmp_path / f"round-{number}")
        judge(runs, remote, {"exists"})
