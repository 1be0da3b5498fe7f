"""Parses JSON that others wrote: an agent, a repository, another process. Its values and its depth are counted before anything is parsed.

A megabyte of `[]` is half a million Python objects, so a bound on the length of a text bounds neither memory nor time. Standard library only.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

VALUES = 100_000
"""Most values of one document, keys of objects not counted."""
MANY = 4_000_000
"""Most values where a document lists paths: a tree may hold hundreds of thousands that changed."""
DEPTH = 400
"""Deepest nesting of one document; Python's own parser takes less than a thousand."""
_TOKENS = 4
"""Most tokens for each value of what is JSON: its mark, a key, a string, the end of what it is in."""


class OutOfBounds(ValueError):
    """A document holds more values, or is nested more deeply, than is parsed."""


def read_json(
    document: str | bytes,
    *,
    values: int = VALUES,
    depth: int = DEPTH,
    number: Callable[[str], Any] | None = None,
    constant: Callable[[str], Any] | None = None,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:  # noqa: ANN401 - JSON
    """Return what a document in UTF-8 stands for. Raises ValueError: OutOfBounds, JSONDecodeError, or for an absurdly long number.

    number, constant, pairs: see parse_float, parse_constant and object_pairs_hook of the standard library.
    """
    text = require_bounded(document, values=values, depth=depth)
    try:
        return json.loads(text, parse_float=number, parse_constant=constant, object_pairs_hook=pairs)
    except RecursionError as error:  # the caller's own stack was deep already
        raise OutOfBounds("JSON that is nested too deeply") from error


def require_bounded(document: str | bytes, *, values: int = VALUES, depth: int = DEPTH) -> str:
    """Return a document in UTF-8 as text, for a parser of its own. Raises OutOfBounds, and ValueError when it is not UTF-8.

    What is no JSON passes: a parser refuses it before it has made more values than were counted.
    """
    text = document if isinstance(document, str) else document.decode("utf-8", "surrogatepass")  # never UTF-16, whose quotes are others
    if len(text) > values or text.count("[") + text.count("{") > depth:  # else it cannot hold so much; most texts are short
        _count(text, values, depth)
    return text


def _count(text: str, values: int, depth: int) -> None:
    """Count mark by mark, each string being one token. Stops where a bound is passed, so that the time is bounded, too."""
    marks = at = 0
    plain = text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text  # now every quote begins or ends a string
    for number, token in enumerate(_tokens().finditer(plain)):
        mark = token[0]
        if mark in "[{,":
            marks += 1
            at += mark != ","
        elif mark in "]}":
            at -= 1
        if marks >= values or number > _TOKENS * values:
            raise OutOfBounds(f"more than {values:,} values of JSON")
        if at > depth:
            raise OutOfBounds(f"JSON that is nested more than {depth} deep")


@cache
def _tokens() -> "re.Pattern[str]":
    """Return what matches the next string or mark; a string without an end reaches to the end."""
    return re.compile(r'"[^"]*(?:"|\Z)|[\[\]{},]')
