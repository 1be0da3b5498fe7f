"""The calls that users know, word for word: only the token's header is added, and the server has a free port."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.process import Serving, serving
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli, require_git_servers
from tests.e2e.arranged import configure
from tests.servers.git_http import GitServer
from tests.support.fake_engine import make_base
from tests.support.git import branches, files_at, git, make_remote
from tests.support.waiting import wait_until

TOKEN = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
ONE = """curl -X POST http://localhost:8001/api/v1/agents/run -H "Content-Type: application/json" \
  -d '{"task": "Your task description", "execution_mode": "dagger", "model": "sonnet", "branch": "feature/my-task"}'
"""
WITHOUT_A_BRANCH = """curl -X POST http://localhost:8001/api/v1/agents/run -H "Content-Type: application/json" \
  -d '{"task": "Your task description", "execution_mode": "dagger", "model": "sonnet"}'
"""
THREE = """curl -X POST http://localhost:8001/api/v1/agents/run-parallel -H "Content-Type: application/json" \
  -d '{"tasks": [{"task": "Task 1", "branch": "feature/task-1"}, {"task": "Task 2", "branch": "feature/task-2"}, {"task": "Task 3", "branch": "feature/task-3"}],
       "execution_mode": "dagger", "max_concurrent": 4}'
"""


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n"})


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    return tmp_path / "copy"


@pytest.fixture
def server(remote: Path, working_copy: Path, isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """A server beside a working copy, whose runs use containers of a stand-in for an engine and an agent that writes a note."""
    require_git_servers()
    monkeypatch.setenv("GIT_SERVER_TOKEN", TOKEN)
    with FakeEngine() as engine, GitServer(remote.parent, token=TOKEN) as host:
        monkeypatch.setenv("CCTERM_ENGINE", engine.runner)
        monkeypatch.setenv("CCTERM_DAGGER_CLI", str(make_cli(tmp_path / "bin")))
        monkeypatch.setenv("CCTERM_BASE_IMAGE", str(make_base(tmp_path / "base.tar")))
        configure(isolation, f'agent = "scripted"\n[host."127.0.0.1:{host.port}"]\ntoken = "env:GIT_SERVER_TOKEN"\n')
        git(tmp_path, "clone", "-q", str(remote), str(working_copy))
        git(working_copy, "remote", "set-url", "origin", host.url(remote.name))
        with serving(tmp_path / "state", [], "--allow-local", cwd=working_copy) as served:
            yield served


def ask(server: Serving, call: str) -> dict[str, object]:
    """Carry out a call as it is written, and return the answer."""
    _, *words = shlex.split(call)
    return server.curl(*[word.replace("http://localhost:8001", server.origin) for word in words])


def ended(server: Serving, run: object) -> dict[str, object]:
    """Return a run once it has ended."""
    path = f"{server.origin}/api/v1/runs/{run}"
    wait_until(lambda: server.curl(path)["finished"], limit=60)
    return server.curl(path)


def test_a_task_with_a_branch_ends_in_a_pushed_branch(server: Serving, remote: Path, working_copy: Path) -> None:
    answer = ask(server, ONE)
    run = ended(server, answer["id"])
    assert run["state"] == "succeeded", run["summary"]
    task = run["task"]
    assert isinstance(task, dict)
    assert (task["execution_mode"], task["model"], task["mode"]) == ("dagger", "sonnet", "pipeline")
    assert branches(remote)["feature/my-task"] == run["commit"]
    assert files_at(remote, "feature/my-task")["AGENT_NOTES.md"] == b"- Your task description\n"
    assert git(working_copy, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_task_without_one_ends_in_the_working_copy(server: Serving, remote: Path, working_copy: Path) -> None:
    run = ended(server, ask(server, WITHOUT_A_BRANCH)["id"])
    assert run["state"] == "succeeded", run["summary"]
    assert run["synced"] == {"files": 1, "linked": 0, "undone": False}
    assert (working_copy / "AGENT_NOTES.md").read_text() == "- Your task description\n"
    assert list(branches(remote)) == ["main"]


@pytest.mark.slow
def test_three_tasks_end_in_three_pushed_branches(server: Serving, remote: Path) -> None:
    answer = ask(server, THREE)
    runs = answer["runs"]
    assert isinstance(runs, list)
    for queued in runs:
        run = ended(server, queued["id"])
        assert run["state"] == "succeeded", run["summary"]
    assert sorted(branches(remote)) == ["feature/task-1", "feature/task-2", "feature/task-3", "main"]
    for number in (1, 2, 3):
        assert files_at(remote, f"feature/task-{number}")["AGENT_NOTES.md"] == f"- Task {number}\n".encode()
