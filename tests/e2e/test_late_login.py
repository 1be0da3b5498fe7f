"""What is set in a terminal after the daemon was started counts for what is submitted from there: login, PATH, settings."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm.daemon.spawn import attached_or_started
from ccterm.errors import PreflightError
from ccterm.models import CheckResult, ExecutionMode, State
from ccterm.service.environments import FILE
from ccterm.service.lock import DaemonLock
from ccterm.service.protocol import Service
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from tests.conftest import MakeRemote
from tests.e2e.arranged import found_below
from tests.e2e.claude import TOKEN
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import use, write
from tests.support.core import ccterm, documents, draft
from tests.support.daemons import daemon_ended
from tests.support.git import files_at
from tests.support.waiting import until
from tests.tui.on_screen import type_text, wait_for_text

NAMES = ("CLAUDE_CODE_OAUTH_TOKEN", "CCTERM_CLAUDE_BIN", "ANTHROPIC_BASE_URL")


@pytest.fixture
async def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StateDir]:
    """A state directory whose daemon was started when the terminal had neither login nor CLI."""
    state = StateDir(tmp_path / "state")
    monkeypatch.setenv("CCTERM_STATE_DIR", str(state.path))
    monkeypatch.delenv("CCTERM_CLAUDE_BIN", raising=False)
    bare = {name: value for name, value in os.environ.items() if name not in NAMES} | {"PATH": _with_git(tmp_path / "bin")}
    async with attached_or_started(state, bare):
        pass
    yield state
    await daemon_ended(state)


def _with_git(directory: Path) -> str:
    """Return a PATH with git and a shell, and without any Claude CLI."""
    directory.mkdir()
    for name in ("git", "sh", "bash"):
        (directory / name).symlink_to(shutil.which(name) or "")
    return str(directory)


@pytest.fixture
def exported(api: MessagesServer, claude_bin: Path, monkeypatch: pytest.MonkeyPatch) -> MessagesServer:
    """What the terminal has by now: the login of `api`, and the CLI on its PATH."""
    shims = Path(os.environ["HOME"], "shims")
    shims.mkdir()
    (shims / "claude").symlink_to(claude_bin.absolute())
    monkeypatch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")
    return api


def pid(state: StateDir) -> int:
    holder = DaemonLock(state).holder()
    assert holder is not None
    return holder.pid


@pytest.mark.claude
async def test_a_run_from_the_command_line_has_the_new_login_which_stays_in_memory(
    state: StateDir, exported: MessagesServer, make_remote: MakeRemote
) -> None:
    remote, daemon = make_remote(), pid(state)
    exported.script("Add the file", use(write("new.txt", "new\n")))
    given = ("--repo", str(remote), "--branch", "x", "--mode", "local", "--skip-permissions", "--json")
    done = ccterm("run", "Add the file", *given)
    [run] = documents(done.stdout)
    assert (run["state"], pid(state)) == ("succeeded", daemon), done.stdout
    assert files_at(remote, "x")["new.txt"] == b"new\n"
    assert {call.headers["authorization"] for call in exported.calls} == {f"Bearer {TOKEN}"}
    assert found_below(state.path, (TOKEN.encode(),)) == []
    assert TOKEN.encode() not in Path(f"/proc/{daemon}/environ").read_bytes() + Path(f"/proc/{daemon}/cmdline").read_bytes()
    stored = (state.runs / str(run["id"]) / FILE).read_text()
    assert "CLAUDE_CODE_OAUTH_TOKEN" in stored
    assert exported.origin in stored


@pytest.mark.slow
@pytest.mark.claude
async def test_the_form_launches_with_the_new_login_and_the_checks_say_the_same(
    state: StateDir, exported: MessagesServer, make_remote: MakeRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote, path = make_remote(), os.environ["PATH"]
    async with attached_or_started(state, os.environ) as service:
        monkeypatch.setenv("PATH", str(state.path.parent / "bin"))
        assert (await answer(service, "claude")).status == "fail"
        with pytest.raises(PreflightError, match="the Claude CLI was not found"):
            await service.plan([draft(remote, agent="claude")])
        monkeypatch.setenv("PATH", path)
        assert (await answer(service, "claude")).status == "pass"
        assert (await answer(service, "login")).text == "CLAUDE_CODE_OAUTH_TOKEN is set"
        monkeypatch.chdir(state.path.parent)  # no repository: the form begins with the one that was used last
        app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False)
        app.memory.launched({"repo": str(remote), "skip_permissions": "yes"})
        async with app.run_test(size=(120, 32)) as pilot:
            app.connected(service)
            await pilot.press("n")
            await type_text(pilot, "Add a LICENSE")
            await wait_for_text(pilot, "pushes agent/add-license to")
            await pilot.press("ctrl+s")
            await until(lambda: bool(app.runs.active))
        [run] = await service.runs()
        assert (await service.wait(run.id)).state is State.SUCCEEDED
    assert len(exported.calls) >= 1


async def answer(service: Service, name: str) -> CheckResult:
    """Return what the daemon answers to one preflight question."""
    return next(iter([check async for check in service.checks(ExecutionMode.LOCAL) if check.name == name]))


@pytest.mark.slow
async def test_a_login_for_containers_and_the_settings_of_a_variable_count_from_now_on(
    state: StateDir, make_remote: MakeRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://github.com/acme/shop"
    async with attached_or_started(state, os.environ) as service:
        with pytest.raises(PreflightError, match="no Claude login for containers"):
            await service.plan([draft(url, agent="claude", execution_mode=ExecutionMode.DAGGER)])
        monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", TOKEN)
        [task] = await service.plan([draft(url, agent="claude", execution_mode=None)])
        assert task.execution_mode is ExecutionMode.DAGGER
        monkeypatch.setenv("CCTERM_MODE", "local")
        [task] = await service.plan([draft(make_remote(), execution_mode=None)])
        assert task.execution_mode is ExecutionMode.LOCAL


@pytest.mark.slow
async def test_a_submission_without_secrets_has_none_of_the_last_one(state: StateDir) -> None:
    """A variable that is no longer set in the terminal does not count any more, although the process once heard of it."""
    url = "https://github.com/acme/shop"
    async with attached_or_started(state, {**os.environ, "CLAUDE_CODE_OAUTH_TOKEN": TOKEN}) as service:
        await service.plan([draft(url, agent="claude", execution_mode=ExecutionMode.DAGGER)])
    async with attached_or_started(state, os.environ) as service:
        with pytest.raises(PreflightError, match="no Claude login for containers"):
            await service.plan([draft(url, agent="claude", execution_mode=ExecutionMode.DAGGER)])
