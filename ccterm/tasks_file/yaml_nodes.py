"""Reads YAML into nodes from its event stream: texts stay texts, and what a hostile file could grow into is counted before it is built."""

from collections.abc import Iterator
from typing import Protocol

import yaml

from ccterm.settings.problems import quoted
from ccterm.tasks_file.nodes import MAX_DEPTH, MAX_NODES, FileFault, FilePosition, Pair, TaskNode

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the slow one where PyYAML came without libyaml
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS = {
    "tab": ("a tab in the indentation", "indent with spaces"),
    "mapping values": ("a colon where none can be", "put the text in quotes, or write it below a |"),
    "cannot start": ("a text begins with a character that means something in YAML", "put the text in quotes"),
    "end of stream": ("a quote or a bracket is not closed", "close it"),
    "expected": ("the indentation or a bracket does not fit", "line up the keys of a task, and close what was opened"),
    "undefined alias": ("an alias names nothing above it", "write the value out"),
}


class _YamlMark(Protocol):
    line: int
    column: int


def _mark(mark: _YamlMark | None) -> FilePosition:
    return FilePosition(mark.line + 1, mark.column + 1) if mark else FilePosition(1, 1)


def read_yaml(text: str) -> TaskNode:
    """Return the one document of a YAML text. Raises FileFault."""
    try:
        return _Composer(yaml.parse(text, Loader=_Loader)).document()
    except yaml.MarkedYAMLError as error:
        raise _explained(error) from error
    except yaml.YAMLError as error:
        raise FileFault(FilePosition(1, 1), "this is no YAML", "write tasks as a list: - prompt: …") from error


def _explained(error: yaml.MarkedYAMLError) -> FileFault:
    problem = error.problem or "this is no YAML"
    text, fix = next((words for key, words in _WORDS.items() if key in problem), (problem, "check the quotes and the indentation"))
    return FileFault(_mark(error.problem_mark or error.context_mark), text, fix)


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
            raise FileFault(FilePosition(1, 1), "the file holds no tasks", "add a list of them: - prompt: …")
        node = self._node(event, 0)
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise FileFault(_mark(after.start_mark), "a second document begins", "keep one list of tasks, without ---")
        return node

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _node(self, event: yaml.Event, depth: int) -> TaskNode:
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", mark)
        self._grow(1, mark)
        if depth > MAX_DEPTH:
            raise FileFault(mark, "nested too deeply", "a task is a flat list of keys")
        if isinstance(event, yaml.ScalarEvent):
            node = TaskNode(mark, _scalar(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(mark, depth)
        else:
            node = self._mapping(mark, depth)
        if not isinstance(event, yaml.NodeEvent):
            raise FileFault(mark, "this is no YAML", "write tasks as a list: - prompt: …")
        _refuse_tag(event, mark)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _grow(self, size: int, mark: FilePosition) -> None:
        self._count += size
        if self._count > MAX_NODES:
            raise FileFault(mark, f"more than {MAX_NODES:,} values", "split the file, and use fewer aliases")

    def _alias(self, name: str, mark: FilePosition) -> TaskNode:
        if name not in self._anchors:
            raise FileFault(mark, f"the alias {quoted(name)} names nothing above it", "write the value out")
        node = self._anchors[name]
        self._grow(node.size, mark)
        return TaskNode(mark, node.value, node.size)

    def _sequence(self, mark: FilePosition, depth: int) -> TaskNode:
        items = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return TaskNode(mark, items, 1 + sum(item.size for item in items))

    def _mapping(self, mark: FilePosition, depth: int) -> TaskNode:
        pairs: dict[str, Pair] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key, at = _key(event), _mark(event.start_mark)
            if key in pairs:
                raise FileFault(
                    at, f"the key {quoted(key)} stands here for the second time (first in line {pairs[key].key.line})", "keep one of them"
                )
            pairs[key] = Pair(at, self._node(self._next(), depth + 1))
        return TaskNode(mark, pairs, 1 + sum(pair.node.size for pair in pairs.values()))


def _key(event: yaml.Event) -> str:
    mark = _mark(event.start_mark)
    if not isinstance(event, yaml.ScalarEvent):
        raise FileFault(mark, "a key that is no plain word", "write it as key: value")
    if event.value == "<<":
        raise FileFault(mark, "<< is not supported", "put what the tasks share under defaults:")
    _refuse_tag(event, mark)
    return str(event.value)


def _scalar(event: yaml.ScalarEvent) -> str | None:
    text = str(event.value)
    unquoted = not event.style or event.style not in "'\"|>"
    return None if unquoted and text in _NULL else text


def _refuse_tag(event: yaml.NodeEvent, mark: FilePosition) -> None:
    tag = getattr(event, "tag", None)
    if tag and tag not in ("!", "tag:yaml.org,2002:str"):
        raise FileFault(mark, "tags are not supported", "write the plain value, in quotes if need be")
