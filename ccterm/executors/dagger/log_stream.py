"""Reads a session's log stream, the live output of all of its execs, and passes each record to the listener of its trace."""

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
_RETRY_SECONDS = 0.2
_log = logging.getLogger(__name__)


class LogListener(Protocol):
    """Takes the records of one trace."""

    def record(self, record: LogRecord) -> None:
        """Take one record."""
        ...

    def restart(self) -> None:
        """Be told that the stream starts again from its first record."""
        ...


class SseEvent(NamedTuple):
    """One server-sent event; a field that was not sent is empty."""

    name: str
    id: str
    data: bytes


class SseSplitter:
    """Turns chunks of a response into events."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> Iterator[SseEvent]:
        """Yield the events that are now complete."""
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
    """Reads the log stream of one session for the duration of the block; after a broken connection it resumes."""

    def __init__(self, address: Address) -> None:
        self._url = f"http://127.0.0.1:{address.port}/v1/logs"
        self._auth = (address.token, "")
        self._listeners: dict[str, LogListener] = {}
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
    def listening(self, trace: str, listener: LogListener) -> Iterator[None]:
        """Pass the records of a trace to `listener` for the duration of the block."""
        self._listeners[trace] = listener
        try:
            yield
        finally:
            del self._listeners[trace]

    async def _read(self) -> None:
        timeout = httpx.Timeout(None, connect=SUBSCRIBE_SECONDS)
        # verify=False: the connection is plain HTTP on the loopback, and loading certificates takes 25 ms
        async with httpx.AsyncClient(timeout=timeout, auth=self._auth, trust_env=False, verify=False) as http:
            while True:
                try:
                    await self._read_once(http)
                except httpx.HTTPError as error:
                    _log.debug("log stream: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

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
        if not found and self._last:  # the id is no longer known: start again from the first record
            self._last = ""
            for listener in self._listeners.values():
                listener.restart()

    def _event(self, event: SseEvent) -> bool:
        """Take one event. Return whether it held records."""
        if event.name == "subscribed":
            self._subscribed = True
            self._answered.set()
        if event.name != "logs":
            return False
        for record in log_records(event.data):
            if listener := self._listeners.get(record.trace):
                listener.record(record)
        self._last = event.id or self._last
        return True


def _event(block: bytes) -> SseEvent:
    fields: dict[bytes, list[bytes]] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")  # the `data` line of "subscribed" has no colon
        fields.setdefault(name.strip(), []).append(value.removeprefix(b" "))
    kind, number = (b"".join(fields.get(key, [])).decode("utf-8", "replace") for key in (b"event", b"id"))
    return SseEvent(kind, number, b"\n".join(fields.get(b"data", [])))
