"""The log records inside a Dagger session's events: OTLP as JSON, of which only what an exec printed is kept."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue

_SCOPE = "dagger.io/engine.buildkit"
_VERBOSE = "dagger.io/logs.verbose"
"""Marks records that repeat the results of calls, with marks of their end of their own."""


class LogRecord(NamedTuple):
    """A piece of what an exec printed. trace: hex, as sent with the query that started it; stream: 1 stdout, 2 stderr."""

    trace: str
    span: str
    stream: int
    text: str
    eof: bool


def log_records(data: bytes) -> Iterator[LogRecord]:
    """Yield what execs printed; anything else in the event, or an event that is no JSON, gives nothing."""
    try:
        event: JsonValue = json.loads(data)
    except ValueError:
        return
    for resource in _mappings(_field(event, "resourceLogs")):
        for scope in _mappings(resource.get("scopeLogs")):
            if _field(scope.get("scope"), "name") == _SCOPE:
                yield from (record for entry in _mappings(scope.get("logRecords")) if (record := _record(entry)))


def _record(entry: Mapping[str, JsonValue]) -> LogRecord | None:
    attributes = {str(each.get("key")): each.get("value") for each in _mappings(entry.get("attributes"))}
    stream = str(_field(attributes.get("stdio.stream"), "intValue") or "")
    if stream not in ("1", "2") or _VERBOSE in attributes:
        return None
    text = _field(entry.get("body"), "stringValue")
    return LogRecord(
        trace=_hex(entry.get("traceId")),
        span=str(entry.get("spanId") or ""),
        stream=int(stream),
        text=text if isinstance(text, str) else "",
        eof="stdio.eof" in attributes,
    )


def _hex(value: JsonValue) -> str:
    try:
        return base64.b64decode(str(value), validate=True).hex()
    except (ValueError, binascii.Error):
        return ""


def _field(value: JsonValue, name: str) -> JsonValue:
    return value.get(name) if isinstance(value, dict) else None


def _mappings(value: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()
