"""The gateway's process: takes the daemon's orders from stdin and tells it what happens on stdout, until stdin ends."""

import asyncio
import contextlib
import json
import os
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from ccterm.gateway.orders import LINE_BYTES, AdmitOrder, GatewayReport, Order
from ccterm.git.bounded_json import read_json

_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def main() -> None:
    """Serve until stdin ends. No core of this process is ever written: there would be logins in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    asyncio.run(_serve())


async def _serve() -> None:
    gateway = _Gateway()
    async for order in _orders():
        await gateway.obey(order)
    await gateway.close()


async def _orders() -> AsyncIterator[Order]:
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield read_json(line)


def _tell(told: GatewayReport) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


class _Gateway:
    def __init__(self) -> None:
        self._servers: dict[str, asyncio.Server] = {}

    async def obey(self, order: Order) -> None:
        match order["do"]:
            case "admit":
                await self._admit(order)
            case "dismiss":
                if server := self._servers.pop(order["run"], None):
                    server.close()
                _tell({"told": "dismissed", "run": order["run"]})
            case _:
                pass

    async def _admit(self, order: AdmitOrder) -> None:
        path = Path(order["socket"])
        path.unlink(missing_ok=True)
        try:
            self._servers[order["run"]] = await asyncio.start_unix_server(_refuse, path)
        except OSError as error:
            _tell({"told": "refused_run", "run": order["run"], "why": str(error)})
        else:
            _tell({"told": "admitted", "run": order["run"]})

    async def close(self) -> None:
        for server in self._servers.values():
            server.close()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await reader.read(LINE_BYTES)
        writer.write(_REFUSAL)
        await writer.drain()
    writer.close()
