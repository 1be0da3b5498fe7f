"""Connects the box proxy with what it was asked for: by the user's own proxy, to a checked address, or to a socket of the host."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from ipaddress import ip_address

from ccterm.box.network.forwarding import ProxyStream
from ccterm.box.network.heads import LONGEST
from ccterm.box.network.targets import HostPort, is_of_internet
from ccterm.box.network.upstream import UserProxies, UserProxy

RESOLVE_SECONDS, DIAL_SECONDS, ANSWER_SECONDS = 20.0, 10.0, 30.0
_MOST_ADDRESSES = 6
_IDLE_SECONDS = 60


class Refused(Exception):
    """The rules do not allow it. The message says why."""


class CannotReach(Exception):
    """It is allowed, but cannot be reached. The message says why. outside: the same for the user, where it is not for the box."""

    def __init__(self, message: str, outside: str = "") -> None:
        super().__init__(message)
        self.outside = outside


class Dialler:
    """Makes connections. closed: names must be of the internet, where nobody else's proxy resolves them."""

    def __init__(self, proxies: Mapping[str, str], *, closed: bool) -> None:
        self._upstreams, self._closed = UserProxies(proxies), closed

    async def tunnel(self, target: HostPort) -> ProxyStream:
        """Return a connection to a target. Raises Refused, CannotReach."""
        upstream = self._upstreams.for_tunnel(target)
        return await self._through(upstream, target) if upstream else await self.directly(target)

    async def plain(self, target: HostPort) -> tuple[ProxyStream, UserProxy | None]:
        """Return a connection for a plain request to a target, and whose proxy is at its other end, if it is one. Raises Refused, CannotReach."""
        upstream = self._upstreams.for_plain(target)
        return (await self._upstream(upstream) if upstream else await self.directly(target)), upstream

    async def directly(self, target: HostPort) -> ProxyStream:
        """Return a connection to an address of a host: to one that was checked, if the network is closed. Raises Refused, CannotReach."""
        addresses = await self._addresses(target)
        if self._closed:
            for address in addresses:
                if not is_of_internet(ip_address(address)):
                    raise Refused(f"at {address}, which is not an address of the internet")
        return await self._first(target, addresses)

    async def inside(self, target: HostPort) -> ProxyStream:
        """Return a connection to a container that runs beside the box. Raises CannotReach."""
        return await self._first(target, await self._addresses(target))

    async def socket(self, path: str) -> ProxyStream:
        """Return a connection to a socket of the host. Raises CannotReach."""
        try:
            return ProxyStream(*await asyncio.open_unix_connection(path, limit=LONGEST))
        except OSError as error:
            raise CannotReach(f"the login gateway cannot be reached: {error.strerror}") from error

    async def _addresses(self, target: HostPort) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            asking = loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            found = await asyncio.wait_for(asking, RESOLVE_SECONDS)
        except (TimeoutError, OSError, UnicodeError) as error:
            raise CannotReach(f"there is no address of {target.host}") from error
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

    async def _first(self, target: HostPort, addresses: list[str]) -> ProxyStream:
        """Return a connection to the first address that answers."""
        why = "it has no address"
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                opening = asyncio.open_connection(address, target.port, limit=LONGEST)
                stream = ProxyStream(*await asyncio.wait_for(opening, DIAL_SECONDS))
            except TimeoutError:
                why = "it does not answer"
            except OSError as error:
                why = error.strerror or str(error)
            else:
                _keep_alive(stream)
                return stream
        raise CannotReach(f"{target} cannot be reached: {why}")

    async def _upstream(self, upstream: UserProxy) -> ProxyStream:
        opening = asyncio.open_connection(upstream.host, upstream.port, limit=LONGEST, ssl=True if upstream.tls else None)
        try:
            stream = ProxyStream(*await asyncio.wait_for(opening, DIAL_SECONDS))
        except (TimeoutError, OSError) as error:
            raise _upstream_fails(upstream, f"cannot be reached: {str(error) or 'it does not answer'}") from error
        _keep_alive(stream)
        return stream

    async def _through(self, upstream: UserProxy, target: HostPort) -> ProxyStream:
        """Ask the user's own proxy for a tunnel."""
        stream = await self._upstream(upstream)
        try:
            await stream.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n".encode() + upstream.header + b"\r\n")
            line = await asyncio.wait_for(stream.reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            stream.close()
            raise _upstream_fails(upstream, f"gives no answer for {target}") from error
        except asyncio.CancelledError:
            stream.close()
            raise
        version, _, status = line.partition(b"\r\n")[0].partition(b" ")
        if not (version.startswith(b"HTTP/1.") and status.startswith(b"2")):
            stream.close()
            shown = "".join(char for char in status[:80].decode("ascii", "replace") if char.isprintable())
            raise _upstream_fails(upstream, f"answers {shown} for {target}")
        return stream


def _upstream_fails(upstream: UserProxy, how: str) -> CannotReach:
    """Return the error of a proxy of the user's, of which a box is told nothing."""
    return CannotReach(
        "what was asked for cannot be reached; the run's transcript says why", f"your own proxy, {upstream.host}:{upstream.port}, {how}"
    )


def _keep_alive(stream: ProxyStream) -> None:
    """Notice an end that is gone without a word."""
    connection = stream.writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):  # not on macOS
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_SECONDS)
