"""Parses the log records in a Dagger session's events (OTLP as JSON); only the output of execs is kept."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from ccterm.git.bounded_json import read_json

_SCOPE = "dagger.io/engine.buildkit"
_VERBOSE = "dagger.io/logs.verbose"
"""Attribute of records that repeat the results of calls; they have end marks of their own, which must not be counted."""


_VALUES = 1_000_000
"""Most values of one event, which is a batch of records."""


class LogRecord(NamedTuple):
    """A piece of an exec's output. trace: in hex, as sent with the query that started it. stream: 1 stdout, 2 stderr."""

    trace: str
    span: str
    stream: int
    text: str
    eof: bool


def log_records(data: bytes) -> Iterator[LogRecord]:
    """Yield the output of execs; everything else in an event, and an event that is not JSON, is skipped."""
    try:
        event: JsonValue = read_json(data, values=_VALUES)
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
