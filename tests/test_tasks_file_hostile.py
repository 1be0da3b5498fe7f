"""Batch files of strangers: none takes unbounded memory or time, and none is more than one clear error."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.errors import TaskFileError
from ccterm.tasks_file import MAX_BYTES, read_tasks
from tests.test_tasks_file import entries, fault

HOSTILE = {
    "flow_sequences": "b'[' * MIB",
    "flow_mappings": "b'{' * MIB",
    "dashes": "b'- ' * (8 * MIB)",
    "block_nesting": "b''.join(b' ' * depth + b'-\\n' for depth in range(4000))",
    "complex_keys": "b'? ' * (8 * MIB)",
    "scalars": "b'- a\\n' * (4 * MIB)",
    "tasks": "b'- prompt: x\\n' * MIB",
    "keys": "b''.join(b'k%d: 1\\n' % number for number in range(MIB))",
    "flow_keys": "b'{' + b''.join(b'k%d: 1, ' % number for number in range(MIB))",
    "anchors": "b''.join(b'- &a%d x\\n' % number for number in range(MIB))",
    "aliases": "b'- &a x\\n' + b'- *a\\n' * (3 * MIB)",
    "laughs": "b'- &a [x, x, x, x, x, x, x, x, x]\\n' + b''.join(b'- &%c [%s]\\n' % (98 + n, b', '.join([b'*%c' % (97 + n)] * 9)) for n in range(20))",
    "keyed_laughs": "b'a: &a {x: 1, y: 2}\\n' + b''.join(b'%c: &%c {x: *%c, y: *%c, z: *%c}\\n' % (98 + n, 98 + n, 97 + n, 97 + n, 97 + n) for n in range(24))",
    "one_word": "b'a' * (16 * MIB)",
    "words": "b'a ' * (8 * MIB)",
    "open_quote": "b'\"' + b'a\\n' * (8 * MIB - 1)",
    "quotes": "b\"'\" * (16 * MIB)",
    "escapes": "b'\"' + b'\\\\x41' * (4 * MIB - 1)",
    "comments": "b'#\\n' * (8 * MIB)",
    "lines": "b'\\n' * (16 * MIB)",
    "spaces": "b' ' * (16 * MIB)",
    "tabs": "b'\\t' * (16 * MIB)",
    "returns": "b'\\r' * (16 * MIB)",
    "colons": "b':' * (16 * MIB)",
    "commas": "b'[' + b',' * (16 * MIB - 1)",
    "tags": "b'!' * (16 * MIB)",
    "stars": "b'*' * (16 * MIB)",
    "documents": "b'---\\n' * (4 * MIB)",
    "directives": "b'%YAML 1.1\\n' * 1000000",
    "block_text": "b'- prompt: |\\n' + b'   x\\n' * (3 * MIB) + b'- x: 1\\n'",
    "folded_text": "b'- prompt: >\\n' + b'   x\\n\\n' * (2 * MIB) + b'- x: 1\\n'",
    "separators": "chr(0x2028).encode() * (5 * MIB)",
    "emoji": "chr(0x1F600).encode() * (4 * MIB)",
    "json_lines": "b'{\"prompt\":\"x\"}\\n' * MIB",
    "json_empty": "b'{}\\n' * (5 * MIB)",
    "json_nesting": "b'{\"prompt\":\"x\"}\\n' + b'{\"a\":' * 400000",
    "json_lists": "b'{\"prompt\":\"x\"}\\n' + b'[' * 1999999",
    "json_items": "b'{\"prompt\":\"x\"}\\n{\"agent_args\":[' + b'1,' * 990000 + b'1]}'",
    "json_keys": "b'{\"prompt\":\"x\"}\\n{' + b''.join(b'\"k%d\":1,' % n for n in range(160000)) + b'\"z\":1}'",
    "json_same_keys": "b'{\"prompt\":\"x\"}\\n{' + b'\"a\":1,' * 300000 + b'\"a\":1}'",
    "json_digits": "b'{\"prompt\":\"x\"}\\n{\"budget\":' + b'9' * 1900000 + b'}'",
    "json_wide": "(b'{\"prompt\":\"x\"}\\n' + (b'{' + b''.join(b'\"k%d\":1,' % n for n in range(39)) + b'\"prompt\":\"' + b'x' * 900000 + b'\"}\\n') * 17)[:16 * MIB]",
}  # fmt: skip

PROBE = """
import re, sys, time
from pathlib import Path
from ccterm.errors import TaskFileError
from ccterm.tasks_file import read_tasks
before = time.process_time()
try:
    read_tasks(Path(sys.argv[1]))
    said = ""
except TaskFileError as error:
    said = str(error)
status = Path("/proc/self/status")
peak = int(re.search("VmHWM:[^0-9]*([0-9]+)", status.read_text())[1]) if status.exists() else 0
print(time.process_time() - before, peak // 1024, said)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_clear_error(name: str) -> None:
    assert fault(hostile(name, 1024**2 // 64), "x").fix


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.txt"
    path.write_bytes(hostile(name, 1024**2))
    done = subprocess.run([sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, timeout=120, check=True)
    seconds, peak, said = done.stdout.rstrip("\n").split(" ", 2)
    assert said.startswith(str(path))
    assert float(seconds) < 5  # of processor time: a net against quadratic work on a busy machine, not a measure of speed
    assert int(peak) < 200  # MiB; measured on Linux alone


def hostile(name: str, mib: int) -> bytes:
    data = eval(HOSTILE[name], {"MIB": mib})  # built here because such contents are too large for the id of a test
    assert isinstance(data, bytes)
    return data


def test_a_file_of_a_gibibyte_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "tasks.yaml"
    with path.open("wb") as file:
        file.truncate(1024**3)
    with pytest.raises(TaskFileError, match="larger than 16 MiB"):
        read_tasks(path)


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(TaskFileError, match="larger than 16 MiB"):
        read_tasks(Path("/dev/zero"))
    assert MAX_BYTES == 16 * 1024 * 1024


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_an_unreadable_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(TaskFileError, match="cannot be read"):
        read_tasks(tmp_path / name)


def test_tasks_may_come_from_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"- prompt: a\n",))
    writer.start()
    assert [entry.task for entry in read_tasks(pipe).drafts] == ["a"]
    writer.join(10)


pieces = st.sampled_from(
    [*"-:?[]{},&*!|>'\"%@`#~ \n\t\r", "prompt", "- ", ": ", "\n  ", "a", "1", "tasks", "defaults", "{}", "<<", "---\n", "null", "\\u0041"]
)


@given(st.binary(max_size=60) | st.lists(pieces, max_size=24).map("".join).map(str.encode) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_tasks_or_a_task_file_error(data: bytes) -> None:
    for name in ("tasks.yaml", "tasks.jsonl"):
        try:
            found = entries(data, name)
        except TaskFileError:
            continue
        assert all(entry.task.strip() for entry in found)
