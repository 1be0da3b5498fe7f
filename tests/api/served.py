"""A server in the test's own process, over a service of its own, and what is asked of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ccterm import AgentService
from ccterm.api.backend import Backend
from ccterm.api.feeds import KEPT_BYTES, Feeds
from ccterm.api.limits import REQUESTS_PER_SECOND
from ccterm.api.permissions import Permissions
from ccterm.api.server import ServedAt, server_sockets, serving_http
from ccterm.service.protocol import Service
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from tests.support.core import EDIT

RUN, BATCH = "/api/v1/agents/run", "/api/v1/agents/run-parallel"
SCRIPTED = {"agent": "scripted", "execution_mode": "local"}


@dataclass
class Served:
    """A server and a client that has its token."""

    address: ServedAt
    service: Service
    client: httpx.AsyncClient
    remote: Path
    state: StateDir

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.address.token.value}"}

    async def get(self, path: str, **asked: str) -> httpx.Response:
        return await self.client.get(path, params=asked or None)

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        """Post a body; key: names the order."""
        return await self.client.post(path, json={} if body is None else body, headers={"Idempotency-Key": key} if key else None)

    async def run(self, branch: str | None = "agent/x", task: str = EDIT, *, wait: float = 60, **fields: object) -> dict[str, Any]:
        """Run a task with the scripted agent and return its document."""
        answer = await self.post(f"{RUN}?wait={wait}", {**SCRIPTED, "task": task, "branch": branch, **fields})
        assert answer.status_code in (200, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def served(
    place: Path,
    remote: Path,
    *repos: Path,
    allow_local: bool = True,
    per_second: int = REQUESTS_PER_SECOND,
    kept_bytes: int = KEPT_BYTES,
) -> AsyncIterator[Served]:
    """Serve a remote and other repositories. place: where the state directory is."""
    state = StateDir(place / "state").prepare()
    async with AgentService.open(state.path) as service:
        asked = service.acting_for(None)
        permissions = Permissions([str(remote), *map(str, repos)], Settings, allow_local=allow_local)
        with server_sockets(state, 0) as sockets:
            backend = Backend(asked, permissions, Feeds(asked, kept_bytes))
            async with serving_http(backend, state, sockets, per_second=per_second) as address:
                headers = {"Authorization": f"Bearer {address.token.value}"}
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{address.port}", headers=headers, timeout=60) as client:
                    yield Served(address, service, client, remote, state)
        await service.cancel_all(now=True)
