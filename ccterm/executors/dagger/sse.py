"""Server-sent events, as a Dagger session sends its log records: events of any size, split without quadratic cost."""

from collections.abc import Iterator
from typing import NamedTuple


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


def _event(block: bytes) -> SseEvent:
    fields: dict[bytes, list[bytes]] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")  # `data` of "subscribed" comes without a colon
        fields.setdefault(name.strip(), []).append(value.removeprefix(b" "))
    kind, number = (b"".join(fields.get(key, [])).decode("utf-8", "replace") for key in (b"event", b"id"))
    return SseEvent(kind, number, b"\n".join(fields.get(b"data", [])))
