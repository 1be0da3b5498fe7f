"""Where the parts meet: settings, executors, agents and the store become a service that owns its state directory."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from ccterm.agents.base import Agent
from ccterm.agents.claude import ClaudeAgent
from ccterm.agents.scripted import ScriptedAgent
from ccterm.credentials.sources import source_variables
from ccterm.errors import PreflightError
from ccterm.executors.base import Check
from ccterm.executors.control import socket_directory
from ccterm.executors.local import LocalExecutor
from ccterm.models import ExecutionMode
from ccterm.owner.server import Visits, listening
from ccterm.pipeline.outfit import Outfitter
from ccterm.pipeline.run import Pipeline
from ccterm.preflight import core_checks
from ccterm.scheduler import StartGate
from ccterm.service import AgentService
from ccterm.settings import Settings, Trust, load_project, load_settings
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.submission import Planner


@asynccontextmanager
async def owning(state: StateDir, environ: Mapping[str, str], visits: Visits | None = None) -> AsyncIterator[AgentService]:
    """Carry out runs in this process, which holds the owner lock, and take orders from others. Raises SettingsError and StateError."""
    state.socket_line.unlink(missing_ok=True)  # an owner that was killed leaves a line that names a dead socket
    settings = await asyncio.to_thread(load_settings, None, environ)
    await asyncio.to_thread(state.reserve.keep)
    async with AsyncExitStack() as stack:
        store = await asyncio.to_thread(Store.open, state.db, reserve=state.reserve)
        stack.callback(store.close)
        await asyncio.to_thread(store.backup, state.backups, datetime.now(UTC).date())
        writers = stack.enter_context(ThreadPoolExecutor(2, "transcript"))  # of their own: a long copy must not delay what is seen
        sockets = await asyncio.to_thread(socket_directory)
        stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        executor = await stack.enter_async_context(LocalExecutor(state.path, environ=environ, withheld=source_variables(settings)))
        agents = _agents(settings, environ)
        outfit = Outfitter(settings, environ, agents=agents, executor=executor, gate=StartGate().passing, sockets=sockets)
        trust = Trust(state.path)
        service = AgentService(
            state=state,
            store=store,
            pipelines={ExecutionMode.LOCAL: Pipeline(executor, outfit, state)},
            writers=writers,
            checks=lambda mode: checks_for(mode, state, environ),
            plan=Planner(settings, environ, agents, lambda directory: load_project(directory, trust)).plan,
            max_concurrent=settings.max_concurrent,
        )
        async with service.serving(), listening(service, state, visits):
            yield service


def _agents(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, Agent]:
    home = Path(environ.get("HOME", "/"))
    claude = ClaudeAgent(settings.claude_bin, path=environ.get("PATH"), user_settings=home / ".claude" / "settings.json")
    return {agent.name: agent for agent in (claude, ScriptedAgent())}


def checks_for(mode: str, state: StateDir, environ: Mapping[str, str]) -> Sequence[Check]:
    """Return the preflight questions for a place to run. Raises PreflightError for one that is not there yet."""
    if mode != ExecutionMode.LOCAL:
        raise PreflightError("the Dagger executor comes with a later version", "use --mode local")
    settings = load_settings(None, environ)
    return [*core_checks(settings, state, environ), *LocalExecutor(state.path, environ=environ).checks()]
