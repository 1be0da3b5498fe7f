"""Where the parts meet: settings, executors, agents and the store become a service that carries runs out."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from ccterm.daemon.equip import Equipper, questions
from ccterm.daemon.executors import Executors, dagger_executor, local_executor
from ccterm.daemon.machine import ThisMachine
from ccterm.daemon.server import Connections, listening, settled
from ccterm.executors.base import Check, Executor
from ccterm.executors.control import socket_directory
from ccterm.executors.temporary import sweep
from ccterm.gateway.client import Gateway
from ccterm.models import ExecutionMode
from ccterm.processes import raise_descriptor_limit
from ccterm.service.credential_gate import CredentialGate
from ccterm.service.gates import (
    BusyGate,
    CapacityGate,
    DescriptorGate,
    ExecutorGate,
    Gate,
    RecoveryGate,
    RepositoryGate,
    RoomGate,
    UnderWay,
)
from ccterm.service.local import LocalService
from ccterm.service.login_keeper import LoginKeeper
from ccterm.service.usage_gate import UsageGate
from ccterm.settings import load_settings
from ccterm.state_dir import StateDir
from ccterm.store import Store


@asynccontextmanager
async def serving(
    state: StateDir, environ: Mapping[str, str], connections: Connections | None = None, retire: Callable[[], bool] = lambda: False
) -> AsyncIterator[LocalService]:
    """Carry out runs in this process, which holds the daemon lock, and take commands from others. Raises SettingsError and StateError.

    retire: ends this process if nobody else uses it.
    """
    state.socket_address.unlink(missing_ok=True)  # a daemon that was killed leaves one that names a dead socket
    connections = connections or Connections()
    settings = await asyncio.to_thread(load_settings, None, environ)
    await asyncio.to_thread(state.reserve.keep)
    async with AsyncExitStack() as stack:
        store = await _opened_store(state, stack)
        executors = Executors(await stack.enter_async_context(local_executor(settings, state, environ)), stack)
        await asyncio.to_thread(sweep)
        sockets = await asyncio.to_thread(socket_directory)
        stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        under_way, recovering, credentials, usage = UnderWay(), RecoveryGate(), CredentialGate(), UsageGate()
        stack.callback(credentials.close)
        stack.callback(usage.close)
        keeper = await stack.enter_async_context(LoginKeeper(partial(Gateway, sockets), credentials, usage))
        service = LocalService(
            state=state,
            store=store,
            equip=Equipper(state, environ, executors=executors, credentials=credentials, sockets=sockets, keeper=keeper).equip,
            machine=ThisMachine(state, environ),
            under_way=under_way,
            recovering=recovering,
            gates=[recovering, *_gates(under_way, executors, credentials, usage)],
            credentials=credentials,
            keeper=keeper,
            writers=stack.enter_context(ThreadPoolExecutor(2, "transcript")),  # of their own: a long copy must not delay what is shown
            retire=retire,
        )
        async with service.serving(), listening(service, state, connections):
            yield service
            await settled(service, connections)
            service.refuse_runs()


async def _opened_store(state: StateDir, stack: AsyncExitStack) -> Store:
    store = await asyncio.to_thread(Store.open, state.db, reserve=state.reserve, storage=state.storage)
    stack.callback(store.close)
    await asyncio.to_thread(store.backup, state.backups, datetime.now(UTC).date())
    return store


def _gates(under_way: UnderWay, executors: Executors, credentials: CredentialGate, usage: UsageGate) -> Sequence[Gate]:
    """Return the gates, the one whose reason says most first."""
    return [
        BusyGate(under_way),
        credentials,
        usage,
        ExecutorGate(executors.watch),
        RoomGate(under_way),
        RepositoryGate(under_way),
        CapacityGate(under_way),
        DescriptorGate(under_way, raise_descriptor_limit()),
    ]


def checks_for(
    mode: ExecutionMode | None, state: StateDir, environ: Mapping[str, str], repo: str | None = None, branch: str | None = None
) -> Sequence[Check]:
    """Return the preflight checks of a process that carries out its runs itself. Raises SettingsError and BranchError."""
    settings = load_settings(None, environ)
    executors: Mapping[ExecutionMode, Executor] = {
        ExecutionMode.LOCAL: local_executor(settings, state, environ),
        ExecutionMode.DAGGER: dagger_executor(settings, environ),
    }
    return questions(settings, state, environ, executors, None, mode, repo, branch)
