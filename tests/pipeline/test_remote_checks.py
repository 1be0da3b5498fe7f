"""Before any run a repository and a branch can be checked: readable, pushable, free, and what is missing is said once."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.errors import BranchError
from ccterm.models import CheckResult
from ccterm.pipeline.remote_checks import remote_checks
from ccterm.preflight import run_checks
from ccterm.settings import Settings
from tests.conftest import Command, MakeRemote
from tests.servers.git_http import GitServer, Kind, Status
from tests.support.core import local
from tests.support.git import git, tip

TOKEN = "t0ken-0123456789"


@pytest.fixture
def server(tmp_path: Path, make_remote: MakeRemote) -> Iterator[GitServer]:
    git(make_remote(), "branch", "agent/old", "main")
    with GitServer(tmp_path, token=TOKEN) as server:
        yield server


async def answers(server: GitServer, branch: str | None, token: str = TOKEN) -> dict[str, CheckResult]:
    settings = Settings.model_validate({"host": {f"127.0.0.1:{server.port}": {"token": "env:T"}}})
    checks = remote_checks(server.url("remote.git"), branch, settings, {**os.environ, "T": token}, Path("/"))
    found = {check.name: await check.run() for check in checks}
    assert not [result for result in found.values() if token in result.model_dump_json()]
    assert all(result.fix or result.status == "pass" for result in found.values())
    return found


async def test_a_repository_that_can_be_pushed_to_passes(server: GitServer, tmp_path: Path) -> None:
    found = await answers(server, "agent/x")
    assert {name: result.status for name, result in found.items()} == {"remote": "pass", "push": "pass", "branch": "pass"}
    assert "default branch main" in found["remote"].text
    assert "with the token from env:T" in found["push"].text
    assert found["branch"].text == "agent/x is free"
    assert Kind.PUSH not in {request.kind for request in server.requests}
    old = (await answers(server, "agent/old"))["branch"]
    assert (old.status, str(tip(tmp_path / "remote.git", "agent/old"))[:12] in old.text) == ("pass", True)


@pytest.mark.parametrize(("branch", "words"), [("main", "is the default branch"), ("agent/old/x", "has a branch 'agent/old'")])
async def test_a_branch_that_no_run_could_push_is_a_failure(server: GitServer, branch: str, words: str) -> None:
    found = await answers(server, branch)
    assert (found["branch"].status, words in found["branch"].text) == ("fail", True)
    assert (found["remote"].status, found["push"].status) == ("pass", "pass")


async def test_a_token_that_may_only_read_is_a_failure(server: GitServer) -> None:
    server.fail(Kind.DISCOVER_PUSH, Status(403))
    found = await answers(server, None)
    assert (found["remote"].status, found["push"].status) == ("pass", "fail")
    assert "would refuse a push" in found["push"].text


async def test_a_host_that_repeats_the_token_does_not_bring_it_into_an_answer(server: GitServer) -> None:
    server.fail(Kind.DISCOVER_FETCH, Status(500, f"bad login {TOKEN}\n".encode()))
    settings = Settings.model_validate({"host": {f"127.0.0.1:{server.port}": {"token": "env:T"}}})
    checks = remote_checks(server.url("remote.git"), None, settings, {**os.environ, "T": TOKEN}, Path("/"))
    said = [result.model_dump_json() async for result in run_checks(checks)]
    assert any("cannot be read" in text and "bad login [masked:" in text for text in said), said
    assert not [text for text in said if TOKEN in text]


async def test_a_host_that_is_not_reached_is_no_matter_of_tokens(tmp_path: Path) -> None:
    with GitServer(tmp_path) as gone:
        url = gone.url("x.git")
    [found] = [
        result async for result in run_checks(remote_checks(url, None, Settings(), os.environ, Path("/"))) if result.name == "remote"
    ]
    assert (found.status, found.fix) == ("fail", "check the address, and whether this machine reaches that host")


async def test_what_cannot_be_read_is_said_once(server: GitServer) -> None:
    found = await answers(server, "agent/x", "another-0123456789")
    assert [name for name, result in found.items() if result.status == "fail"] == ["remote"]


def test_a_branch_must_have_a_possible_name() -> None:
    with pytest.raises(BranchError):
        remote_checks(".", "-x", Settings(), os.environ, Path("/"))


def test_the_command_line_checks_a_repository(command: Command, make_remote: MakeRemote) -> None:
    done = command("check", "--mode", "local", "--repo", str(make_remote()), "--branch", "agent/x")
    assert "agent/x is free" in done.stdout
    assert "not a directory" in command("check", "--mode", "local", "--repo", "nowhere").stdout


def test_whose_branch_it_is_is_said(command: Command, make_remote: MakeRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))
    remote = make_remote()
    git(remote, "branch", "theirs", "main")

    def asked(branch: str) -> str:
        return command("check", "--mode", "local", "--repo", str(remote), "--branch", branch).stdout

    assert "theirs exists, from elsewhere, and would be continued from " in asked("theirs")
    assert command(*local(remote, "agent/x")).returncode == 0
    assert f"agent/x is as run #1 pushed it, and would be continued from {str(tip(remote, 'agent/x'))[:12]}" in asked("agent/x")
    git(remote, "update-ref", "refs/heads/agent/x", "main")
    assert "agent/x has changed since run #1 pushed it, and would be continued" in asked("agent/x")
