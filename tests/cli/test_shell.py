"""`ccterm shell`: a shell in a run's box, on this terminal."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli, require_git_servers
from tests.servers.git_http import GitServer
from tests.support.core import EDIT, ccterm, script
from tests.support.fake_engine import make_base
from tests.support.git import files_at, make_remote, tip
from tests.support.terminal import Terminal


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path / "served" / "remote.git", {"a.txt": "a\n"})


@pytest.fixture
def url(state: Path, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URL of a remote, in an environment that names a stand-in engine."""
    require_git_servers()
    with FakeEngine() as engine, GitServer(remote.parent) as server:
        monkeypatch.setenv("CCTERM_ENGINE", engine.runner)
        monkeypatch.setenv("CCTERM_DAGGER_CLI", str(make_cli(tmp_path / "bin")))
        monkeypatch.setenv("CCTERM_BASE_IMAGE", str(make_base(tmp_path / "base.tar")))
        yield server.url("remote.git")


def opened(tmp_path: Path) -> Terminal:
    """Return a terminal on which a shell of the last run is."""
    env = {**os.environ, "PS1": "here> ", "TERM": "xterm-256color"}
    return Terminal([sys.executable, "-m", "ccterm", "shell", "last"], env=env, cwd=tmp_path, size=(97, 33))


def test_what_a_shell_changed_is_kept_and_can_be_pushed(url: str, remote: Path, tmp_path: Path) -> None:
    assert ccterm("run", EDIT, "--repo", url, "--branch", "x", "--agent", "scripted").returncode == 0
    piped = ccterm("shell", "last")
    assert (piped.returncode, "a shell needs a terminal" in piped.stderr) == (2, True), piped.stderr
    pushed = tip(remote, "x")
    terminal = opened(tmp_path)
    try:
        terminal.until("takes the conversation over")
        terminal.press("stty size; cat new.txt; ls ~/.claude/projects/-ccterm; echo more > more.txt; exit\n")
        assert terminal.wait() == 0
        assert terminal.given_back
    finally:
        terminal.close()
    drawn = terminal.output.decode()
    assert "network: open\r\n" in drawn
    assert "the login in it" not in drawn  # of a scripted agent: there is none
    assert "33 97" in drawn
    assert ".jsonl" in drawn
    assert "work kept" in drawn
    assert tip(remote, "x") == pushed
    done = ccterm("push", "last")
    assert done.returncode == 0, done.stderr
    assert files_at(remote, "x") == {"a.txt": b"a\n", "new.txt": b"new\n", "more.txt": b"more\n"}
    again = ccterm("retry", "last")
    assert (again.returncode, "was a shell" in again.stderr) == (2, True), again.stderr


@pytest.mark.slow
def test_work_that_was_not_delivered_is_in_a_shell_and_when_its_command_is_ended_it_ends_in_order(
    url: str, remote: Path, tmp_path: Path
) -> None:
    failed = ccterm("run", EDIT, "--repo", url, "--branch", "x", "--agent", "scripted", "--verify", "false")
    assert failed.returncode != 0
    terminal = opened(tmp_path)
    try:
        terminal.until("takes the conversation over")
        terminal.press("echo more >> new.txt; printf '\\033[?1049h\\033[?1003h'; echo written-$((40 + 2))\n")
        terminal.until("written-42")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 0
        assert terminal.given_back
    finally:
        terminal.close()
    assert ccterm("push", "last").returncode == 0
    assert files_at(remote, "x")["new.txt"] == b"new\nmore\n"


@pytest.mark.slow
def test_of_a_run_without_a_container_the_place_is_printed(state: Path, remote: Path) -> None:
    task = ("run", EDIT, "--repo", str(remote), "--branch", "x", "--agent", "scripted", "--mode", "local")
    assert ccterm(*task, "--verify", "false").returncode != 0
    done = ccterm("shell", "last")
    assert (done.returncode, Path(done.stdout.strip()).is_relative_to(state)) == (0, True), done.stdout
    assert "without a container" in done.stderr
    assert ccterm(*task[:1], script({"write": "b", "text": "b\n"}, {"say": "done"}), *task[2:]).returncode == 0
    assert "nothing of it is kept here" in ccterm("shell", "last").stderr
