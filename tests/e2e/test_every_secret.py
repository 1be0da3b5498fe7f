"""An agent prints every secret that it can find in all forms: none is in any file of the state directory, on the terminal, or in any output."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.events import Printed, ToolReturned
from ccterm.models import ExecutionMode, RunId, State
from ccterm.service.protocol import Service
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.tools import make_cli, require_git_servers
from tests.e2e.arranged import carried_out, configure, found_below
from tests.e2e.claude import TOKEN, Claude
from tests.e2e.printed_forms import FORMS, print_all, traces
from tests.servers.git_http import GitServer
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import bash, say, use, write
from tests.support.core import draft, script
from tests.support.fake_engine import make_base
from tests.support.git import make_remote
from tests.support.terminal import Screen

LOGIN = "CLAUDE_CODE_OAUTH_TOKEN"
REGISTRY = 'p@ss/w"rd+0123456789&Zx'
PROXY = "Pr0xy-7Q2mWx9Zr4Lk5T"
GIT_TOKEN = "glpat-Zx81kQ0vLr5tYw2m"
TABLES = '[secrets.REGISTRY]\nfrom = "env:REGISTRY_LOGIN"\nsteps = ["agent"]\n'
NEEDLES = (*traces(TOKEN, begins=25), *traces(REGISTRY), *traces(PROXY), *traces(GIT_TOKEN, begins=18))


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_LOGIN", REGISTRY)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY}@127.0.0.1:9")


@pytest.fixture
def api(api: MessagesServer, isolation: Path) -> MessagesServer:
    """The loopback API, and an agent that gets a secret."""
    configure(isolation, f'[env]\nCLAUDE_CODE_MAX_RETRIES = "3"\n{TABLES}')
    return api


@pytest.fixture
def terminals() -> Iterator[list[Screen]]:
    """Terminals that the test opened; they are closed however it ends."""
    opened: list[Screen] = []
    yield opened
    for screen in opened:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(screen.pid, signal.SIGKILL)
            os.waitpid(screen.pid, 0)
        screen.close()


def shown(screen: Screen) -> bytes:
    """Return what a terminal showed, also as it is without the breaks of its rows."""
    text = re.sub(rb"\x1b\[[0-9;?<>=]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)", b"", screen.output)
    return screen.output + text + re.sub(rb"\s+", b"", text)


async def printed(service: Service, run: RunId) -> str:
    """Return all that a run's programs printed, as it is recorded."""
    return "\n".join([event.text async for event in service.follow(run) if isinstance(event, Printed | ToolReturned)])


def commands(state: Path, *lines: tuple[str, ...]) -> bytes:
    """Return stdout and stderr of commands in processes of their own."""
    env = {**os.environ, "CCTERM_STATE_DIR": str(state)}
    run = [subprocess.run([sys.executable, "-m", "ccterm", *line], env=env, capture_output=True, timeout=60, check=True) for line in lines]
    return b"".join(done.stdout + done.stderr for done in run)


def leaked(told: bytes) -> list[bytes]:
    return [needle for needle in NEEDLES if needle in told]


@pytest.mark.slow
@pytest.mark.claude
async def test_on_this_machine_with_the_real_cli(claude: Claude, tmp_path: Path, terminals: list[Screen]) -> None:
    screen = Screen(tmp_path, size=(180, 50))
    terminals.append(screen)
    at = await asyncio.to_thread(screen.until_no_runs)
    run = await claude.run(use(bash(print_all(LOGIN, "REGISTRY"))), use(write("n.txt", "n\n")), say(f"The login is {TOKEN}, it seems."))
    assert run.state is State.SUCCEEDED, run.summary
    assert set(run.secrets_seen) == {"REGISTRY", "the Claude login", "the password in HTTPS_PROXY"}
    told = await printed(claude.service, run.id)
    assert all(f"secret {secret} form {form}: " in told for secret in range(3) for form in range(FORMS)), told
    at = await asyncio.to_thread(screen.until, "it seems.", after=at)
    for keys, words in (("\r", "rotate"), ("g", "secret 0 form"), ("d", "n.txt")):  # facts, transcript, diff
        screen.press(keys)
        at = await asyncio.to_thread(screen.until, words, after=at)
    assert leaked(shown(screen)) == []
    lines = [("logs", "last"), ("logs", "last", "--json"), ("show", "last"), ("show", "last", "--json"), ("runs",), ("diff", "last")]
    assert leaked(await asyncio.to_thread(commands, claude.state, *lines)) == []
    assert claude.files_with(NEEDLES) == []


async def test_in_a_container_of_the_stand_in_engine(isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_git_servers()
    monkeypatch.setenv("GIT_SERVER_TOKEN", GIT_TOKEN)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY}@proxy.invalid:3128")  # one on this machine would have another name in there
    remote = make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n"})
    with FakeEngine() as engine, GitServer(remote.parent, token=GIT_TOKEN) as server:
        monkeypatch.setenv("CCTERM_ENGINE", engine.runner)
        monkeypatch.setenv("CCTERM_DAGGER_CLI", str(make_cli(tmp_path / "bin")))
        monkeypatch.setenv("CCTERM_BASE_IMAGE", str(make_base(tmp_path / "base.tar")))
        configure(isolation, f'[host."127.0.0.1:{server.port}"]\ntoken = "env:GIT_SERVER_TOKEN"\n{TABLES}')
        async with AgentService.open(tmp_path / "state") as service:
            task = script(
                {"bash": print_all("REGISTRY", "GIT_SERVER_TOKEN", "CCTERM_GIT_HEADER")}, {"write": "n", "text": "n\n"}, {"say": "ok"}
            )
            run = await carried_out(service, draft(server.url(remote.name), task=task, execution_mode=ExecutionMode.DAGGER))
            told = await printed(service, run.id)
    assert run.state is State.SUCCEEDED, run.summary
    assert set(run.secrets_seen) == {"REGISTRY", "the password in HTTPS_PROXY"}, told
    assert f"form {FORMS - 1}: " in told, told
    assert found_below(tmp_path / "state", NEEDLES) == []
    assert leaked(commands(tmp_path / "state", ("logs", "last"))) == []
