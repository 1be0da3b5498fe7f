"""Requests written byte by byte, for what no client library would send."""

import asyncio
import json
from dataclasses import dataclass

from tests.api.served import RUN, SCRIPTED, Served
from tests.support.core import EDIT

BODY = json.dumps({**SCRIPTED, "task": EDIT, "branch": "agent/x"}).encode()
Header = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """What came back; status 0: the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.body)
        return found


def host(api: Served) -> Header:
    return ("Host", f"localhost:{api.address.port}")


def token(api: Served) -> Header:
    return ("Authorization", f"Bearer {api.address.token.value}")


def request(method: str, target: str, *headers: Header, body: bytes = b"", version: str = "1.1") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def order(
    api: Served, *headers: Header, target: str = RUN, body: bytes = BODY, length: int | None = None, kind: str | None = "application/json"
) -> bytes:
    """Return a request that starts a run unless something is wrong with it. headers: after those that every good one has."""
    kinds = [("Content-Type", kind)] if kind else []
    return request(
        "POST", target, host(api), token(api), *kinds, ("Content-Length", str(len(body) if length is None else length)), *headers, body=body
    )


async def send(api: Served, data: bytes, *, seconds: float = 20) -> Answer:
    """Send bytes on a connection of their own and return the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.address.port)
    try:
        async with asyncio.timeout(seconds):
            try:
                writer.write(data)
                return await _answer(reader, with_body=not data.startswith(b"HEAD "))
            except (ConnectionError, asyncio.IncompleteReadError):
                return Answer(0, {}, b"")
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader, *, with_body: bool) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"])) if with_body and "content-length" in headers else b""
    return Answer(int(head[0].split(" ")[1]), headers, body)
