"""From the bytes of a batch file to drafts: size and encoding first, then YAML or JSON Lines, then each task by itself."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ccterm.draft import BatchFile, Draft
from ccterm.errors import TaskFileError
from ccterm.git.bounded_json import NotJson, OutOfBounds, read_json
from ccterm.problems import nearest, problem, quoted
from ccterm.settings import digest_of
from ccterm.task_fields import FIELD_OF
from ccterm.tasks_file.json_lines import looks_like_json_lines, read_json_lines
from ccterm.tasks_file.nodes import MAX_TASKS, FilePosition, Pair, ParseError, TaskNode, plain, position_of

MAX_BYTES = 16 * 1024 * 1024
"""Key of a task in a file -> the field of a draft."""
_START = FilePosition(1, 1)
_LIST = "write tasks as a list: - task: …"
_STRANGE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class TaskFile(NamedTuple):
    """The tasks of a batch file, and which file they are from."""

    drafts: list[Draft]
    source: BatchFile


def read_tasks(path: Path) -> TaskFile:
    """Read a batch file. Raises TaskFileError."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size  # a pipe has 0
            data = b"" if size > MAX_BYTES else file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TaskFileError(f"{path} cannot be read: {error.strerror}", "name a file of tasks, YAML or JSON Lines") from error
    if max(size, len(data)) > MAX_BYTES:
        raise TaskFileError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB", "split it")
    return TaskFile(parse_tasks(data, str(path)), BatchFile(path=os.path.realpath(path), digest=digest_of(data)))


def parse_tasks(data: bytes, name: str) -> list[Draft]:
    """Return the tasks in the content of a batch file. name: for messages. Raises TaskFileError."""
    try:
        text = _decoded(data)
        lines = name.endswith((".jsonl", ".ndjson")) or looks_like_json_lines(text)
        return _entries(read_json_lines(text) if lines else _read_yaml_or_json(text))
    except ParseError as error:
        where = f"{name}, line {error.position.line}, column {error.position.column}"
        raise TaskFileError(f"{where}: {error.text}", error.fix, line=error.position.line, column=error.position.column) from error


def _read_yaml_or_json(text: str) -> TaskNode:
    """Return what a text holds. What was meant as JSON is told of as such: every JSON text is YAML, too, but who writes one indents nothing."""
    from ccterm.tasks_file.yaml_nodes import read_yaml  # deferred: `ccterm run` needs no YAML

    try:
        return read_yaml(text)
    except ParseError:
        if text.lstrip()[:1] in ("[", "{"):
            try:
                with suppress(OutOfBounds):
                    read_json(text)
            except NotJson as error:
                fix = 'write {"tasks": [{"task": "…", "branch": "…"}]}'
                raise ParseError(FilePosition(error.line, error.column), error.what, fix) from error
        raise


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ParseError(_START, "this is UTF-16", "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParseError(
            FilePosition(line, error.start - data.rfind(b"\n", 0, error.start)), "bytes that are not UTF-8", "save it as UTF-8"
        ) from error
    if strange := _STRANGE.search(text):
        at = strange.start()
        position = FilePosition(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        raise ParseError(position, f"a control character (U+{ord(strange[0]):04X})", "remove it")
    return text


def _entries(root: TaskNode) -> list[Draft]:
    defaults, tasks = _parts(root)
    if not tasks:
        raise ParseError(root.position, "the file contains no tasks", "add a list of them: - task: …")
    if len(tasks) > MAX_TASKS:
        raise ParseError(tasks[MAX_TASKS].position, f"more than {MAX_TASKS:,} tasks", "split the file")
    return [_entry(node, defaults) for node in tasks]


def _parts(root: TaskNode) -> tuple[Mapping[str, Pair], Sequence[TaskNode]]:
    """Return defaults and tasks, for either of the two shapes that a file may have."""
    if not isinstance(root.value, Mapping):
        return {}, _listed(root)
    top = root.value
    for key, pair in top.items():
        if key not in ("defaults", "tasks"):
            of_task = key in FIELD_OF and key != "task"  # that one is rather a misspelt `tasks`
            fix = "begin the task with - " if of_task else nearest(key, ("defaults", "tasks"))
            raise ParseError(pair.key, f"unknown key {quoted(key)} at the top", fix)
    if "tasks" not in top:
        raise ParseError(root.position, "the file contains no tasks", "add tasks: with a list of them")
    defaults = top["defaults"].node if "defaults" in top else None
    if defaults is None or defaults.value is None:
        return {}, _listed(top["tasks"].node)
    if not isinstance(defaults.value, Mapping):
        raise ParseError(defaults.position, "defaults is not a mapping", "write key: value below it")
    if task := next((pair for key, pair in defaults.value.items() if FIELD_OF.get(key) == "task"), None):
        raise ParseError(task.key, "a task among the defaults", "every task has its own")
    return defaults.value, _listed(top["tasks"].node)


def _listed(node: TaskNode) -> Sequence[TaskNode]:
    if node.value is None:
        return ()
    if not isinstance(node.value, Sequence) or isinstance(node.value, str):
        raise ParseError(node.position, "the tasks are not a list", _LIST)
    return node.value


def _entry(node: TaskNode, defaults: Mapping[str, Pair]) -> Draft:
    if not isinstance(node.value, Mapping):
        raise ParseError(node.position, "a task without keys", "write at least - task: …")
    own = {FIELD_OF.get(key, key) for key in node.value}
    pairs = {**{key: pair for key, pair in defaults.items() if FIELD_OF.get(key, key) not in own}, **node.value}
    given = {key: plain(pair.node) for key, pair in pairs.items() if pair.node.value is not None or key not in FIELD_OF}
    try:
        return Draft.model_validate(given)
    except ValidationError as error:
        found = problem(error, Draft)
        raise ParseError(position_of(pairs, found.at, node.position), found.text, found.fix) from error
