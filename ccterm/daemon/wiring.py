"""Where the parts meet: settings, executors, agents and the store become a service that owns its state directory."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from ccterm.agents.base import Agent, ScriptedAgent
from ccterm.agents.claude import CLAUDE_VERSION, ClaudeAgent
from ccterm.credentials.sources import source_variables
from ccterm.daemon.server import Connections, listening
from ccterm.executors.base import Check, Executor
from ccterm.executors.control import socket_directory
from ccterm.executors.dagger.executor import DaggerExecutor, DaggerOptions, EngineChoice
from ccterm.executors.local.executor import LocalExecutor
from ccterm.models import ExecutionMode
from ccterm.pipeline.change_applier import ChangeApplier
from ccterm.pipeline.context_factory import RunContextFactory
from ccterm.pipeline.pipeline import Pipeline
from ccterm.preflight import core_checks
from ccterm.service.local import AgentService
from ccterm.service.planner import Planner
from ccterm.service.scheduler import StartGate
from ccterm.settings import Settings, Trust, load_project, load_settings
from ccterm.state_dir import StateDir
from ccterm.store import Store


@asynccontextmanager
async def owning(state: StateDir, environ: Mapping[str, str], visits: Connections | None = None) -> AsyncIterator[AgentService]:
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
        agents, gate = _agents(settings, environ), StartGate()
        pipelines: dict[ExecutionMode, Pipeline] = {}
        for mode, made in _executors(settings, state, environ).items():
            executor = await stack.enter_async_context(made)
            contexts = RunContextFactory(settings, environ, agents=agents, executor=executor, startup=gate, sockets=sockets, state=state)
            pipelines[mode] = Pipeline(executor, contexts, state)
        trust = Trust(state.path)
        service = AgentService(
            state=state,
            store=store,
            pipelines=pipelines,
            writers=writers,
            checks=lambda mode: checks_for(mode, state, environ),
            plan=Planner(settings, environ, agents, lambda directory: load_project(directory, trust)).plan,
            max_concurrent=settings.max_concurrent,
            copies=ChangeApplier(state, settings.policy, environ),
        )
        async with service.serving(), listening(service, state, visits):
            yield service


def _agents(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, Agent]:
    home = Path(environ.get("HOME", "/"))
    claude = ClaudeAgent(settings.claude_bin, path=environ.get("PATH"), user_settings=home / ".claude" / "settings.json")
    return {agent.name: agent for agent in (claude, ScriptedAgent())}


def _executors(settings: Settings, state: StateDir, environ: Mapping[str, str]) -> Mapping[ExecutionMode, Executor]:
    return {
        ExecutionMode.LOCAL: LocalExecutor(state.path, environ=environ, withheld=source_variables(settings)),
        ExecutionMode.DAGGER: dagger_executor(settings, state, environ),
    }


def dagger_executor(settings: Settings, state: StateDir, environ: Mapping[str, str]) -> DaggerExecutor:
    """Return the Dagger executor that the settings describe; it connects when it is first used."""
    from platformdirs import user_cache_path  # deferred: costs start-up time

    options = DaggerOptions(
        engines=tuple(EngineChoice(engine.host, engine.capacity) for engine in settings.engines) or (EngineChoice(),),
        cli=settings.dagger_cli,
        base=settings.base_image,
        claude_version=settings.claude_version or CLAUDE_VERSION,
    )
    return DaggerExecutor(options, cache=user_cache_path("ccterm"), lib=state.lib, environ=environ)


def checks_for(mode: str | None, state: StateDir, environ: Mapping[str, str]) -> Sequence[Check]:
    """Return the preflight questions for a place to run; None = where the settings say."""
    settings = load_settings(None, environ)
    place = ExecutionMode(mode) if mode else settings.mode
    return [*core_checks(settings, state, environ, place), *_executors(settings, state, environ)[place].checks()]
