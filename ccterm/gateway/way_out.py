"""The way from this machine to the API: verified TLS, through the user's proxy when there is one."""

import asyncio
import base64
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import h11

from ccterm.tls import trust_like_claude

DIAL_SECONDS = 30.0
_BUFFER = 256 * 1024
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("localhost", "127.", "::1")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unreachable(OSError):
    """The API cannot be asked; says why."""


class Destination(NamedTuple):
    """Scheme, host and port of an API."""

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Return host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


class WayOut:
    """Dials as the user's environment says, with the variables that the Claude CLI knows too. authority: believed besides, as PEM text."""

    def __init__(self, environ: Mapping[str, str], authority: str = "") -> None:
        self._environ, self._authority = environ, authority

    def believing(self, authority: str) -> "WayOut":
        """Return the same way out, on which these certificates are believed besides."""
        return WayOut(self._environ, authority) if authority else self

    async def dial(self, to: Destination) -> Streams:
        """Return a connection on which the destination itself is spoken to. Raises Unreachable."""
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                return await self._dial(to)
        except TimeoutError as error:
            raise Unreachable(f"{to.host} does not answer within {DIAL_SECONDS:g} s") from error
        except OSError as error:
            raise Unreachable(f"{to.host} cannot be reached: {error}") from error

    def through(self, to: Destination) -> SplitResult | None:
        """Return the proxy for a destination, or None when it is dialled directly, as this machine always is. Raises Unreachable."""
        variable = "HTTPS_PROXY" if to.secure else "HTTP_PROXY"
        name = self._environ.get(variable, "")
        if not name or to.host.startswith(_LOOPBACK) or self._exempt(to):
            return None
        try:
            proxy = urlsplit(name if "://" in name else f"http://{name}")
            usable = proxy.scheme in _PORTS and proxy.hostname and proxy.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise Unreachable(f"{variable} is not the address of a proxy of kind http or https")
        return proxy

    def proxy_login(self, to: Destination) -> list[tuple[bytes, bytes]]:
        """Return the header that a proxy wants of requests that it forwards itself; [] without one."""
        proxy = self.through(to)
        if proxy is None or proxy.username is None:
            return []
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
        return [(b"Proxy-Authorization", b"Basic " + base64.b64encode(login))]

    def _exempt(self, to: Destination) -> bool:
        """Whether NO_PROXY names it: HOST, .DOMAIN, *.DOMAIN, each perhaps with a port, or * for all; a host stands for what is below it, too."""
        for entry in self._environ.get("NO_PROXY", "").lower().replace(",", " ").split():
            host, _, port = entry.rpartition(":") if entry.rpartition(":")[2].isdigit() else (entry, "", "")
            domain = host.removeprefix("*").removeprefix(".")
            if (not port or int(port) == to.port) and (not domain or f".{to.host}".endswith(f".{domain}")):
                return True
        return False

    async def _dial(self, to: Destination) -> Streams:
        proxy = self.through(to)
        if proxy is None:
            return await _open(to.host, to.port, self._trust if to.secure else None)
        port = proxy.port or _PORTS[proxy.scheme]
        reader, writer = await _open(proxy.hostname or "", port, self._trust if proxy.scheme == "https" else None)
        if to.secure:
            try:
                await self._tunnel(reader, writer, to)
            except BaseException:
                writer.close()
                raise
        return reader, writer

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: Destination) -> None:
        target = f"{f'[{to.host}]' if ':' in to.host else to.host}:{to.port}".encode()
        http = h11.Connection(h11.CLIENT)
        request = h11.Request(method=b"CONNECT", target=target, headers=[(b"Host", target), *self.proxy_login(to)])
        writer.write((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        try:
            while (event := http.next_event()) is h11.NEED_DATA:
                http.receive_data(await reader.read(_BUFFER))
        except h11.RemoteProtocolError as error:
            raise Unreachable("the proxy gives no answer that is HTTP") from error
        if not isinstance(event, h11.Response) or event.status_code != 200:
            raise Unreachable(f"the proxy refuses: {event.status_code if isinstance(event, h11.Response) else 'no answer'}")
        await writer.start_tls(self._trust, server_hostname=to.host)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        context = trust_like_claude(self._environ)
        if self._authority:
            context.load_verify_locations(cadata=self._authority)
        context.set_alpn_protocols(["http/1.1"])
        return context


async def _open(host: str, port: int, trust: ssl.SSLContext | None) -> Streams:
    return await asyncio.open_connection(
        host, port, ssl=trust, server_hostname=host if trust else None, limit=_BUFFER, happy_eyeballs_delay=0.25
    )
