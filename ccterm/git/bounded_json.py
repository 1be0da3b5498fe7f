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


class NotJson(ValueError):
    """A text is not JSON. what: one clause about the place. line, column: that place, counted from 1, the column in characters."""

    def __init__(self, what: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {what}")
        self.what, self.line, self.column = what, line, column


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
    """Return what a document in UTF-8 stands for. Raises ValueError: OutOfBounds, NotJson, or what the caller's functions raise.

    number, constant, pairs: see parse_float, parse_constant and object_pairs_hook of the standard library.
    """
    text = require_bounded(document, values=values, depth=depth)
    try:
        return json.loads(text, parse_float=number, parse_constant=constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise _explained(error) from error
    except RecursionError as error:  # the caller's own stack was deep already
        raise OutOfBounds("JSON that is nested too deeply") from error
    except ValueError as error:
        if str(error).startswith("Exceeds the limit"):  # Python's, for the digits of a number
            raise OutOfBounds("a number of thousands of digits") from error
        raise


def require_bounded(document: str | bytes, *, values: int = VALUES, depth: int = DEPTH) -> str:
    """Return a document in UTF-8 as text, for a parser of its own. Raises OutOfBounds, and NotJson when it is not UTF-8.

    What is no JSON passes: a parser refuses it before it has made more values than were counted.
    """
    text = document if isinstance(document, str) else _decoded(document)
    if len(text) > values or text.count("[") + text.count("{") > depth:  # else it cannot hold so much; most texts are short
        _count(text, values, depth)
    return text


def _decoded(document: bytes) -> str:
    try:
        return document.decode("utf-8", "surrogatepass")  # never UTF-16, whose quotes are others
    except UnicodeDecodeError as error:
        before = document[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "surrogatepass")) + 1
        raise NotJson("bytes that are not UTF-8", line=before.count(b"\n") + 1, column=column) from error


def _explained(error: json.JSONDecodeError) -> NotJson:
    """Return what is wrong and what would be right, in place of Python's words, which name the steps of its parser."""
    text, at = error.doc, error.pos
    before = text[:at].rstrip()
    if before.endswith(",") and text[at : at + 1] in ("}", "]"):
        at = len(before) - 1  # where later versions of Python see it, too
    here = _token().match(text, at)
    found = "the end" if here is None else here[0] if here[0].isprintable() else f"U+{ord(here[0][0]):04X}"
    kind = "trailing comma" if found == "," and at != error.pos else error.msg
    what = next((ours.replace("FOUND", found) for words, ours in _WORDS.items() if words in kind), "this is not JSON")
    return NotJson(what, line=text.count("\n", 0, at) + 1, column=at - text.rfind("\n", 0, at))


_WORDS = {
    "trailing comma": "a comma before the end of an object or list; leave it out",
    "Expecting property name": "a key in double quotes is expected, not FOUND",
    "Expecting value": "a value is expected, not FOUND",
    "Expecting ':'": "a colon is expected after the key, not FOUND",
    "Expecting ','": "a comma or the closing bracket is expected, not FOUND",
    "Unterminated string": "the text that begins here has no closing quote",
    "Invalid control character": "a text holds a line break or another control character (FOUND); write it as \\n, \\t or \\u0000",
    "Invalid \\uXXXX escape": "\\u needs four hexadecimal digits after it",
    "Invalid \\escape": "a text holds a backslash alone; write it twice",
    "Extra data": "the value ends before FOUND; leave the rest out",
    "BOM": "it begins with a byte order mark; leave that out",
}
"""How Python calls an error -> what it is for whoever wrote the text."""


@cache
def _token() -> "re.Pattern[str]":
    """Return what matches the begin of a word, a quoted text, or one character."""
    return re.compile(r'"[^"\n\\]{0,20}"?|[\w.+-]{1,20}|(?s:.)')


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
