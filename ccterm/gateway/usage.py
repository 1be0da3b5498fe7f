"""Reads from answers what a request used, on a copy of the bytes; and from their headers what is left of a login's usage windows."""

import contextlib
from typing import Protocol

from ccterm.gateway.heads import Headers
from ccterm.gateway.orders import LimitWindow, LimitWindows, RunNumbers
from ccterm.git.bounded_json import read_json

_LINE_BYTES = 64 * 1024
"""Longest line of a stream that is looked at; those with usage are short, those with text need not be read."""
_WHOLE_BYTES = 8 * 1024 * 1024
_LARGEST = 1e11
"""Beyond any share of a window, and any moment that a calendar has, in seconds since the epoch."""
_UNIFIED = "anthropic-ratelimit-unified-"


class Counter(Protocol):
    """Adds up what one answer used."""

    live: bool
    """Whether the tokens are known before the answer's end."""

    def feed(self, data: bytes) -> None:
        """Take a piece of the body."""

    def tokens(self) -> RunNumbers:
        """Return the tokens that the answer has told of so far; its other numbers are 0."""


def counter(content_type: bytes) -> Counter:
    """Return what reads an answer of this type."""
    return _EventCounter() if content_type.startswith(b"text/event-stream") else _WholeCounter()


class _EventCounter:
    """Server-sent events: message_start and message_delta tell numbers that only grow."""

    live = True

    def __init__(self) -> None:
        self._line = bytearray()
        self._tokens = RunNumbers()

    def feed(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._add(line)
            if b'"usage"' in self._line and self._line.startswith(b"data:"):
                self._tokens = _larger(self._tokens, _used(bytes(self._line[5:])))
            self._line.clear()
        self._add(rest)

    def tokens(self) -> RunNumbers:
        return self._tokens

    def _add(self, part: bytes) -> None:
        self._line += part[: _LINE_BYTES - len(self._line)]


class _WholeCounter:
    """One JSON object."""

    live = False

    def __init__(self) -> None:
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        if len(self._body) < _WHOLE_BYTES:
            self._body += data

    def tokens(self) -> RunNumbers:
        return _used(bytes(self._body)) if len(self._body) < _WHOLE_BYTES else RunNumbers()


def _used(document: bytes) -> RunNumbers:
    """Return the tokens in an event's data or a whole answer."""
    with contextlib.suppress(ValueError):
        found = read_json(document)
        if isinstance(found, dict):
            inner = found.get("message")
            usage = found.get("usage") or (inner.get("usage") if isinstance(inner, dict) else None)
            if isinstance(usage, dict):
                numbers = {name: value for name, value in usage.items() if isinstance(value, int) and value > 0}
                cache = numbers.get("cache_read_input_tokens", 0) + numbers.get("cache_creation_input_tokens", 0)
                return RunNumbers(input=numbers.get("input_tokens", 0), output=numbers.get("output_tokens", 0), cache=cache)
    return RunNumbers()


def _larger(one: RunNumbers, other: RunNumbers) -> RunNumbers:
    return RunNumbers(*map(max, one, other))


def limit_windows(headers: Headers) -> LimitWindows | None:
    """Return what an answer's headers say of the login's usage windows, or None when they say nothing."""
    found = {
        text.removeprefix(_UNIFIED): value.decode("latin-1")
        for name, value in headers
        if (text := name.decode("latin-1").lower()).startswith(_UNIFIED)
    }
    if "status" not in found:
        return None
    names = [name.removesuffix("-utilization") for name in found if name.endswith("-utilization")]
    windows = {
        name: LimitWindow(found.get(f"{name}-status", ""), _number(found.get(f"{name}-utilization")), _number(found.get(f"{name}-reset")))
        for name in names
    }
    return LimitWindows(found["status"], found.get("representative-claim", ""), _number(found.get("reset")), windows)


def _number(text: str | None) -> float | None:
    """Return a share or a moment; None for what can be neither, such as inf."""
    with contextlib.suppress(ValueError):
        number = float(text or "nan")
        return number if 0 <= number < _LARGEST else None
    return None
