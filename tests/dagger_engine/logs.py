"""The log stream of a session: output of execs as records, in batches that all execs share; each new reader gets it from the start."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

SUBSCRIBED = b"id: \nevent: subscribed\ndata\n\n"
PRINTED, REPEATED = "dagger.io/engine.buildkit", "dagger.io/core"
BATCH = 0.1
BROKEN_ID = b"fetch: invalid last ID: expected integer\n"


@dataclass(frozen=True)
class Record:
    """One piece of output. trace, span: in hex. stream: 1 or 2. A record with scope REPEATED repeats the result of a call."""

    trace: str
    span: str
    stream: int
    text: str = ""
    eof: bool = False
    scope: str = PRINTED
    nanoseconds: int = field(default_factory=time.time_ns)

    def document(self) -> dict[str, object]:
        """Return it in wire form."""
        marks: list[dict[str, object]] = [{"key": "stdio.stream", "value": {"intValue": str(self.stream)}}]
        if self.scope == REPEATED:
            marks.append({"key": "dagger.io/logs.verbose", "value": {"boolValue": True}})
        if self.eof:
            marks.append({"key": "stdio.eof", "value": {"boolValue": True}})
        return {
            "timeUnixNano": str(self.nanoseconds),
            "body": {"stringValue": self.text},
            "attributes": marks,
            "traceId": base64.b64encode(bytes.fromhex(self.trace)).decode(),
            "spanId": base64.b64encode(bytes.fromhex(self.span)).decode(),
        }


def event(records: Sequence[Record], number: int) -> bytes:
    """Return one event; its id is the number of its last record."""
    scopes = [
        {"scope": {"name": name}, "logRecords": [record.document() for record in group]}
        for name, group in groupby(records, key=lambda record: record.scope)
    ]
    named = [
        {"key": key, "value": {"stringValue": value}} for key, value in (("service.name", "dagger-engine"), ("service.version", "v0.21.8"))
    ]
    data = {"resourceLogs": [{"resource": {"attributes": named}, "scopeLogs": scopes}]}
    return f"id: {number}\nevent: logs\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class Logs:
    """All records of a session, in order. late: seconds that they come later."""

    def __init__(self, late: float = 0.0) -> None:
        self._pause = BATCH + late
        self._records: list[Record] = []
        self._sent = 0
        self._more = asyncio.Event()

    def add(self, *records: Record) -> None:
        """Add records to the next batch."""
        if len(self._records) == self._sent:
            asyncio.get_running_loop().call_later(self._pause, self._send)
        self._records.extend(records)

    def _send(self) -> None:
        self._sent = len(self._records)
        self._more.set()
        self._more = asyncio.Event()

    async def events(self, after: str) -> AsyncIterator[bytes]:
        """Yield the events for a reader that sends this last id. Only for an id that is not a number the stream ends."""
        yield SUBSCRIBED
        if after and not after.isdecimal():
            yield BROKEN_ID
            return
        known = int(after or 0)
        while True:
            if known < self._sent:
                begin, known = known, self._sent  # before the yield: more may be sent while a slow reader takes this
                yield event(self._records[begin:known], known)
            else:
                await self._more.wait()
