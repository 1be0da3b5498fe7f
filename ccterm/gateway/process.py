"""The gateway's process: takes the daemon's orders from stdin and tells it what happens on stdout, until stdin ends."""

import asyncio
import ctypes
import json
import os
import resource
import ssl
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from ccterm.gateway.exchange import Exchange
from ccterm.gateway.git_reading import GitReader
from ccterm.gateway.orders import API, LINE_BYTES, AdmitOrder, CertificateOrder, GatewayReport, LimitWindows, LoginOrder, Order, RunNumbers
from ccterm.gateway.run_numbers import HeldRequests, Tally
from ccterm.gateway.served_run import ServedRun
from ccterm.gateway.shared_login import AnswerCache, SharedLogin
from ccterm.gateway.upstream import KEPT_SECONDS, Upstream
from ccterm.gateway.way_out import WayOut
from ccterm.git.bounded_json import read_json

_PR_SET_DUMPABLE = 4
_UNREAD_BYTES = 1024 * 1024
"""Most bytes that a daemon which does not read leaves us with; numbers are not told beyond that."""


def main() -> None:
    """Serve until stdin ends."""
    close_memory()
    _raise_open_files()
    os.umask(0o077)
    asyncio.run(_serve())


def close_memory() -> None:
    """Let no core be written of this process, and no other of this user's read its memory: there are logins in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def _raise_open_files() -> None:
    """Have as many open files as the system lets us: each request of a box takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(65536, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)
    dispatcher = Dispatcher(transport)
    try:
        async for order in _orders():
            await dispatcher.obey(order)
    finally:
        dispatcher.close()


async def _orders() -> AsyncIterator[Order]:
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield read_json(line)


class Dispatcher:
    """All runs and logins of one process, as the daemon orders them. Tells on `out`."""

    def __init__(self, out: asyncio.WriteTransport) -> None:
        self._out = out
        self._logins: dict[str, SharedLogin] = {}
        self._answers = AnswerCache()
        self._runs: dict[str, ServedRun] = {}
        self._upstreams: dict[str, Upstream] = {}
        self._windows: dict[str, LimitWindows] = {}
        self._way = WayOut({})
        self._context: ssl.SSLContext | None = None

    async def obey(self, order: Order) -> None:
        """Carry one order out."""
        match order["do"]:
            case "start":
                self._way = WayOut(order["environ"])
                self._upstreams = {"": Upstream(API, self._way, kept_seconds=KEPT_SECONDS)}
            case "certificate":
                self._context = _tls_context(order)
            case "login":
                self._take_login(order)
            case "give_up":
                if login := self._logins.get(order["login"]):
                    login.give_up()
            case "admit":
                await self._admit(order)
            case "dismiss":
                self._dismiss(order["run"], order["forget"])

    def close(self) -> None:
        """Close all sockets."""
        for run in self._runs.values():
            run.close()

    def _take_login(self, order: LoginOrder) -> None:
        key = order["login"]
        if held := self._logins.get(key):
            held.renew(order["header"], order["value"])
        else:
            tell = partial(self._tell, GatewayReport(told="refused", login=key))
            self._logins[key] = SharedLogin(order["header"], order["value"], tell, self._answers)

    async def _admit(self, order: AdmitOrder) -> None:
        name = order["run"]
        if before := self._runs.pop(name, None):
            before.close()
        try:
            run = self._served(order)
            await run.listen()
        except (OSError, ValueError) as error:
            self._tell({"told": "refused_run", "run": name, "why": str(error)})
            return
        self._logins[order["login"]].try_again()
        self._runs[name] = run
        self._tell({"told": "admitted", "run": name})

    def _served(self, order: AdmitOrder) -> ServedRun:
        name, key, base = order["run"], order["login"], order["base_url"] or ""
        if base not in self._upstreams:
            self._upstreams[base] = Upstream(base, self._way)
        exchange = Exchange(
            login=self._logins[key],
            upstream=self._upstreams[base],
            tally=Tally(
                RunNumbers(*order["numbers"]),
                order["max_tokens"],
                tell=partial(self._tell_used, name),
                tell_spent=partial(self._tell, {"told": "over_budget", "run": name}),
            ),
            held=HeldRequests(partial(self._tell_waits, name)),
            tell_limits=partial(self._tell_limits, key),
        )
        api = exchange._replace(upstream=self._upstreams[""])
        git = GitReader(order["git"], self._way, order["git_authorities"])
        return ServedRun(
            Path(order["socket"]),
            order["token"],
            exchange,
            api,
            git,
            own_base=bool(base),
            certificate=self._certificate,
            tell_unreachable=lambda why: self._tell({"told": "unreachable", "run": name, "why": why}),
        )

    def _dismiss(self, name: str, login: str) -> None:
        if run := self._runs.pop(name, None):
            run.close()
        self._logins.pop(login, None)
        self._windows.pop(login, None)
        self._tell({"told": "dismissed", "run": name})

    def _certificate(self) -> ssl.SSLContext:
        if self._context is None:
            raise ConnectionAbortedError("there is no certificate yet")
        return self._context

    def _tell_used(self, name: str, numbers: RunNumbers) -> None:
        if self._out.get_write_buffer_size() < _UNREAD_BYTES:
            self._tell({"told": "used", "run": name, "numbers": list(numbers)})

    def _tell_waits(self, name: str, waits: bool) -> None:
        self._tell({"told": "waits", "run": name, "waits": waits})

    def _tell_limits(self, key: str, found: LimitWindows) -> None:
        if self._windows.get(key) != found and self._out.get_write_buffer_size() < _UNREAD_BYTES:
            self._windows[key] = found
            windows = {name: (window.status, window.utilization, window.resets_at) for name, window in found.windows.items()}
            self._tell(
                {
                    "told": "limits",
                    "login": key,
                    "status": found.status,
                    "binding": found.binding,
                    "resets_at": found.resets_at,
                    "windows": windows,
                }
            )

    def _tell(self, told: GatewayReport) -> None:
        self._out.write(json.dumps(told).encode() + b"\n")


def _tls_context(order: CertificateOrder) -> ssl.SSLContext:
    """Return a context that shows this certificate. OpenSSL reads from files alone, so it gets pipes, and no key is on a disk."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    ends = [_readable(order["certificate"]), _readable(order["key"])]
    try:
        context.load_cert_chain(*(f"/dev/fd/{end}" for end in ends))
    finally:
        for end in ends:
            os.close(end)
    return context


def _readable(text: str) -> int:
    """Return the reading end of a pipe that holds a short text."""
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    return read
