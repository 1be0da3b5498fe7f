"""Reads JSON of which nothing may be taken for granted: every reader returns its own type, whatever it is given."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

LARGEST = 2**53
_SURROGATES = re.compile("[\ud800-\udfff]")


def string(value: JsonValue, default: str = "") -> str:
    """Return a string as it is, without lone surrogates, which no UTF-8 sink would take; anything else is `default`."""
    if not isinstance(value, str):
        return default
    return value if value.isascii() else _SURROGATES.sub("�", value)


def number(value: JsonValue) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) > LARGEST:
        return None
    return float(value) if math.isfinite(value) else None


def whole(value: JsonValue) -> int:
    """Return a number cut to a count, not below 0; anything else is 0."""
    return min(max(int(number(value) or 0), 0), LARGEST)


def mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: JsonValue) -> Sequence[JsonValue]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else ()


def moment(value: JsonValue) -> datetime | None:
    """Return unix seconds as a time in UTC, or None for what is no time of this or the next centuries."""
    seconds = number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds < 1e10 else None
