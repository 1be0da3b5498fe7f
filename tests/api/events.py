"""Reads server-sent events."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx


class Sent(NamedTuple):
    """One event of a stream."""

    id: str
    kind: str
    data: dict[str, Any]


@asynccontextmanager
async def following(client: httpx.AsyncClient, path: str, last: str | None = None) -> AsyncIterator[AsyncIterator[Sent]]:
    """Follow a stream. last: the id after which to go on."""
    async with client.stream("GET", path, headers={"Last-Event-ID": last} if last else None) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[Sent]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif "data" in fields:
            yield Sent(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}


async def all_of(client: httpx.AsyncClient, path: str, last: str | None = None) -> list[Sent]:
    """Return the events of a stream that ends."""
    async with following(client, path, last) as events:
        return [event async for event in events]
