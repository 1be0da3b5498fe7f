"""What the gateway costs: delay of each piece of an answer, memory, processor time, start. Beside the same without it, in the same run; asserts nothing.

Three processes pass a piece on, so a busy machine's queue is what is measured there: `chrt -r 1 scripts/bench gateway` goes before it.
"""

import asyncio
import json
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
from pydantic import SecretStr

from ccterm.gateway.certificates import CertificateAuthority
from ccterm.gateway.client import Gateway, GatewayLogin, LimitWindows, RunNumbers, RunPass
from ccterm.models import RunId, new_id

STREAMS, PER_SECOND, SECONDS, ROUNDS = 16, 50, 6.0, 2
HOST = "api.anthropic.com"
AT = re.compile(rb'"at":(\d+)')
BODY = json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": "x" * 48_000}]}).encode()
LOGIN = GatewayLogin("authorization", SecretStr("sk-ant-oat01-bench"))
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Opens = Callable[[], Awaitable[Streams]]
Figures = tuple[list[float], list[float]]
"""Seconds to the first byte, and seconds that pieces were under way."""


class Silent:
    """Hears nothing."""

    def refused(self, login: str) -> None:
        """Ignore it."""

    def used(self, run: RunId, numbers: RunNumbers) -> None:
        """Ignore it."""

    def waits(self, run: RunId, *, waits: bool) -> None:
        """Ignore it."""

    def unreachable(self, run: RunId, why: str) -> None:
        """Ignore it."""

    def limits(self, login: str, windows: LimitWindows) -> None:
        """Ignore it."""

    def restarted(self, run: RunId) -> None:
        """Ignore it."""

    def over_budget(self, run: RunId) -> None:
        """Ignore it."""


def row(name: str, *figures: str) -> None:
    """Print one line of a table."""
    print(f"{name:<44}" + "".join(f"{figure:>24}" for figure in figures))


async def api(certificate: str) -> None:
    """Be an API that streams pieces of 140 bytes with their time; after a CONNECT, in TLS. Says its port and serves until it is killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.start_tls(context)
            head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        start = time.monotonic()
        for number in range(int(PER_SECOND * SECONDS)):
            await asyncio.sleep(max(0.0, start + number / PER_SECOND - time.monotonic()))
            delta = f'data: {{"type":"content_block_delta","at":{time.monotonic_ns()},"delta":{{"text":"{"x" * 40}"}}}}\n\n'
            piece = f"event: content_block_delta\n{delta}".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def stream(opens: Opens, token: str) -> tuple[float, list[float]]:
    """Ask once; return the seconds to the first byte, and those that each piece was under way."""
    reader, writer = await opens()
    started = time.monotonic()
    head = f"POST /v1/messages HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    writer.write(head.encode() + BODY)
    await reader.readuntil(b"\r\n\r\n")
    first = time.monotonic() - started
    delays = []
    async for line in reader:
        if found := AT.search(line):
            delays.append((time.monotonic_ns() - int(found[1])) / 1e9)
        if line == b"0\r\n":
            break
    writer.close()
    return first, delays


async def measure(opens: Opens, token: str = "") -> Figures:
    """Have all streams at once, their pieces spread over time: those of other runs do not come in step either."""

    async def late(seconds: float) -> tuple[float, list[float]]:
        await asyncio.sleep(seconds)
        return await stream(opens, token)

    found = await asyncio.gather(*(late(number / STREAMS / PER_SECOND) for number in range(STREAMS)))
    return [first for first, _ in found], [delay for _, delays in found for delay in delays]


def directly(port: int, trust: ssl.SSLContext | None) -> Opens:
    """Return what opens a connection to the API itself."""

    async def opens() -> Streams:
        return await tunnel(*await asyncio.open_connection("127.0.0.1", port), trust)

    return opens


def through(given: RunPass, trust: ssl.SSLContext | None) -> Opens:
    """Return what opens one to the gateway, as a box does."""

    async def opens() -> Streams:
        return await tunnel(*await asyncio.open_unix_connection(given.socket), trust)

    return opens


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trust: ssl.SSLContext | None) -> Streams:
    """Have TLS with the API's name, if somebody is to be trusted."""
    if trust:
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await writer.start_tls(trust, server_hostname=HOST)
    return reader, writer


def add(sums: Figures, found: Figures) -> None:
    """Join two measurements."""
    for one, other in zip(sums, found, strict=True):
        one.extend(other)


def percentile(values: list[float], percent: int) -> float:
    """Return it in milliseconds."""
    return statistics.quantiles(values, n=100)[percent - 1] * 1000


async def compare(place: Path, port: int, *, secure: bool) -> None:
    """Measure one way, with and without a gateway in turns."""
    environ = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": str(place / "ca.pem")} if secure else {}
    base_url = None if secure else f"http://127.0.0.1:{port}"
    async with Gateway(place / "gw", environ, Silent()) as gateway:
        started = time.monotonic()
        given = await gateway.admit(RunId(new_id()), "login", LOGIN, base_url=base_url)
        admitted = time.monotonic()
        await gateway.admit(RunId(new_id()), "login", LOGIN, base_url=base_url)
        again = time.monotonic()
        process = psutil.Process(gateway.pid)
        own = ssl.create_default_context(cafile=str(place / "ca.pem")) if secure else None
        trust = ssl.create_default_context(cadata=given.ca) if secure else None
        direct: Figures = ([], [])
        via: Figures = ([], [])
        used = 0.0
        for _ in range(ROUNDS):
            add(direct, await measure(directly(port, own)))
            before = sum(process.cpu_times()[:2])
            add(via, await measure(through(given, trust), given.token.get_secret_value()))
            used += sum(process.cpu_times()[:2]) - before
        print(f"\n{'B: TLS ended and begun anew' if secure else 'A: plain HTTP'}, {STREAMS} streams x {PER_SECOND}/s, {len(via[1])} pieces")
        row("", "directly", "through the gateway", "added", "bar")
        for percent, bar in ((50, ""), (95, "1 ms")):
            one, other = percentile(direct[1], percent), percentile(via[1], percent)
            row(f"a piece is under way, p{percent}", f"{one:.2f} ms", f"{other:.2f} ms", f"{other - one:.2f} ms", bar)
        one, other = statistics.median(direct[0]) * 1000, statistics.median(via[0]) * 1000
        row("first byte after 48 kB", f"{one:.1f} ms", f"{other:.1f} ms", f"{other - one:.1f} ms")
        row("processor, of one core", "", f"{used / (ROUNDS * SECONDS) * 100:.1f} %")
        row("memory", "", f"{process.memory_info().rss / 1e6:.0f} MB", "", "60 MB")
        row("first admission, with the process's start", "", f"{(admitted - started) * 1000:.0f} ms", "", "300 ms")
        row("next admission", "", f"{(again - admitted) * 1000:.1f} ms")


async def compare_both(place: Path, port: int) -> None:
    """Measure both ways."""
    await compare(place, port, secure=False)
    await compare(place, port, secure=True)


def main() -> None:
    """Start the API and measure."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        authority = CertificateAuthority()
        leaf = authority.leaf()
        (place / "ca.pem").write_text(authority.pem)
        (place / "api.pem").write_text(leaf.certificate + leaf.key)
        with subprocess.Popen([sys.executable, __file__, "api", place / "api.pem"], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            try:
                asyncio.run(compare_both(place, int(server.stdout.readline())))
            finally:
                server.kill()


if sys.argv[1:2] == ["api"]:
    asyncio.run(api(sys.argv[2]))
else:
    main()
