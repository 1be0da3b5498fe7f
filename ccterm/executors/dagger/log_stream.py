"""The live output of all execs of a session: one reader of its log stream, which hands each record to whoever waits for its trace."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import httpx

from ccterm.executors.dagger.cli_session import Address
from ccterm.executors.dagger.records import LogRecord, log_records

SUBSCRIBE_SECONDS = 5.0
_AGAIN_SECONDS = 0.2
_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Takes the records of one trace."""

    def record(self, record: LogRecord) -> None:
        """Take one record."""
        ...

    def restart(self) -> None:
        """Learn that the stream begins anew from its first record."""
        ...


class SseEvent(NamedTuple):
    """One event; a field that was not sent is empty."""

    name: str
    id: str
    data: bytes


class SseSplitter:
    """Feeds on chunks of a response, gives whole events."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> Iterator[SseEvent]:
        """Yield the events that are complete now."""
        self._buffer += chunk
        begin = 0
        while (end := self._buffer.find(b"\n\n", max(begin, self._searched))) >= 0:
            block = bytes(self._buffer[begin:end])
            begin = self._searched = end + 2
            if block.strip():
                yield _event(block)
        del self._buffer[:begin]
        self._searched = max(0, len(self._buffer) - 1)


class LogStream:
    """Reads the log stream of one session for as long as the block lasts, again from where it was when the connection breaks."""

    def __init__(self, address: Address) -> None:
        self._url = f"http://127.0.0.1:{address.port}/v1/logs"
        self._auth = (address.token, "")
        self._feeds: dict[str, Listener] = {}
        self._subscribed = False
        self._answered = asyncio.Event()
        self._last = ""
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "LogStream":
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def live(self) -> bool:
        """Wait until the engine answers, at most five seconds. Returns whether it streams output while execs run."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), SUBSCRIBE_SECONDS)
        return self._subscribed

    @contextmanager
    def feeding(self, trace: str, feed: Listener) -> Iterator[None]:
        """Hand the records of a trace to `feed` for as long as the block lasts."""
        self._feeds[trace] = feed
        try:
            yield
        finally:
            del self._feeds[trace]

    async def _read(self) -> None:
        async with httpx.AsyncClient(timeout=httpx.Timeout(None, connect=SUBSCRIBE_SECONDS), auth=self._auth, trust_env=False) as http:
            while True:
                try:
                    await self._read_once(http)
                except httpx.HTTPError as error:
                    _log.debug("log stream: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _read_once(self, http: httpx.AsyncClient) -> None:
        headers = {"X-Last-Event-ID": self._last} if self._last else {}
        splitter, found = SseSplitter(), False
        async with http.stream("GET", self._url, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                self._answered.set()
                return
            async for chunk in response.aiter_raw():
                for event in splitter.feed(chunk):
                    found |= self._event(event)
        if not found and self._last:  # the number was not known any more: from the first record again
            self._last = ""
            for feed in self._feeds.values():
                feed.restart()

    def _event(self, event: SseEvent) -> bool:
        """Take one event. Returns whether it held records."""
        if event.name == "subscribed":
            self._subscribed = True
            self._answered.set()
        if event.name != "logs":
            return False
        for record in log_records(event.data):
            if feed := self._feeds.get(record.trace):
                feed.record(record)
        self._last = event.id or self._last
        return True


def _event(block: bytes) -> SseEvent:
    fields: dict[bytes, list[bytes]] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")  # `data` of "subscribed" comes without a colon
        fields.setdefault(name.strip(), []).append(value.removeprefix(b" "))
    kind, number = (b"".join(fields.get(key, [])).decode("utf-8", "replace") for key in (b"event", b"id"))
    return SseEvent(kind, number, b"\n".join(fields.get(b"data", [])))
