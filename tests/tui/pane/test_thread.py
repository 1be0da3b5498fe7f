"""The transcripts of a conversation as one: read across their ends, and only the last one grows."""

from pathlib import Path

import pytest

from ccterm.events import Said, to_line
from ccterm.models import ExecutionMode, Run, RunId, State, Task
from ccterm.tui.pane.source import FileStore, LineSource, MemoryStore
from ccterm.tui.pane.thread import ThreadStore, thread
from tests.tui.pane.conftest import AT


def test_bytes_are_read_across_the_ends(tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(b"one\ntwo\nhalf a li")
    last = MemoryStore(b"four\n")
    store = ThreadStore([FileStore(tmp_path / "first"), MemoryStore(b"three\n")], last)
    assert store.size() == 19
    for begin in range(20):
        assert store.read(100, begin) == b"one\ntwo\nthree\nfour\n"[begin:]
        assert store.read(3, begin) == b"one\ntwo\nthree\nfour\n"[begin : begin + 3]
    store.close()
    assert store.read(5, 2) == b"e\ntwo"


def test_only_the_last_one_grows() -> None:
    first, last = MemoryStore(b"one\n"), MemoryStore()
    source = LineSource(ThreadStore([first], last))
    assert source.poll()
    first.append(b"late\n")
    last.append(b"two\n")
    assert source.poll()
    assert [line.data for line in source.after(0)] == [b"one", b"two"]
    assert [(line.offset, line.data) for line in source.before(source.end)] == [(4, b"two"), (0, b"one")]
    assert source.epoch == 0


@pytest.mark.parametrize("there", [True, False], ids=["there", "gone"])
def test_a_line_between_them_tells_how_each_ended(tmp_path: Path, *, there: bool) -> None:
    task = Task(prompt="x", repo="/r", branch="feature/x", execution_mode=ExecutionMode.LOCAL)
    ended_run = Run(id=RunId("R"), number=7, task=task, created=AT, state=State.CANCELLED)
    if there:
        (tmp_path / "first").write_bytes(to_line(Said(text="I am done.")))
    (tmp_path / "last").write_bytes(to_line(Said(text="I go on.")))
    source = LineSource(thread([(ended_run, tmp_path / "first")], tmp_path / "last"))
    source.poll()
    lines = [line.data.decode() for line in source.after(0)]
    assert "#7 cancelled" in lines[-2]
    assert "I go on." in lines[-1]
    assert len(lines) == 2 + there
