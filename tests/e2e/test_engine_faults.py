"""Faults around containers of a real engine: ccterm is killed, a session is killed, an engine is missing."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.arranged import configure
from tests.servers.git_http import GitServer
from tests.support.core import ccterm, script, start
from tests.support.engine import engine_pid, name_engine, require_engine, runners
from tests.support.git import files_at, git, make_remote, tip
from tests.support.waiting import wait_until

require_engine()
pytestmark = pytest.mark.engine
BUSY = script({"write": "half.txt", "text": "half\n"}, {"say": "written"}, {"bash": "exec -a ccterm-busy tail -f /dev/null"})


@pytest.fixture
def url(isolation: Path, tmp_path: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URL of a remote on the loopback, in an environment that names the engine and a fresh state directory."""
    name_engine(monkeypatch, engine_cache, CCTERM_STATE_DIR=str(tmp_path / "state"))
    configure(isolation, "")
    make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n"}, "main")
    with GitServer(tmp_path / "served") as server:
        yield server.url("remote.git")


def run_args(url: str, branch: str, task: str) -> tuple[str, ...]:
    return ("run", task, "--repo", url, "--branch", branch, "--agent", "scripted")


def boxed(name: str) -> list[psutil.Process]:
    """Return the processes of this machine by that name in their command line, in whatever container they are."""
    return [process for process in psutil.process_iter(["cmdline"]) if name in (process.info["cmdline"] or [])]


def transcripts(tmp_path: Path) -> str:
    return "".join(path.read_text() for path in (tmp_path / "state").glob("runs/*/transcript.ndjson"))


def test_nothing_keeps_running_when_ccterm_is_killed(url: str, tmp_path: Path) -> None:
    owner = start(*run_args(url, "x", BUSY))
    wait_until(lambda: bool(boxed("ccterm-busy")), limit=60)
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    begin = time.monotonic()
    wait_until(lambda: not boxed("ccterm-busy"), limit=2)
    print(f"dead after {time.monotonic() - begin:.2f} s")
    [run] = json.loads(ccterm("runs", "--json").stdout)
    assert (run["state"], run["cause"]) == ("failed", "lost")


def kill(killed: str, daemon: int) -> None:
    """Kill the daemon, its session with the engine, or the engine itself."""
    if killed == "session":
        next(child for child in psutil.Process(daemon).children(recursive=True) if "session" in child.cmdline()).kill()
    else:
        os.kill(engine_pid() if killed == "engine" else daemon, signal.SIGKILL)


@pytest.mark.parametrize("killed", ["daemon", "session"])
def test_the_last_checkpoint_is_the_salvage(url: str, tmp_path: Path, killed: str) -> None:
    work = script({"write": "half.txt", "text": "half\n"}, {"bash": "id -un; ls /private || echo closed"}, {"say": "written"})
    owner = start(*run_args(url, "x", work), "--hold")
    wait_until(lambda: '"kind":"waiting"' in transcripts(tmp_path), limit=90)
    begin = time.monotonic()
    wait_until(lambda: list((tmp_path / "state").glob("runs/*/checkpoint/manifest.json")))
    print(f"checkpoint {time.monotonic() - begin:.2f} s after the turn")
    assert "agent\\nls: cannot open directory '/private': Permission denied\\nclosed" in transcripts(tmp_path)
    kill(killed, owner.pid)
    owner.communicate(timeout=60)
    [run] = json.loads(ccterm("runs", "--json").stdout)
    assert (run["state"], run["cause"], run["changes"]["files"]) == ("failed", "lost" if killed == "daemon" else "engine", 1)
    assert run["salvage"]["checkpoint"]
    done = ccterm("push", "last", timeout=90)
    assert done.returncode == 0, done.stderr
    assert files_at(tmp_path / "served" / "remote.git", "x")["half.txt"] == b"half\n"


