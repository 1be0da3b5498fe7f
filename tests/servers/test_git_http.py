import base64
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.git_http import Drop, GitServer, Hang, Kind, Redirect, Status
from tests.servers.loopback import Gate
from tests.support.git import branches, commit_files, git, git_environment, install_hook, make_remote, tip

TOKEN = "test-token"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    make_remote(tmp_path / "served" / "repo.git", {"README.md": "# Example\n"})
    with GitServer(tmp_path / "served", token=TOKEN) as server:
        yield server


@pytest.fixture
def bare(server: GitServer) -> Path:
    return server.root / "repo.git"


@pytest.fixture
def clone(server: GitServer, tmp_path: Path) -> Path:
    git(tmp_path, *login(), "clone", "--quiet", server.url("repo.git"), "clone")
    return tmp_path / "clone"


def login(token: str = TOKEN) -> tuple[str, ...]:
    value = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return ("-c", "credential.helper=", "-c", f"http.extraHeader=Authorization: Basic {value}")


def push(clone: Path, *config: str) -> subprocess.CompletedProcess[str]:
    command = ["git", *(config or login()), "push", "--quiet", "origin", "HEAD:refs/heads/side"]
    return subprocess.run(command, cwd=clone, env=git_environment(), capture_output=True, text=True, timeout=60, check=False)


def test_serves_clone_and_push_to_who_has_the_token(server: GitServer, bare: Path, clone: Path) -> None:
    sha = commit_files(clone, {"new.txt": "new\n"})
    assert push(clone).returncode == 0
    assert tip(bare, "side") == sha
    assert {request.kind for request in server.requests} == {Kind.DISCOVER_FETCH, Kind.FETCH, Kind.DISCOVER_PUSH, Kind.PUSH}
    assert {request.login for request in server.requests} == {("x-access-token", TOKEN)}


def test_asks_for_the_token(server: GitServer, clone: Path) -> None:
    done = push(clone, *login("wrong"))
    assert done.returncode != 0
    assert "could not read Username" in done.stderr or "Authentication failed" in done.stderr


def test_takes_a_chunked_body(bare: Path, clone: Path, server: GitServer) -> None:
    sha = commit_files(clone, {"big.bin": random.Random(1).randbytes(3_000_000)})
    assert push(clone).returncode == 0
    assert tip(bare, "side") == sha
    assert any(request.headers.get("Transfer-Encoding") == "chunked" for request in server.requests)


@pytest.mark.slow
def test_takes_a_gzipped_body(bare: Path, clone: Path, server: GitServer) -> None:
    for number in range(80):
        commit_files(clone, {"n.txt": f"{number}\n"})
    make_remote(bare.parent / "other.git", {"other": "x"})
    git(clone, *login(), "fetch", "--quiet", server.url("other.git"), "main")
    assert any(request.headers.get("Content-Encoding") == "gzip" for request in server.requests)


def test_speaks_protocol_2(server: GitServer, clone: Path) -> None:
    assert clone.is_dir()
    assert {request.headers.get("Git-Protocol") for request in server.requests} == {"version=2"}


@pytest.mark.parametrize("code", [401, 403, 404, 500])
def test_refuses_a_push_with_a_status(server: GitServer, bare: Path, clone: Path, code: int) -> None:
    server.fail(Kind.PUSH, Status(code))
    commit_files(clone, {"new.txt": "new\n"})
    assert push(clone).returncode != 0
    assert tip(bare, "side") is None


def test_a_fault_with_times_heals_by_itself(server: GitServer, bare: Path, clone: Path) -> None:
    server.fail(Kind.DISCOVER_PUSH, Status(500), times=1)
    assert push(clone).returncode != 0
    assert push(clone).returncode == 0
    assert tip(bare, "side")


def test_drops_the_connection_before_the_push(server: GitServer, bare: Path, clone: Path) -> None:
    server.fail(Kind.PUSH, Drop("before"))
    assert push(clone).returncode != 0
    assert tip(bare, "side") is None


def test_loses_the_reply_of_an_accepted_push(server: GitServer, bare: Path, clone: Path) -> None:
    server.fail(Kind.PUSH, Drop("after"))
    assert push(clone).returncode != 0
    assert tip(bare, "side")


def test_a_hanging_push_goes_on_when_the_gate_opens(server: GitServer, bare: Path, clone: Path) -> None:
    gate = Gate()
    server.fail(Kind.PUSH, Hang(gate))
    command = ["git", *login(), "push", "--quiet", "origin", "HEAD:refs/heads/side"]
    with subprocess.Popen(command, cwd=clone, env=git_environment()) as pushing:
        assert gate.reached(30)
        assert tip(bare, "side") is None
        gate.open()
        assert pushing.wait(90) == 0
    assert tip(bare, "side")


def test_redirects_to_another_origin(server: GitServer, clone: Path, tmp_path: Path) -> None:
    with GitServer(tmp_path / "served") as other:
        server.fail(Kind.DISCOVER_PUSH, Redirect(other.origin))
        push(clone)
        assert [request.kind for request in other.requests][:1] == [Kind.DISCOVER_PUSH]


def test_a_hook_declines_a_push(bare: Path, clone: Path) -> None:
    install_hook(bare, "pre-receive", "echo 'not today' >&2; exit 1")
    done = push(clone)
    assert "not today" in done.stderr
    assert branches(bare).keys() == {"main"}
