"""What a batch file holds, with the place of everything, and the fault that points at a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

MAX_NODES = 50_000
"""How many values a file may hold once its aliases are written out."""
MAX_DEPTH = 8
MAX_TASKS = 2_000


class FilePosition(NamedTuple):
    """A place in a file; both count from 1."""

    line: int
    column: int


class FileFault(Exception):
    """Something in a batch file is wrong; `read` turns it into a TaskFileError that knows the file."""

    def __init__(self, mark: FilePosition, text: str, fix: str) -> None:
        super().__init__(text)
        self.mark = mark
        self.text = text
        self.fix = fix


@dataclass(frozen=True)
class TaskNode:
    """One value and where it begins. size: how many values it is with all that is in it, aliases written out."""

    mark: FilePosition
    value: "Content"
    size: int = 1


class Pair(NamedTuple):
    """A value under a key, and where the key is."""

    key: FilePosition
    node: TaskNode


Content: TypeAlias = str | int | float | bool | Sequence[TaskNode] | Mapping[str, Pair] | None


def plain(node: TaskNode) -> object:
    """Return a value without its places."""
    value = node.value
    if isinstance(value, Mapping):
        return {key: plain(pair.node) for key, pair in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def place(pairs: Mapping[str, Pair], at: Sequence[str | int], otherwise: FilePosition) -> FilePosition:
    """Return where the innermost of some keys is that can be found."""
    mark, here = otherwise, TaskNode(otherwise, pairs)
    for part in at:
        value = here.value
        if isinstance(value, Mapping) and part in value:
            mark, here = value[str(part)]
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int) and part < len(value):
            here = value[part]
            mark = here.mark
        else:
            break
    return mark
