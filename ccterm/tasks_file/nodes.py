"""What a batch file contains, with the position of everything, and the error that points to a position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

MAX_NODES = 50_000
"""How many values a file may contain with its aliases expanded."""
MAX_DEPTH = 8
MAX_TASKS = 2_000


class FilePosition(NamedTuple):
    """A position in a file; both count from 1."""

    line: int
    column: int


class ParseError(Exception):
    """Something in a batch file is wrong; `read` turns it into a TaskFileError that names the file."""

    def __init__(self, position: FilePosition, text: str, fix: str) -> None:
        super().__init__(text)
        self.position = position
        self.text = text
        self.fix = fix


@dataclass(frozen=True)
class TaskNode:
    """One value and where it starts. size: how many values it contains, itself included, with aliases expanded."""

    position: FilePosition
    value: "Content"
    size: int = 1


class Pair(NamedTuple):
    """A value under a key, and the position of the key."""

    key: FilePosition
    node: TaskNode


Content: TypeAlias = str | int | float | bool | Sequence[TaskNode] | Mapping[str, Pair] | None


def plain(node: TaskNode) -> object:
    """Return a value without its positions."""
    value = node.value
    if isinstance(value, Mapping):
        return {key: plain(pair.node) for key, pair in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def position_of(pairs: Mapping[str, Pair], at: Sequence[str | int], otherwise: FilePosition) -> FilePosition:
    """Return the position of the innermost of some keys that exists."""
    position, here = otherwise, TaskNode(otherwise, pairs)
    for part in at:
        value = here.value
        if isinstance(value, Mapping) and part in value:
            position, here = value[str(part)]
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int) and part < len(value):
            here = value[part]
            position = here.position
        else:
            break
    return position
