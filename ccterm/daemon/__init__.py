"""One process, the daemon, has a state directory to itself and carries out its runs; every other process sends it commands."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Unpack
from urllib.parse import urlsplit

from ccterm.errors import CctermError, StateError, UsageError
from ccterm.service.lock import DaemonLock
from ccterm.state_dir import StateDir

if TYPE_CHECKING:  # a command that only reads does without the service
    from ccterm.daemon.machine import ThisMachine
    from ccterm.draft import DraftFields
    from ccterm.models import CheckResult, ExecutionMode, Run
    from ccterm.service.awaited_runs import OnEvent
    from ccterm.service.protocol import Service
    from ccterm.service.reader import Reader


class AgentService:
    """The entrance to the public API: `async with AgentService.open() as service`."""

    @staticmethod
    def open(state_dir: Path | str | None = None) -> "AbstractAsyncContextManager[Service]":
        """Become the daemon of the state directory, or attach to the one that runs: the same Service either way.

        None: the one that CCTERM_STATE_DIR names, else the user's own. Entering raises StateError and DaemonError. Leaving waits for the runs
        that this process carries out; leaving by an exception cancels them. When the daemon ends to which this process is attached, the next
        command starts another one in the background.
        """
        return open_service(Path(state_dir) if state_dir is not None else None)


def connect(address: str | Path, *, token: str | None = None) -> "AbstractAsyncContextManager[Service]":
    """Use the server of `ccterm serve` at a URL, or at the path of its private socket: the same Service, over HTTP.

    token: what `ccterm token` prints where the server runs; None = that of this machine's own server. A socket needs none.
    What programs may not ask over HTTP is a UsageError. Entering raises UsageError, and DaemonError when no server answers.
    """
    from ccterm.service.over_http import connected  # deferred: brings httpx

    return connected(address, token or _own_token(address))


def _own_token(address: str | Path) -> str | None:
    """Return the token of this machine's own server, for an address on this machine."""
    if urlsplit(str(address)).hostname not in ("localhost", "127.0.0.1", "::1"):
        return None
    with suppress(OSError, StateError):
        return StateDir.from_environment(os.environ).server_token.read_text("ascii").strip()
    return None


def run(*, state_dir: Path | str | None = None, on_event: "OnEvent | None" = None, **task: "Unpack[DraftFields]") -> "Run":
    """Run one task to its end and return the run, a failed one like any other: `Service.run` for scripts without an event loop.

    Ctrl-C cancels the run, whose work is kept. Raises what `AgentService.open` and `Service.run` do.
    """

    async def work() -> "Run":
        async with AgentService.open(state_dir) as service:
            return await service.run(on_event=on_event, **task)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    raise UsageError("ccterm.run() was called in a coroutine", "await the run of a service: async with AgentService.open() as service")


@asynccontextmanager
async def open_service(state_dir: Path | None = None, environ: Mapping[str, str] = os.environ) -> "AsyncIterator[Service]":
    """Become the daemon of the state directory, or attach to the one that runs. Raises StateError and DaemonError."""
    state = _prepared(state_dir, environ)
    lock = DaemonLock(state)
    if lock.is_other():
        from ccterm.service.connection import replace_other  # deferred: rarely needed

        await replace_other(state, lock)
    if await _becomes_daemon(state, lock):
        from ccterm.daemon.wiring import serving  # deferred: everything that carries runs out, which attaching does without

        try:
            async with serving(state, environ) as service:
                yield service
        finally:
            lock.release()
    else:
        from ccterm.daemon.machine import ThisMachine  # deferred: only reading does without
        from ccterm.daemon.spawn import reviving
        from ccterm.service.remote import attached

        with attached(state, lock, ThisMachine(state, environ), reviving(state, lock, environ)) as service:
            yield service


@asynccontextmanager
async def open_record(state_dir: Path | None = None, environ: Mapping[str, str] = os.environ) -> "AsyncIterator[Reader]":
    """Open the record for reading; if a daemon died in the middle of something, become the daemon first and recover it.

    Raises StateError and DaemonError.
    """
    from ccterm.service.reader import needs_recovery, reading  # deferred: the store

    state = _prepared(state_dir, environ)
    if not DaemonLock(state).holder() and needs_recovery(state):
        async with open_service(state.path, environ) as service:
            yield service
    else:
        with reading(state) as record:
            yield record


async def asked_checks(
    machine: "ThisMachine", mode: "ExecutionMode | None", repo: str | None, branch: str | None
) -> "AsyncGenerator[CheckResult, None]":
    """Ask the preflight questions of the process that would carry out what is submitted now: the daemon if one runs, else this one.

    Raises PreflightError, SettingsError, BranchError and DaemonError.
    """
    from ccterm.preflight import run_checks
    from ccterm.service.connection import changed_over
    from ccterm.service.remote import attached

    lock = DaemonLock(machine.state)
    await changed_over(machine.state, lock)
    if lock.holder() is None or lock.is_other():  # an idle one of another version would be replaced
        async for result in run_checks(machine.questions(mode, repo, branch)):
            yield result
        return
    with attached(machine.state, lock, machine) as service:
        async for result in service.checks(mode, repo=repo, branch=branch):
            yield result


async def announce_login(environ: Mapping[str, str] = os.environ) -> None:
    """Tell the daemon, if one runs, that there is another login, for the runs that wait for one. It would find it by itself within a minute."""
    from ccterm.daemon.machine import ThisMachine
    from ccterm.service.connection import changed_over
    from ccterm.service.remote import attached

    state = StateDir.from_environment(environ)
    lock = DaemonLock(state)
    await changed_over(state, lock)
    if lock.holder() is None or lock.is_other():
        return
    with suppress(CctermError), attached(state, lock, ThisMachine(state, environ)) as service:
        await service.look_again()


async def _becomes_daemon(state: StateDir, lock: DaemonLock) -> bool:
    """Become the daemon. Returns False when another process is."""
    if await lock.acquire():
        return True
    from ccterm.service.connection import changed_over  # deferred: attaching needs it anyway

    await changed_over(state, lock)
    return lock.holder() is None and await lock.acquire()


def _prepared(state_dir: Path | None, environ: Mapping[str, str]) -> StateDir:
    return (StateDir(state_dir) if state_dir else StateDir.from_environment(environ)).prepare()
