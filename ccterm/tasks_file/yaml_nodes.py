"""Reads YAML into nodes from its event stream: texts stay texts, and the size of a hostile file is counted before anything is built."""

from collections.abc import Iterator
from typing import Protocol

import yaml

from ccterm.problems import quoted
from ccterm.tasks_file.nodes import MAX_DEPTH, MAX_NODES, FilePosition, Pair, ParseError, TaskNode

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the slow one where PyYAML was built without libyaml
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS = {
    "tab": ("a tab in the indentation", "indent with spaces"),
    "mapping values": ("a colon where none is allowed", "put the text in quotes, or write it below a |"),
    "cannot start": ("a text starts with a character that has a meaning in YAML", "put the text in quotes"),
    "end of stream": ("a quote or a bracket is not closed", "close it"),
    "expected": ("the indentation or a bracket does not match", "align the keys of a task, and close what was opened"),
    "undefined alias": ("an alias refers to nothing above it", "write the value out"),
}


class _YamlMark(Protocol):
    line: int
    column: int


def _position(position: _YamlMark | None) -> FilePosition:
    return FilePosition(position.line + 1, position.column + 1) if position else FilePosition(1, 1)


def read_yaml(text: str) -> TaskNode:
    """Return the only document of a YAML text. Raises ParseError."""
    try:
        return _Composer(yaml.parse(text, Loader=_Loader)).document()
    except yaml.MarkedYAMLError as error:
        raise _explained(error) from error
    except yaml.YAMLError as error:
        raise ParseError(FilePosition(1, 1), "this is not YAML", "write tasks as a list: - task: …") from error


def _explained(error: yaml.MarkedYAMLError) -> ParseError:
    problem = error.problem or "this is not YAML"
    text, fix = next((words for key, words in _WORDS.items() if key in problem), (problem, "check the quotes and the indentation"))
    return ParseError(_position(error.problem_mark or error.context_mark), text, fix)


class _Composer:
    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, TaskNode] = {}
        self._count = 0

    def document(self) -> TaskNode:
        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise ParseError(FilePosition(1, 1), "the file contains no tasks", "add a list of them: - task: …")
        node = self._node(event, 0)
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise ParseError(_position(after.start_mark), "a second document starts", "keep one list of tasks, without ---")
        return node

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _node(self, event: yaml.Event, depth: int) -> TaskNode:
        position = _position(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", position)
        self._grow(1, position)
        if depth > MAX_DEPTH:
            raise ParseError(position, "nested too deeply", "a task is a flat list of keys")
        if isinstance(event, yaml.ScalarEvent):
            node = TaskNode(position, _scalar(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(position, depth)
        else:
            node = self._mapping(position, depth)
        if not isinstance(event, yaml.NodeEvent):
            raise ParseError(position, "this is not YAML", "write tasks as a list: - task: …")
        _refuse_tag(event, position)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _grow(self, size: int, position: FilePosition) -> None:
        self._count += size
        if self._count > MAX_NODES:
            raise ParseError(position, f"more than {MAX_NODES:,} values", "split the file, and use fewer aliases")

    def _alias(self, name: str, position: FilePosition) -> TaskNode:
        if name not in self._anchors:
            raise ParseError(position, f"the alias {quoted(name)} refers to nothing above it", "write the value out")
        node = self._anchors[name]
        self._grow(node.size, position)
        return TaskNode(position, node.value, node.size)

    def _sequence(self, position: FilePosition, depth: int) -> TaskNode:
        items = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return TaskNode(position, items, 1 + sum(item.size for item in items))

    def _mapping(self, position: FilePosition, depth: int) -> TaskNode:
        pairs: dict[str, Pair] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key, at = _key(event), _position(event.start_mark)
            if key in pairs:
                raise ParseError(at, f"the key {quoted(key)} is given twice (first in line {pairs[key].key.line})", "keep one of them")
            pairs[key] = Pair(at, self._node(self._next(), depth + 1))
        return TaskNode(position, pairs, 1 + sum(pair.node.size for pair in pairs.values()))


def _key(event: yaml.Event) -> str:
    position = _position(event.start_mark)
    if not isinstance(event, yaml.ScalarEvent):
        raise ParseError(position, "a key that is not a plain word", "write it as key: value")
    if event.value == "<<":
        raise ParseError(position, "<< is not supported", "put what the tasks share under defaults:")
    _refuse_tag(event, position)
    return str(event.value)


def _scalar(event: yaml.ScalarEvent) -> str | None:
    text = str(event.value)
    unquoted = not event.style or event.style not in "'\"|>"
    return None if unquoted and text in _NULL else text


def _refuse_tag(event: yaml.NodeEvent, position: FilePosition) -> None:
    tag = getattr(event, "tag", None)
    if tag and tag not in ("!", "tag:yaml.org,2002:str"):
        raise ParseError(position, "tags are not supported", "write the plain value, in quotes if need be")
