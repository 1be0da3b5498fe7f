"""From frames to lines, and from lines to JSON: joins the parts of over-long lines and refuses what would cost too much."""

import math
from dataclasses import dataclass

from pydantic import JsonValue

from ccterm.event_lines import TEXT_CAP
from ccterm.git.bounded_json import read_json

JSON_CAP = 64 * 1024 * 1024
"""Longest line that is parsed as JSON, in characters; a longer one is skipped."""


@dataclass(frozen=True)
class OutputLine:
    """One line of output. dropped: how many of its characters were discarded because it was too long."""

    text: str
    dropped: int = 0


class LineBuffer:
    """Joins the parts of one stream's lines in linear time, and holds no more of a line than will be used."""

    def __init__(self, *, json_lines: bool) -> None:
        self._json_lines = json_lines
        self._parts: list[str] = []
        self._held = 0
        self._dropped = 0
        self._cap = 0

    def add(self, text: str, *, part: bool) -> OutputLine | None:
        """Take one frame's text; return the line if this was its last part."""
        if not self._parts and not self._dropped:
            if not part:
                return OutputLine(text)
            self._cap = JSON_CAP if self._json_lines and looks_like_object(text) else TEXT_CAP
        self._keep(text)
        return None if part else self.rest()

    def rest(self) -> OutputLine | None:
        """Return what has arrived of a line that never ended, or None."""
        if not self._parts and not self._dropped:
            return None
        line = OutputLine("".join(self._parts), self._dropped)
        self._parts, self._held, self._dropped = [], 0, 0
        return line

    def _keep(self, text: str) -> None:
        taken = text[: max(self._cap - self._held, 0)]
        if taken:
            self._parts.append(taken)
        self._held += len(taken)
        self._dropped += len(text) - len(taken)
        if self._dropped and self._cap == JSON_CAP:  # half an object is useless
            self._dropped += self._held
            self._parts, self._held, self._cap = [], 0, 0


def looks_like_object(text: str) -> bool:
    """Whether a line begins like a JSON object."""
    return text[:64].lstrip()[:1] == "{"


def parse_object(text: str) -> dict[str, JsonValue] | None:
    """Return a line's JSON object, or None if it is not one, or holds more or is nested more deeply than is parsed."""
    if not looks_like_object(text):
        return None
    try:
        value: JsonValue = read_json(text, number=_finite, constant=_finite)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _finite(number: str) -> float | None:
    """Return a number, or None for NaN and infinity, which JSON does not have: what is written again must be JSON."""
    value = float(number)
    return value if math.isfinite(value) else None
