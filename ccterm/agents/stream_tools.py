"""What a person sees of a tool call: one line of summary, and its input and answer within bounds."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from pydantic import JsonValue

from ccterm.agents.json_values import JsonObject, items, mapping, string

LINE = 200
"""Longest summary, in characters."""
STRING = 8_000
"""Longest string of an input that is kept, in characters."""
INPUT = 48_000
"""How many characters of an input are kept in total; the rest is in agent.ndjson."""
DEPTH = 8
ITEMS = 50

_SUMMARY_FIELDS = {
    "Bash": ("command",),
    "BashOutput": ("bash_id",),
    "Task": ("description", "prompt"),
    "Agent": ("description", "prompt"),
    "Glob": ("pattern",),
    "WebFetch": ("url",),
    "WebSearch": ("query",),
    "ToolSearch": ("query",),
    "Skill": ("skill", "command"),
    "SendMessage": ("summary", "message"),
}
"""Tool -> the fields that describe a call best, in order; a tool that is not listed shows its first string."""


def summary(name: str, given: JsonObject, cwd: str = "") -> str:
    """Return one line that says what a call does, without the tool's name; paths are relative to `cwd`."""
    match name:
        case "Read" | "NotebookRead":
            line = _path(given, cwd)
        case "Write":
            line = f"{_path(given, cwd)} +{_lines(given.get('content'))}"
        case "Edit":
            line = f"{_path(given, cwd)} {_delta([dict(given)])}"
        case "MultiEdit":
            line = f"{_path(given, cwd)} {_delta(items(given.get('edits')))}"
        case "NotebookEdit":
            line = f"{_path(given, cwd)} +{_lines(given.get('new_source'))}"
        case "Grep":
            line = " in ".join(filter(None, (string(given.get("pattern")), _relative(string(given.get("path")), cwd))))
        case "TodoWrite":
            line = _todos(items(given.get("todos")))
        case _:
            line = _first(given, _SUMMARY_FIELDS.get(name, ()))
    return one_line(line)


def one_line(text: str, cap: int = LINE) -> str:
    """Return text on one line of at most `cap` characters."""
    flat = " ".join(text[: cap * 8].split())
    return flat if len(flat) <= cap else flat[: cap - 1] + "…"


def _path(given: JsonObject, cwd: str) -> str:
    return _relative(string(given.get("file_path")) or string(given.get("notebook_path")), cwd)


def _relative(path: str, cwd: str) -> str:
    try:
        return str(PurePosixPath(path).relative_to(cwd)) if cwd and path else path
    except ValueError:
        return path


def _lines(value: JsonValue) -> int:
    text = string(value)
    return text.count("\n") + (not text.endswith("\n")) if text else 0


def _delta(edits: Sequence[JsonValue]) -> str:
    added = sum(_lines(mapping(edit).get("new_string")) for edit in edits)
    removed = sum(_lines(mapping(edit).get("old_string")) for edit in edits)
    return f"+{added} -{removed}"


def _todos(todos: Sequence[JsonValue]) -> str:
    done = sum(mapping(todo).get("status") == "completed" for todo in todos)
    current = next((string(mapping(todo).get("content")) for todo in todos if mapping(todo).get("status") == "in_progress"), "")
    return f"{done}/{len(todos)} {current}"


def _first(given: JsonObject, fields: Sequence[str]) -> str:
    named = (string(given.get(key)) for key in fields)
    return next(filter(str.strip, (*named, *(string(value) for value in given.values()))), "")


def bounded(given: JsonObject) -> dict[str, JsonValue]:
    """Return a tool's input small enough for an event."""
    kept = _Bound(INPUT).value(dict(given), DEPTH)
    return kept if isinstance(kept, dict) else {}


class _Bound:
    """Copies JSON until its budget of characters is spent."""

    def __init__(self, budget: int) -> None:
        self._left = budget

    def value(self, value: JsonValue, depth: int) -> JsonValue:
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, dict):
            pairs = list(value.items())[:ITEMS] if depth else []
            return {self._string(key): self.value(each, depth - 1) for key, each in pairs if self._left > 0}
        if isinstance(value, list):
            return [self.value(each, depth - 1) for each in (value[:ITEMS] if depth else []) if self._left > 0]
        if isinstance(value, int) and abs(value) > 2**63:
            return str(value.bit_length()) + "-bit number"
        return value

    def _string(self, text: str) -> str:
        room = max(min(STRING, self._left), 0)
        self._left -= min(len(text), room) + 8
        return string(text[:room]) + (f"… ({len(text) - room} more)" if len(text) > room else "")


def answer(content: JsonValue, structured: JsonValue = None) -> str:
    """Return a tool's answer as text. content: a string, a list of blocks, or missing; structured: the CLI's own form of it."""
    if isinstance(content, list):
        return "\n".join(filter(None, map(_block, content)))
    return string(content) or string(structured)


def _block(block: JsonValue) -> str:
    if isinstance(block, str):
        return string(block)
    fields = mapping(block)
    return string(fields.get("text")) or f"[{string(fields.get('type'), 'something')}]"
