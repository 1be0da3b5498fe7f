"""Reads JSON Lines into nodes: one task a line."""

import json
import re
from collections.abc import Iterable

from ccterm.tasks_file.nodes import MAX_NODES, MAX_TASKS, Fault, Mark, Node, Pair

MAX_LINE = 2_000_000
MAX_KEYS = 100
_REMEDY = 'each line is one task: an object such as {"prompt": "…", "branch": "…"}'
_LINE = re.compile(r"[^\n]*[^\s][^\n]*")


def looks_like_json_lines(text: str) -> bool:
    """Whether the first line that holds anything is a whole JSON object."""
    first = _LINE.search(text)
    try:
        return bool(first) and len(first[0]) <= MAX_LINE and first[0].lstrip().startswith("{") and isinstance(json.loads(first[0]), dict)
    except (ValueError, RecursionError):
        return False


def read_json_lines(text: str) -> Node:
    """Return the tasks as a list. Raises Fault."""
    tasks: list[Node] = []
    number, counted = 1, 0
    for match in _LINE.finditer(text):
        number += text.count("\n", counted, match.start())
        counted = match.start()
        tasks.append(_line(match[0], number))
        if len(tasks) > MAX_TASKS:
            break  # one too many is enough to be told
    return Node(Mark(1, 1), tasks)


def _line(line: str, number: int) -> Node:
    start = Mark(number, len(line) - len(line.lstrip()) + 1)
    if len(line) > MAX_LINE:
        raise Fault(start, f"a line of more than {MAX_LINE:,} characters", "put the long part into a file of the repository")

    def pairs(items: Iterable[tuple[str, object]]) -> object:
        found: dict[str, object] = {}
        for key, value in items:
            if key in found:
                raise Fault(
                    _find(line, key, number, last=True), f'the key "{key[:40]}" stands here for the second time', "keep one of them"
                )
            found[key] = value
        return found

    def constant(word: str) -> object:
        raise Fault(start, f"{word} is no JSON", "give a number")

    try:
        value: object = json.loads(line, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise Fault(Mark(number, error.colno), error.msg[:1].lower() + error.msg[1:], _REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise Fault(start, "nested too deeply, or a number with too many digits", _REMEDY) from error
    if not isinstance(value, dict):
        raise Fault(start, "this line is no object", _REMEDY)
    if len(value) > MAX_KEYS or any(isinstance(item, list | dict) and len(item) > MAX_NODES for item in value.values()):
        raise Fault(start, "an object with too many values", _REMEDY)
    return Node(start, {key: Pair(_find(line, key, number), _node(item, start)) for key, item in value.items()})


def _find(line: str, key: str, number: int, *, last: bool = False) -> Mark:
    places = [match.start() + 1 for match in re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", line)]
    return Mark(number, (places[-1] if last else places[0]) if places else 1)


def _node(value: object, mark: Mark) -> Node:
    if isinstance(value, list):
        return Node(mark, [_node(item, mark) for item in value])
    if isinstance(value, dict):
        return Node(mark, {str(key): Pair(mark, _node(item, mark)) for key, item in value.items()})
    return Node(mark, value if isinstance(value, str | int | float | bool) else None)
