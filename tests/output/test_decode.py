"""Frames become lines and lines JSON, in linear time and bounded memory."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.event_lines import TEXT_CAP
from ccterm.output.decode import JSON_CAP, LineBuffer, OutputLine, looks_like_object, parse_object


def joined(pieces: list[str], *, json_lines: bool = True) -> OutputLine:
    buffer = LineBuffer(json_lines=json_lines)
    lines = [buffer.add(piece, part=number < len(pieces) - 1) for number, piece in enumerate(pieces)]
    assert lines[:-1] == [None] * (len(pieces) - 1)
    assert lines[-1] is not None
    return lines[-1]


@given(st.lists(st.text(max_size=50), min_size=1, max_size=20))
def test_parts_are_joined_into_the_line(pieces: list[str]) -> None:
    assert joined(pieces) == OutputLine("".join(pieces))


def test_consecutive_lines_are_kept_apart() -> None:
    buffer = LineBuffer(json_lines=True)
    given_ = [("a", True), ("b", False), ("c", False), ("", False), ("{", True), ("}", False)]
    assert [buffer.add(text, part=part) for text, part in given_] == [
        None,
        OutputLine("ab"),
        OutputLine("c"),
        OutputLine(""),
        None,
        OutputLine("{}"),
    ]


def test_an_over_long_text_line_keeps_its_beginning() -> None:
    line = joined(["x" * 50_000] * 100, json_lines=False)
    assert (len(line.text), line.dropped) == (TEXT_CAP, 5_000_000 - TEXT_CAP)


def test_a_long_line_of_json_is_kept_whole() -> None:
    line = joined(["{" + "x" * 99_999, *["x" * 100_000] * 30])
    assert (len(line.text), line.dropped) == (3_100_000, 0)


def test_an_endless_line_of_json_is_skipped_and_the_next_one_read() -> None:
    buffer = LineBuffer(json_lines=True)
    piece = "{" + "x" * (1024 * 1024 - 1)
    tracemalloc.start()
    for _ in range(JSON_CAP // len(piece) * 3):
        buffer.add(piece, part=True)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert buffer.add("}", part=False) == OutputLine("", JSON_CAP * 3 + 1)
    assert buffer.add("{}", part=False) == OutputLine("{}")
    assert held < 1024 * 1024
    assert peak < JSON_CAP


def test_the_rest_of_an_unfinished_line_is_returned() -> None:
    buffer = LineBuffer(json_lines=True)
    buffer.add("half a", part=True)
    buffer.add(" line", part=True)
    assert buffer.rest() == OutputLine("half a line")
    assert buffer.rest() is None


@pytest.mark.parametrize(
    "text", ["", "plain", "[1]", "7", '"x"', "null", "{", '{"a":', "{a:1}", '{"a":1}{"b":2}', '{"a": 1} rest', "\x00{}", "{" * 5_000]
)
def test_anything_but_an_object_is_none(text: str) -> None:
    assert parse_object(text) is None


@pytest.mark.parametrize("text", ['{"a": 1}', '  {"a": 1}', '{"a": 1}\r'])
def test_an_object_is_read(text: str) -> None:
    assert parse_object(text) == {"a": 1}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [5_000, 200_000])
def test_json_nested_too_deeply_is_none(opening: str, depth: int) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    assert parse_object('{"x":' + opening * depth + "1" + closing * depth + "}") is None


def test_many_brackets_side_by_side_are_fine() -> None:
    assert parse_object(json.dumps({"x": [[{}] for _ in range(10_000)]})) is not None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_json_does_not_know_is_null(number: str) -> None:
    assert parse_object('{"a": [' + number + ", 1.5]}") == {"a": [None, 1.5]}


def test_a_huge_number_does_no_harm() -> None:
    assert parse_object('{"a": ' + "9" * 100_000 + "}") is None


@given(st.text(max_size=200))
def test_only_what_looks_like_an_object_is_one(text: str) -> None:
    assert parse_object(text) is None or looks_like_object(text)


def test_a_line_of_more_values_than_are_read_is_text() -> None:
    assert parse_object('{"a":[' + "[]," * 100_000 + "0]}") is None
    assert parse_object('{"a":"' + "[]," * 100_000 + '"}') == {"a": "[]," * 100_000}
