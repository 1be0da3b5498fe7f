"""The subset of HTTP that a session uses: requests with a length, complete answers, and chunked answers."""

import asyncio
import json
from collections.abc import Mapping
from typing import NamedTuple

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 422: "Unprocessable Entity"}
LAST_PIECE = b"0\r\n\r\n"


class Request(NamedTuple):
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request of a connection, or None at its end."""
    try:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, OSError):
        return None
    method, path, _ = first.split(" ", 2)
    return Request(method, path, headers, body)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a complete answer."""
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def document(status: int, content: Mapping[str, object]) -> bytes:
    """Return a complete answer in JSON."""
    return answer(status, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), content_type="application/json")


def begin_stream() -> bytes:
    """Return the head of a chunked answer."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode()


def piece(data: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)
