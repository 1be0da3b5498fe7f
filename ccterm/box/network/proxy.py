"""The box proxy: what is done with each request of a program of the box.

It serves one box. What its programs ask for is hostile: heads are bounded and read strictly, a name is resolved once, the address that was
checked is the one that is dialled, and what is passed on is for that host alone. The login gateway gets bytes as they came.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from ccterm.box.network.dialling import CannotReach, Dialler, Refused
from ccterm.box.network.forwarding import CHUNK, ProxyStream, answer, pass_on, relay, send_body
from ccterm.box.network.heads import LONGEST, BadHead, Head, read_head
from ccterm.box.network.proxy_process import RECONNECT
from ccterm.box.network.tally import PAUSE, EgressCount, EgressTally
from ccterm.box.network.targets import BadTarget, HostPort, is_listed
from ccterm.box.network.tls import LONGEST as LONGEST_HELLO
from ccterm.box.network.tls import RECORDS, NotTls, Unfinished, server_name
from ccterm.box.network.upstream import UserProxy

if TYPE_CHECKING:
    from ccterm.box.network.proxy_process import ProxySettings

API = HostPort("api.anthropic.com", 443)
"""What goes to the login gateway, if there is one."""
MOST_CONNECTIONS = 256
BACKLOG = 128
HEAD_SECONDS = HELLO_SECONDS = 30.0


class BoxProxy:
    """The proxy of one box."""

    def __init__(self, settings: "ProxySettings", tally: EgressTally) -> None:
        self._closed, self._hosts = settings["mode"] == "list", settings["hosts"]
        self._gateway, self._services = settings["gateway"], settings["services"]
        self._dialler = Dialler(settings["proxies"], closed=self._closed)
        self._tally = tally
        self._serving: set[asyncio.Task[None] | None] = set()
        """Held here, as asyncio itself forgets a task whose client is gone, while it still ends the other connection."""
        self._at_gateway: set[tuple[ProxyStream, ProxyStream]] = set()

    def reconnect(self) -> None:
        """Close every connection to the gateway, and the one of the program that asked for it, which will ask again."""
        for ends in self._at_gateway:
            for end in ends:
                end.close()

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to the proxy."""
        await self._serve(ProxyStream(reader, writer), self._answer_request)

    async def serve_service(self, service: HostPort, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a program of a closed box with a container beside it."""

        async def connect(client: ProxyStream) -> None:
            await _tunnel(client, await self._dialler.inside(service))

        await self._serve(ProxyStream(reader, writer), connect)

    async def _serve(self, client: ProxyStream, serve: Callable[[ProxyStream], Awaitable[None]]) -> None:
        serving = asyncio.current_task()
        self._serving.add(serving)
        try:
            if len(self._serving) > MOST_CONNECTIONS:
                await answer(client, "503 Service Unavailable", f"more than {MOST_CONNECTIONS} connections are open")
            else:
                await serve(client)
        except (OSError, asyncio.IncompleteReadError, CannotReach):
            pass  # one end of the connection is gone
        finally:
            self._serving.discard(serving)
            client.close()

    async def _answer_request(self, client: ProxyStream) -> None:
        try:
            raw = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
            await self._carry_out(client, read_head(raw))
        except TimeoutError:
            await answer(client, "408 Request Timeout", "no whole request came in time")
        except asyncio.LimitOverrunError:
            await answer(client, "431 Request Header Fields Too Large", "the head of the request is too long")
        except BadHead as error:
            await answer(client, "400 Bad Request", f"the request is refused: {error}")
        except Refused as error:
            await answer(client, "403 Forbidden", f"this box may not reach what was asked for: {error}")
        except CannotReach as error:
            await answer(client, "502 Bad Gateway", str(error))

    async def _carry_out(self, client: ProxyStream, head: Head) -> None:
        if head.is_for_origin:
            if self._gateway is None:
                raise BadHead("it is written as to a server, and this is a proxy")
            await self._to_gateway(client, head, self._gateway)
            return
        try:
            target = head.target()
        except BadTarget as error:
            self._tally.count(head.wanted.decode("ascii"), str(error))
            raise BadHead(str(error)) from error
        if self._gateway and head.is_connect and target == API:
            self._tally.count(target)
            await self._to_gateway(client, head, self._gateway)
        elif head.is_connect:
            server, _ = await self._reach(target, self._tunnelled)
            await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _tunnel(client, server, partial(self._pass_checked, target) if self._closed else pass_on)
        else:
            await self._forward(client, head, target)

    async def _to_gateway(self, client: ProxyStream, head: Head, path: str) -> None:
        """Connect a client with the gateway, which reads the same bytes."""
        server = await self._dialler.socket(path)
        self._at_gateway.add((client, server))
        try:
            server.writer.write(head.raw)
            await _tunnel(client, server)
        finally:
            self._at_gateway.discard((client, server))

    async def _forward(self, client: ProxyStream, head: Head, target: HostPort) -> None:
        """Pass one plain request on, and its answer."""
        length = head.body()
        server, upstream = await self._reach(target, self._dialler.plain)
        try:
            await server.send(head.forwarded(target, through_proxy=bool(upstream)) + (upstream.header if upstream else b"") + b"\r\n")
            answering = asyncio.ensure_future(pass_on(server, client))
            await relay(asyncio.ensure_future(send_body(client, server, length)), answering)
        finally:
            server.close()

    async def _reach(
        self, target: HostPort, dial: Callable[[HostPort], Awaitable[tuple[ProxyStream, UserProxy | None]]]
    ) -> tuple[ProxyStream, UserProxy | None]:
        """Dial what the rules allow. Raises Refused, CannotReach."""
        try:
            if self._closed and target.host in self._services:
                self._require(target.port == self._services[target.host], f"the port of this service is {self._services[target.host]}")
                return await self._dialler.inside(target), None
            if self._closed:
                self._require(target.address is None, "a closed box reaches hosts by name")
                self._require(is_listed(target, self._hosts), "not on the list")
            found = await dial(target)
        except Refused as error:
            self._tally.count(target, str(error))
            raise
        except CannotReach as error:
            self._tally.count(target)
            self._tally.say(error.outside)
            raise
        self._tally.count(target)
        return found

    @staticmethod
    def _require(allowed: bool, otherwise: str) -> None:
        if not allowed:
            raise Refused(otherwise)

    async def _tunnelled(self, target: HostPort) -> tuple[ProxyStream, None]:
        return await self._dialler.tunnel(target), None

    async def _pass_checked(self, target: HostPort, client: ProxyStream, server: ProxyStream) -> None:
        """Pass a client's bytes on, after a look at the host that its TLS connection, if it is one, is for."""
        try:
            begun = await asyncio.wait_for(self._begun(target, client), HELLO_SECONDS)
        except Refused as error:
            self._tally.count(target, str(error))
            raise ConnectionAbortedError from error
        except TimeoutError as error:
            raise ConnectionAbortedError from error
        await server.send(begun)
        await pass_on(client, server)

    async def _begun(self, target: HostPort, client: ProxyStream) -> bytes:
        """Return the first bytes of a client. Raises Refused."""
        data = b""
        while block := await client.reader.read(CHUNK):
            data += block
            try:
                name = server_name(data)
            except Unfinished:
                self._require(len(data) <= LONGEST_HELLO, "the TLS connection begins with too long a message")
                continue
            except NotTls:
                self._require(data[0] not in RECORDS, "the TLS connection cannot be understood")
                return data
            self._require(name in (None, target.host), f"the TLS connection asks for {(name or '')[:80]}")
            return data
        return data


async def _tunnel(
    client: ProxyStream, server: ProxyStream, upward: Callable[[ProxyStream, ProxyStream], Awaitable[None]] = pass_on
) -> None:
    """Pass bytes on in both directions."""
    try:
        await relay(asyncio.ensure_future(upward(client, server)), asyncio.ensure_future(pass_on(server, client)))
    finally:
        server.close()


def serve(host: socket.socket, settings: "ProxySettings", listeners: list[socket.socket]) -> None:
    """Serve until the program of the box that started this is gone. host: the socket to it."""
    asyncio.run(_serve(host, settings, listeners))


async def _serve(host: socket.socket, settings: "ProxySettings", listeners: list[socket.socket]) -> None:
    told, reports = await asyncio.open_connection(sock=host)

    def tell(asked: EgressCount) -> None:
        reports.write(json.dumps(asked).encode() + b"\n")

    tally = EgressTally(tell)
    proxy = BoxProxy(settings, tally)
    gone = asyncio.ensure_future(_obey(told, proxy))
    handlers: list[Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]] = [proxy.serve_client]
    handlers += [partial(proxy.serve_service, HostPort(alias, port)) for alias, port in settings["services"].items()]
    for listener, handler in zip(listeners, handlers, strict=False):  # an open box has no listeners for services
        await asyncio.start_server(handler, sock=listener, limit=LONGEST, backlog=BACKLOG)
    while not gone.done():
        await asyncio.wait([gone], timeout=PAUSE)
        tally.flush()
    reports.close()
    with contextlib.suppress(OSError):
        await reports.wait_closed()
    os._exit(0)  # the box waits for this end, and to tidy up would take as long again


async def _obey(orders: asyncio.StreamReader, proxy: BoxProxy) -> None:
    """Obey the program that started this, until it is gone."""
    while line := await orders.readline():
        if line == RECONNECT:
            proxy.reconnect()
