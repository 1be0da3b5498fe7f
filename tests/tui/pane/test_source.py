from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccterm import events
from ccterm.tui.pane.source import BLOCK, FileStore, LineSource, MemoryStore
from tests.tui.pane.conftest import EVERY_KIND, Writer

SIZES = st.lists(st.sampled_from([0, 1, 7, 80, 600, 9_000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]), max_size=25)


def opened(data: bytes) -> LineSource:
    source = LineSource(MemoryStore(data))
    source.poll()
    return source


@given(sizes=SIZES)
@settings(max_examples=60)
def test_lines_are_the_same_read_forwards_and_backwards(sizes: list[int]) -> None:
    lines = [str(number).encode().ljust(size, b".") for number, size in enumerate(sizes)]
    source = opened(b"".join(line + b"\n" for line in lines))
    forwards = list(source.after(0))
    assert [line.data for line in forwards] == lines
    assert list(source.before(source.end)) == forwards[::-1]
    for number, line in enumerate(forwards):
        assert next(source.after(line.offset)) == line
        assert next(source.before(line.end)) == line
        assert source.begin_of_line(line.end - 1) == line.offset
        assert [each.offset for each in source.before(line.offset)] == [each.offset for each in forwards[:number]][::-1]


def test_a_line_is_read_once_it_is_complete(writer: Writer) -> None:
    source = LineSource(writer.store)
    writer.store.append(b'{"half')
    assert not source.poll()
    assert list(source.after(0)) == []
    writer.store.append(b'":1}\n')
    assert source.poll()
    assert [line.data for line in source.after(0)] == [b'{"half":1}']


def test_polling_says_whether_there_is_anything_new(writer: Writer) -> None:
    source = LineSource(writer.store)
    assert not source.poll()
    writer.lines(1)
    assert [source.poll(), source.poll()] == [True, False]


def test_an_overlong_line_does_not_hide_the_others() -> None:
    source = opened(b"first\n" + b"x" * (9 << 20) + b"\nlast\n")
    found = [line.data for line in source.before(source.end)]
    assert (found[0], found[-1]) == (b"last", b"first")
    assert next(source.after(0)).data == b"first"


@pytest.mark.parametrize(("event", "_"), EVERY_KIND.values(), ids=list(EVERY_KIND))
def test_the_kind_is_read_without_parsing(writer: Writer, event: events.Event, _: object) -> None:
    writer.write(event)
    source = opened(writer.store.read(10_000, 0))
    assert next(source.after(0)).kind == event.kind


def test_the_id_of_a_call_is_read_without_parsing(writer: Writer) -> None:
    writer.write(events.ToolCalled(id='to"o\\l', name="x", summary=""), events.Said(text='"kind":"tool_called","id":"no"'))
    source = opened(writer.store.read(10_000, 0))
    assert [line.call for line in source.after(0)] == ['to"o\\l', ""]


def test_a_file_may_appear_later(tmp_path: Path) -> None:
    source = LineSource(FileStore(tmp_path / "transcript.ndjson"))
    assert not source.poll()
    (tmp_path / "transcript.ndjson").write_bytes(b"one\n")
    assert source.poll()
    assert [line.data for line in source.after(0)] == [b"one"]


@pytest.mark.parametrize("replaced", [False, True], ids=["shrunk", "replaced"])
def test_a_file_that_starts_again_is_read_again(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "transcript.ndjson"
    path.write_bytes(b"one\ntwo\n")
    source = LineSource(FileStore(path))
    source.poll()
    if replaced:
        (tmp_path / "other").write_bytes(b"three\nfour\nfive\n")
        (tmp_path / "other").replace(path)
    else:
        path.write_bytes(b"three\n")
    source.poll(), source.poll()
    assert source.epoch == 1
    assert next(source.after(0)).data == b"three"


def test_a_directory_is_an_empty_transcript(tmp_path: Path) -> None:
    source = LineSource(FileStore(tmp_path))
    source.poll()
    assert list(source.after(0)) == []
