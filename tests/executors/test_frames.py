"""Reading frames, and noticing when one is missing."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.box.frames import LONG, frame_text
from ccterm.executors.frames import FrameError, FrameReader

FRAMES = [{"n": n, "t": 0.1, "k": "line", "s": 1, "d": "x" * n} for n in range(20)] + [{"n": 20, "t": 0.2, "k": "end"}]
STREAM = b"".join(json.dumps(frame).encode() + b"\n" for frame in FRAMES)


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_chunking_gives_the_same_frames(cuts: list[int]) -> None:
    reader, edges = FrameReader(), [0, *sorted(cuts), len(STREAM)]
    found = [frame for start, end in pairwise(edges) for frame in reader.feed(STREAM[start:end])]
    reader.close()
    assert (found, reader.ended) == (FRAMES, True)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"n":0}',
        b'{"n":1,"t":0,"k":"end"}',
        b'{"n":0,"t":0,"k":"other"}',
        b'{"n":"0","k":"end"}',
        b"[" * 9999,
    ],
    ids=repr,
)
def test_anything_but_the_next_frame_is_an_error(line: bytes) -> None:
    with pytest.raises(FrameError):
        list(FrameReader().feed(line[:60] + line[60:] + b"\n"))


def test_a_gap_is_an_error() -> None:
    reader = FrameReader()
    with pytest.raises(FrameError, match="frame 1 was expected"):
        list(reader.feed(b'{"n":0,"t":0,"k":"note"}\n{"n":2,"t":0,"k":"note"}\n'))


@given(st.text(min_size=LONG), st.data())
def test_a_piece_missing_from_a_long_frame_is_noticed(text: str, data: st.DataObject) -> None:
    line = frame_text(0, 0.5, "line", f'"s":1,"d":{json.dumps(text)}').encode()
    assert [frame["d"] for frame in FrameReader().feed(line)] == [text]
    begin = data.draw(st.integers(line.index(b'"d"'), len(line) - 2))
    end = data.draw(st.integers(begin + 1, len(line) - 1))
    with pytest.raises(FrameError):
        list(FrameReader().feed(line[:begin] + line[end:]))


def test_a_frame_after_the_end_is_an_error() -> None:
    with pytest.raises(FrameError):
        list(FrameReader().feed(b'{"n":0,"t":0,"k":"end"}\n{"n":1,"t":0,"k":"note"}\n'))


def test_an_incomplete_frame_is_an_error() -> None:
    reader = FrameReader()
    list(reader.feed(b'{"n":0,'))
    with pytest.raises(FrameError):
        reader.close()


def test_a_frame_of_many_megabytes_in_small_chunks_is_read() -> None:
    reader, line = FrameReader(), json.dumps({"n": 0, "t": 0, "k": "line", "s": 1, "d": "x" * 8_000_000}).encode() + b"\n"
    found = [frame for start in range(0, len(line), 4096) for frame in reader.feed(line[start : start + 4096])]
    assert len(found[0]["d"]) == 8_000_000


def test_a_frame_without_an_end_is_not_collected_for_ever() -> None:
    reader = FrameReader()
    assert list(reader.feed(b"x" * (16 << 20))) == []
    with pytest.raises(FrameError, match="a frame of more than 16,777,216 bytes"):
        list(reader.feed(b"x"))


def test_a_frame_of_too_many_values_is_refused_unparsed() -> None:
    with pytest.raises(FrameError, match="not a frame"):
        list(FrameReader().feed(b'{"n":0,"k":"report","report":[' + b"[]," * 60_000 + b"0]}\n"))
