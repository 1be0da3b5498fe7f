"""Connections to the daemon of a state directory, and the change from one daemon to another."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ccterm.errors import DaemonError
from ccterm.git.bounded_json import require_bounded
from ccterm.service.commands import MakeWay, request_line
from ccterm.service.lock import DaemonLock
from ccterm.service.wire import LINE_LIMIT, PROTOCOL, Hello, Reply
from ccterm.state_dir import StateDir

GREETING_SECONDS = 10.0
ABSENT_SECONDS = 0.5
"""How long one daemon may be gone before the next one holds the lock."""
LEAVING_SECONDS = 10.0
CHANGING_SECONDS = 20.0
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(state: StateDir, *, any_protocol: bool = False) -> Connection:
    """Connect to the daemon, which has said its greeting by then. Raises DaemonError when it does not answer, or speaks otherwise."""
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            reader, writer = await _opened(state)
            if not (greeting := await reader.readline()):
                raise ConnectionResetError("it ended without a greeting")
            hello = Hello.model_validate_json(require_bounded(greeting))
    except ValueError as error:
        raise DaemonError("the daemon's greeting cannot be read", "stop it, or use the same version of ccterm") from error
    except (OSError, TimeoutError) as error:
        raise DaemonError("the daemon does not answer", "try again; if that does not help, stop its process") from error
    if hello.protocol != PROTOCOL and not any_protocol:
        writer.close()
        raise DaemonError(
            f"the daemon (process {hello.pid}) is another version of ccterm", "stop it once its runs have finished, or use that version"
        )
    return reader, writer


async def _opened(state: StateDir) -> Connection:
    """Connect to the daemon's socket, which does not exist yet while a new daemon recovers what the last one left. Raises DaemonError."""
    lock, seen = DaemonLock(state), time.monotonic()
    while True:
        try:
            socket = (await asyncio.to_thread(state.socket_address.read_text)).strip()
            return await asyncio.open_unix_connection(socket, limit=LINE_LIMIT)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            seen = time.monotonic() if lock.holder() else seen
            if time.monotonic() - seen > ABSENT_SECONDS:
                raise DaemonError("the daemon has ended", "try again; a command that needs one starts it") from error
            await asyncio.sleep(0.05)


@contextmanager
def understood() -> Iterator[None]:
    """Raise DaemonError for an answer that does not come, or that cannot be read."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DaemonError("the daemon stopped before it answered", "try again; ccterm runs shows what happened") from error


async def changed_over(state: StateDir, lock: DaemonLock) -> None:
    """Return once the daemon takes commands, or there is none: one that just starts, or that ends, takes none for a while. Raises nothing."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CHANGING_SECONDS):
            while lock.holder() is not None and not state.socket_address.exists():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)


async def replace_other(state: StateDir, lock: DaemonLock) -> None:
    """Have an idle daemon of another version or installation end; one that is in use stays, and the caller attaches to it. Raises nothing."""
    other = lock.holder()
    if other is None or not lock.is_other():
        return
    with suppress(DaemonError, TimeoutError):  # whether it can be used shows when it is
        if await _makes_way(state):
            async with asyncio.timeout(LEAVING_SECONDS):
                while True:
                    if (holder := lock.holder()) is None or holder.pid != other.pid:
                        return
                    await asyncio.sleep(0.02)


async def _makes_way(state: StateDir) -> bool:
    """Ask the daemon, whatever its protocol: this one command is the same in all of them. The first version knows none."""
    reader, writer = await connect(state, any_protocol=True)
    try:
        with understood():
            writer.write(request_line(MakeWay()))
            await writer.drain()
            return Reply.model_validate_json(require_bounded(await reader.readline())).result is True
    finally:
        writer.close()
