"""Reads JSON Lines into nodes: one task per line."""

import json
import re
from collections.abc import Iterable
from functools import partial

from ccterm.git.bounded_json import NotJson, OutOfBounds, read_json
from ccterm.problems import quoted
from ccterm.tasks_file.nodes import MAX_NODES, MAX_TASKS, FilePosition, Pair, ParseError, TaskNode

MAX_LINE = 2_000_000
MAX_KEYS = 40
_FIX = 'each line is one task: an object such as {"task": "…", "branch": "…"}'
_LINE = re.compile(r"\S[^\n]*")


def looks_like_json_lines(text: str) -> bool:
    """Whether the first line that is not blank is a complete JSON object, and not a whole file as YAML takes it, too."""
    first = _LINE.search(text)
    if not first or len(first[0]) > MAX_LINE or not first[0].startswith("{"):
        return False
    try:
        value = read_json(first[0])
    except ValueError:
        return False
    return isinstance(value, dict) and not isinstance(value.get("tasks"), list)


def read_json_lines(text: str) -> TaskNode:
    """Return the tasks as a list. Raises ParseError."""
    tasks: list[TaskNode] = []
    number, counted = 1, 0
    for match in _LINE.finditer(text):
        number += text.count("\n", counted, match.start())
        counted = match.start()
        tasks.append(_line(match[0], FilePosition(number, counted - text.rfind("\n", 0, counted))))
        if len(tasks) > MAX_TASKS:
            break  # one too many is enough for the error
    return TaskNode(FilePosition(1, 1), tasks)


def _line(line: str, start: FilePosition) -> TaskNode:
    if len(line) > MAX_LINE:
        raise ParseError(start, f"a line of more than {MAX_LINE:,} characters", "put the long part into a file of the repository")
    try:
        value: object = read_json(line, pairs=partial(_once, line, start), constant=partial(_no_constant, start))
    except NotJson as error:
        raise ParseError(FilePosition(start.line, start.column + error.column - 1), error.what, _FIX) from error
    except OutOfBounds as error:
        raise ParseError(start, str(error), _FIX) from error
    if not isinstance(value, dict):
        raise ParseError(start, "this line is not an object", _FIX)
    if len(value) > MAX_KEYS or any(isinstance(item, list | dict) and len(item) > MAX_NODES for item in value.values()):
        raise ParseError(start, "an object with too many values", _FIX)
    return TaskNode(start, {key: Pair(_find(line, key, start), _node(item, start)) for key, item in value.items()})


def _once(line: str, start: FilePosition, items: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in items:
        if key in found:
            raise ParseError(_find(line, key, start, last=True), f"the key {quoted(key)} is given twice", "keep one of them")
        found[key] = value
    return found


def _no_constant(start: FilePosition, word: str) -> object:
    raise ParseError(start, f"{word} is not JSON", "give a number")


def _find(line: str, key: str, start: FilePosition, *, last: bool = False) -> FilePosition:
    places = [match.start() for match in re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", line)]
    return FilePosition(start.line, start.column + places[-1 if last else 0]) if places else start


def _node(value: object, position: FilePosition, depth: int = 0) -> TaskNode:
    if isinstance(value, list | dict) and depth:
        raise ParseError(position, "nested too deeply", "a task is a flat object")
    if isinstance(value, list):
        return TaskNode(position, [_node(item, position, 1) for item in value])
    if isinstance(value, dict):
        return TaskNode(position, {str(key): Pair(position, _node(item, position, 1)) for key, item in value.items()})
    return TaskNode(position, value if isinstance(value, str | int | float | bool) else None)
