"""The server as a whole: its sockets, its token, and the application behind its gate."""

import asyncio
import errno
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI

from ccterm.api.app import make_app
from ccterm.api.audit import AuditLog
from ccterm.api.backend import Backend
from ccterm.api.gate import RequestGate
from ccterm.api.limits import REQUESTS_PER_SECOND
from ccterm.api.token import Token, only_server
from ccterm.api.uvicorn_private import Server
from ccterm.errors import PreflightError
from ccterm.executors.control import socket_directory
from ccterm.state_dir import StateDir

_LONGEST = 100
"""Longest path of a socket, in bytes; systems end at 103 or 107."""
_BACKLOG = 512


@dataclass(frozen=True)
class ServedAt:
    """Where a server answers: the path of its socket, and its port on 127.0.0.1 and ::1; None = it has none."""

    socket: Path
    port: int | None
    token: Token


@dataclass(frozen=True)
class ServerSockets:
    """Where a server will answer, and its sockets, on which callers may wait already."""

    at: ServedAt
    private: socket.socket
    open: Sequence[socket.socket]


@contextmanager
def server_sockets(state: StateDir, port: int | None) -> Iterator[ServerSockets]:
    """Be the one server of a state directory while the block lasts. port: 0 = a free one; None = the private socket alone.

    Raises UsageError when another server runs, and PreflightError when the port is taken.
    """
    with only_server(state) as token, _private_socket(state) as (path, private), _loopback(port) as found:
        bound = found[0].getsockname()[1] if found else None
        yield ServerSockets(ServedAt(path, bound, token), private, found)


@asynccontextmanager
async def serving_http(
    backend: Backend, state: StateDir, sockets: ServerSockets, *, per_second: int = REQUESTS_PER_SECOND
) -> AsyncIterator[ServedAt]:
    """Answer requests while the block lasts. per_second: how many of those with the token, and how many of those without it."""
    at = sockets.at
    async with _application(backend) as app:
        audit = AuditLog(state.audit_log)
        hosts = [f"{host}:{at.port}" for host in ("localhost", "127.0.0.1", "[::1]")]
        private = RequestGate(app, audit, per_second=per_second)
        opened = RequestGate(app, audit, at.token, hosts, per_second=per_second)
        servers = {Server(private): [sockets.private], Server(opened): [*sockets.open]}
        tasks = [asyncio.ensure_future(server.serve(own)) for server, own in servers.items()]
        try:
            yield at
        finally:
            backend.stopping.set()
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)
            audit.close()


@asynccontextmanager
async def _application(backend: Backend) -> AsyncIterator[FastAPI]:
    """Yield the application, which answers other agents, too, where the MCP SDK is installed."""
    if not find_spec("mcp"):
        yield make_app(backend)
        return
    from ccterm.api.mcp.mcp_server import McpServer  # deferred: an extra of its own

    async with McpServer(backend.service, backend.permissions).over_http() as mcp:
        yield make_app(backend, mcp)


@contextmanager
def _private_socket(state: StateDir) -> Iterator[tuple[Path, socket.socket]]:
    """Listen on a socket that only this user can open, in the state directory unless that has too long a path."""
    path, directory = state.server_socket, None
    if len(os.fsencode(path)) > _LONGEST:
        directory = socket_directory()
        path = directory / path.name
    listener = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        listener.bind(str(path))  # nobody else can enter its directory
        path.chmod(0o600)
        listener.listen(_BACKLOG)
        yield path, listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)
        if directory:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed server left: whoever holds the lock of the state directory is the only one."""
    if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
        raise PreflightError(f"{path} is no socket", "move it away")
    path.unlink(missing_ok=True)


@contextmanager
def _loopback(port: int | None) -> Iterator[list[socket.socket]]:
    """Listen on this machine's own addresses; on none that others can reach."""
    found = list[socket.socket]()
    try:
        if port is not None:
            found.append(_bound(socket.AF_INET, "127.0.0.1", port))
            with suppress(_NoSuchAddress):  # not every machine has IPv6
                found.append(_bound(socket.AF_INET6, "::1", found[0].getsockname()[1]))
        yield found
    finally:
        for each in found:
            each.close()


class _NoSuchAddress(Exception):
    """This machine does not have the address."""


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    try:
        listener = socket.socket(family)
    except OSError as error:
        raise _NoSuchAddress from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PreflightError(f"port {port} is taken or not allowed", "ccterm serve --port N takes another one, 0 a free one") from error
        raise _NoSuchAddress from error
    return listener