def test_the_last_checkpoint_outlives_the_engine(url: str, tmp_path: Path) -> None:
    engine_pid()
    owner = start(*run_args(url, "x", script({"write": "half.txt", "text": "half\n"}, {"say": "written"})), "--hold")
    wait_until(lambda: list((tmp_path / "state").glob("runs/*/checkpoint/manifest.json")), limit=90)
    kill("engine", owner.pid)
    owner.communicate(timeout=60)
    [run] = json.loads(ccterm("runs", "--json").stdout)
    assert (run["state"], run["cause"], bool(run["salvage"]["checkpoint"])) == ("failed", "engine", True)
    git(tmp_path, "clone", "--quiet", str(tmp_path / "served" / "remote.git"), "clone")
    fetched = ccterm("fetch", "last", "--repo", str(tmp_path / "clone"))
    assert fetched.returncode == 0, fetched.stderr
    [ref] = git(tmp_path / "clone", "for-each-ref", "--format=%(refname)", "refs/ccterm").splitlines()
    assert files_at(tmp_path / "clone", ref)["half.txt"] == b"half\n"


def test_when_its_session_is_killed_a_run_ends_as_engine_and_the_next_one_works(url: str, tmp_path: Path) -> None:
    owner = start(*run_args(url, "x", BUSY))
    wait_until(lambda: bool(boxed("ccterm-busy")), limit=60)
    [session] = [child for child in psutil.Process(owner.pid).children(recursive=True) if "session" in child.cmdline()]
    session.kill()
    _, words = owner.communicate(timeout=60)
    assert owner.returncode == 1, words
    [run] = json.loads(ccterm("runs", "--json").stdout)
    assert (run["state"], run["cause"], run["reason"]) == ("failed", "engine", "gone"), run["summary"]
    wait_until(lambda: not boxed("ccterm-busy"), limit=5)
    done = ccterm(*run_args(url, "y", script({"write": "y.txt", "text": "y\n"}, {"say": "done"})), timeout=90)
    assert done.returncode == 0, done.stderr
    assert files_at(tmp_path / "served" / "remote.git", "y")["y.txt"] == b"y\n"


def test_ctrl_c_keeps_the_work_and_push_delivers_it(url: str, tmp_path: Path) -> None:
    owner = start(*run_args(url, "x", BUSY))
    wait_until(lambda: '"text":"written"' in transcripts(tmp_path), limit=60)
    owner.send_signal(signal.SIGINT)
    owner.communicate(timeout=60)
    assert owner.returncode == 130
    done = ccterm("push", "last", timeout=90)
    assert done.returncode == 0, done.stderr
    assert files_at(tmp_path / "served" / "remote.git", "x")["half.txt"] == b"half\n"


@pytest.mark.parametrize("runner", ["tcp://127.0.0.1:9", "unix:///no/such/engine.sock"])
def test_a_missing_engine_is_one_sentence_and_exit_3(url: str, runner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_ENGINE", runner)
    done = ccterm(*run_args(url, "x", BUSY), timeout=20)
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
    assert "--mode local" in done.stderr
    assert json.loads(ccterm("runs", "--json").stdout) == []


@pytest.mark.skipif(len(runners()) < 2, reason="CCTERM_ENGINE names one engine only")
def test_two_engines_share_the_runs(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_ENGINE", ",".join(runners()[:2]))
    tasks = [
        {
            "prompt": script({"bash": "cat /proc/sys/kernel/random/boot_id; hostname -I > where.txt; sleep 1"}, {"say": "done"}),
            "branch": f"b{n}",
        }
        for n in range(4)
    ]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps({**task, "repo": url, "agent": "scripted"}) + "\n" for task in tasks))
    done = ccterm("batch", str(tmp_path / "tasks.jsonl"), "--max-concurrent", "4", timeout=150)
    assert done.returncode == 0, done.stderr
    remote = tmp_path / "served" / "remote.git"
    networks = {files_at(remote, f"b{n}")["where.txt"].split(b".")[1] for n in range(4)}
    assert len(networks) == 2, networks
    assert all(tip(remote, f"b{n}") for n in range(4))
