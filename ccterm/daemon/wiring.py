"""Where the parts meet: settings, executors, agents and the store become a service that carries runs out."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from ccterm.agents.base import Agent, ScriptedAgent
from ccterm.agents.claude import CLAUDE_VERSION, ClaudeAgent
from ccterm.credentials.claude import Logins
from ccterm.credentials.provider import switch_or_none
from ccterm.credentials.sources import source_variables
from ccterm.daemon.machine import ThisMachine
from ccterm.daemon.server import Connections, listening
from ccterm.draft import starting_directory
from ccterm.executors.base import Check, Executor
from ccterm.executors.control import socket_directory
from ccterm.executors.dagger.executor import DaggerExecutor, DaggerOptions, EngineChoice
from ccterm.executors.local.executor import LocalExecutor
from ccterm.executors.temporary import sweep
from ccterm.models import ExecutionMode
from ccterm.pipeline.change_applier import ChangeApplier
from ccterm.pipeline.context_factory import RunContextFactory
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.remote_checks import remote_checks
from ccterm.preflight import core_checks
from ccterm.processes import raise_descriptor_limit
from ccterm.service.gates import BusyGate, CapacityGate, DescriptorGate, ExecutorGate, Gate, RepositoryGate, RoomGate, UnderWay
from ccterm.service.local import LocalService
from ccterm.service.scheduler import StartupLimit
from ccterm.service.task_resolver import TaskResolver
from ccterm.settings import Settings, Trust, load_settings
from ccterm.state_dir import StateDir
from ccterm.store import Store


@asynccontextmanager
async def serving(state: StateDir, environ: Mapping[str, str], connections: Connections | None = None) -> AsyncIterator[LocalService]:
    """Carry out runs in this process, which holds the daemon lock, and take commands from others. Raises SettingsError and StateError."""
    state.socket_address.unlink(missing_ok=True)  # a daemon that was killed leaves one that names a dead socket
    settings = await asyncio.to_thread(load_settings, None, environ)
    await asyncio.to_thread(state.reserve.keep)
    async with AsyncExitStack() as stack:
        store = await _opened_store(state, stack)
        executors = {mode: await stack.enter_async_context(made) for mode, made in _executors(settings, state, environ).items()}
        agents, under_way, logins = _agents(settings, environ), UnderWay(), Logins(api_key=settings.api_key)
        service = LocalService(
            state=state,
            store=store,
            pipelines=await _pipelines(settings, state, environ, logins, agents, executors, stack),
            resolve=TaskResolver(settings, environ, agents, Trust(state.path), logins).resolve,
            machine=ThisMachine(state, environ),
            under_way=under_way,
            gates=_gates(under_way, executors, settings),
            applier=ChangeApplier(state, settings.policy, environ),
            writers=stack.enter_context(ThreadPoolExecutor(2, "transcript")),  # of their own: a long copy must not delay what is shown
        )
        async with service.serving(), listening(service, state, connections, switch_or_none(environ)):
            yield service


async def _opened_store(state: StateDir, stack: AsyncExitStack) -> Store:
    store = await asyncio.to_thread(Store.open, state.db, reserve=state.reserve, storage=state.storage)
    stack.callback(store.close)
    await asyncio.to_thread(store.backup, state.backups, datetime.now(UTC).date())
    return store


async def _pipelines(
    settings: Settings,
    state: StateDir,
    environ: Mapping[str, str],
    logins: Logins,
    agents: Mapping[str, Agent],
    executors: Mapping[ExecutionMode, Executor],
    stack: AsyncExitStack,
) -> Mapping[ExecutionMode, Pipeline]:
    await asyncio.to_thread(sweep)
    sockets = await asyncio.to_thread(socket_directory)
    stack.callback(shutil.rmtree, sockets, ignore_errors=True)
    startup = StartupLimit()
    pipelines = {}
    for mode, executor in executors.items():
        contexts = RunContextFactory(
            settings, environ, logins=logins, agents=agents, executor=executor, startup=startup, sockets=sockets, state=state
        )
        pipelines[mode] = Pipeline(executor, contexts, state)
    return pipelines


def _gates(under_way: UnderWay, executors: Mapping[ExecutionMode, Executor], settings: Settings) -> Sequence[Gate]:
    """Return the gates, the one whose reason says most first."""
    return [
        BusyGate(under_way),
        *(ExecutorGate(mode, executor) for mode, executor in executors.items()),
        *(RoomGate(under_way, mode, executor) for mode, executor in executors.items()),
        RepositoryGate(under_way, lambda key: settings.for_repo(key).max_concurrent),
        CapacityGate(under_way, settings.max_concurrent),
        DescriptorGate(under_way, raise_descriptor_limit()),
    ]


def _agents(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, Agent]:
    home = Path(environ.get("HOME", "/"))
    claude = ClaudeAgent(settings.claude_bin, path=environ.get("PATH"), user_settings=home / ".claude" / "settings.json")
    return {agent.name: agent for agent in (claude, ScriptedAgent())}


def _executors(settings: Settings, state: StateDir, environ: Mapping[str, str]) -> Mapping[ExecutionMode, Executor]:
    return {
        ExecutionMode.LOCAL: LocalExecutor(state.path, environ=environ, withheld=source_variables(settings), storage=state.storage),
        ExecutionMode.DAGGER: dagger_executor(settings, environ),
    }


def dagger_executor(settings: Settings, environ: Mapping[str, str]) -> DaggerExecutor:
    """Return the Dagger executor that the settings describe; it connects when it is first used."""
    from platformdirs import user_cache_path  # deferred: costs start-up time

    options = DaggerOptions(
        engines=tuple(EngineChoice(engine.host, engine.capacity) for engine in settings.engines) or (EngineChoice(),),
        cli=settings.dagger_cli,
        base=settings.base_image,
        claude_version=settings.claude_version or CLAUDE_VERSION,
    )
    cache = user_cache_path("ccterm")
    return DaggerExecutor(options, cache=cache, bundles=cache / "lib", environ=environ)


def checks_for(
    mode: ExecutionMode | None, state: StateDir, environ: Mapping[str, str], repo: str | None = None, branch: str | None = None
) -> Sequence[Check]:
    """Return the preflight checks of an execution mode; None = the one that the settings choose. repo, branch: are checked, too.

    Raises SettingsError and BranchError.
    """
    settings = load_settings(None, environ)
    chosen = mode or settings.execution_mode
    of_remote = remote_checks(repo or ".", branch, settings, environ, starting_directory(), state) if repo or branch else ()
    return [*core_checks(settings, state, environ, chosen), *_executors(settings, state, environ)[chosen].checks(), *of_remote]
