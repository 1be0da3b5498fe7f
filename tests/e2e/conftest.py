"""The real Claude CLI on a service of its own, talking to the loopback API."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.models import now
from tests.conftest import MakeRemote
from tests.e2e.arranged import configure
from tests.e2e.claude import TOKEN, Claude
from tests.servers.git_http import GitServer
from tests.servers.messages_api import MessagesServer
from tests.support.engine import name_engine
from tests.support.git import make_remote

GIT_TOKEN = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
SECRET, GATEWAY = (pytest.param(place, id=place) for place in ("secret", "gateway"))
"""Where the login of a run in a container is."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, isolation: Path) -> Iterator[MessagesServer]:
    """The loopback API, as the environment and the login name it. Requests are repeated three times at most."""
    configure(isolation, '[env]\nCLAUDE_CODE_MAX_RETRIES = "3"\n')
    with MessagesServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.origin)
        monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", TOKEN)
        yield server


@pytest.fixture
async def claude(
    claude_bin: Path, api: MessagesServer, make_remote: MakeRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Claude]:
    """A service that owns a state directory, and a remote with a README.md and src/a.py."""
    monkeypatch.setenv("CCTERM_CLAUDE_BIN", str(claude_bin))
    remote = make_remote({"README.md": "hello\n", "src/a.py": "a = 1\n"})
    async with AgentService.open(tmp_path / "state") as service:
        yield Claude(service, api, remote, tmp_path / "state")
        await service.cancel_all(now=True)  # after a test that failed in the middle of a run


@pytest.fixture
def stored_setup_token(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Store a setup-token, in place of the one in the environment."""

    def store(token: str) -> None:
        monkeypatch.delenv("CLAUDE_CODE_OAUTH_TOKEN", raising=False)
        path = isolation / ".claude-container" / "setup-token.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(json.dumps({"token": token, "stored": (now() - timedelta(days=1)).isoformat()}))
        path.chmod(0o600)

    return store


@pytest.fixture(params=[SECRET, GATEWAY])
async def boxed(
    api: MessagesServer,
    isolation: Path,
    tmp_path: Path,
    engine_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Claude]:
    """A service whose runs use containers, with the login in the box or with the gateway, and a remote that requires a token."""
    name_engine(monkeypatch, engine_cache)
    monkeypatch.setenv("GIT_SERVER_TOKEN", GIT_TOKEN)
    remote = make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n", "src/a.py": "a = 1\n"}, "main")
    with GitServer(tmp_path / "served", token=GIT_TOKEN) as server:
        host = f'[host."127.0.0.1:{server.port}"]\ntoken = "env:GIT_SERVER_TOKEN"\n'
        configure(isolation, f'max_concurrent = 8\n{host}\n[env]\nCLAUDE_CODE_MAX_RETRIES = "3"\n')
        async with AgentService.open(tmp_path / "state") as service:
            yield Claude(
                service,
                api,
                remote,
                tmp_path / "state",
                repo=server.url("remote.git"),
                fields={"mode": "dagger", "skip_permissions": None, "login": request.param},
            )
            await service.cancel_all(now=True)
