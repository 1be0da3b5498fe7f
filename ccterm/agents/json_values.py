"""Reads JSON that may have any shape: every reader returns its own type, whatever it is given."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

JsonObject = Mapping[str, JsonValue]
LARGEST = 2**53
_SURROGATES = re.compile("[\ud800-\udfff]")


def string(value: JsonValue, default: str = "") -> str:
    """Return a string without lone surrogates, which UTF-8 cannot encode; anything else is `default`."""
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


def count(value: JsonValue) -> int:
    """Return a number as a whole one, at least 0; anything else is 0."""
    return min(max(int(number(value) or 0), 0), LARGEST)


def mapping(value: JsonValue) -> JsonObject:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: JsonValue) -> Sequence[JsonValue]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else ()


def moment(value: JsonValue) -> datetime | None:
    """Return unix seconds as a time in UTC, or None for anything that is not a time in this century or the next few."""
    seconds = number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds < 1e10 else None
