"""JSON of others is counted before it is parsed."""

import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.git.bounded_json import OutOfBounds, read_json, require_bounded

_LEAVES = st.none() | st.booleans() | st.integers() | st.text('ab"\\[]{},:é')
_DOCUMENTS = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text('a"\\[{,'), inner, max_size=5))


def values_in(document: object) -> int:
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return 1 + sum(map(values_in, inner))


def depth_of(document: object) -> int:
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(_DOCUMENTS, st.booleans(), st.integers(1, 30), st.integers(1, 6))
def test_no_document_of_more_values_or_depth_is_parsed(document: object, ascii_only: bool, values: int, depth: int) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only)
    try:
        found = read_json(text, values=values, depth=depth)
    except OutOfBounds:
        assert 2 * values_in(document) > values or depth_of(document) > depth, "an empty list counts at most twice"
    else:
        assert found == document
        assert values_in(document) <= values
        assert depth_of(document) <= depth


@given(st.text('"\\[]{},a:', max_size=60))
def test_any_text_is_parsed_as_the_standard_library_does_or_refused(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            read_json(text, values=10, depth=3)
    else:
        small = values_in(expected) <= 5 and depth_of(expected) <= 3
        if small:
            assert read_json(text, values=10, depth=3) == expected


HOSTILE = {
    "lists": '{"a":[' + "[]," * 4000 + "0]}",
    "keys": '{"a":{' + '"a":{},' * 2000 + '"b":0}}',
    "strings": "[" + '"a",' * 3000 + "0]",
    "quotes without commas": '""' * 6000,
    "closing brackets": "}]" * 6000,
    "depth": "[" * 1000 + "]" * 1000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_costs_too_much_is_refused_before_it_costs_anything(text: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(OutOfBounds):
            read_json(text, values=1000)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(text) + 10_000
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("text", ['{"a":[' + "[]," * 10_000_000 + "0]}", '"' + '\\"' * 15_000_000, "[" + '"a",' * 7_500_000], ids=len)
def test_thirty_megabytes_take_a_second_at_most(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError):
        read_json(text)
    assert time.process_time() - begin < 1.0


def test_a_long_string_is_one_value() -> None:
    text = json.dumps({"text": 'a "quoted", [bracketed], \\ {braced} word' * 20_000})
    assert read_json(text, values=3, depth=1) == json.loads(text)


def test_quotes_cannot_be_hidden_in_another_encoding() -> None:
    with pytest.raises(ValueError, match=r"Expecting value|decode"):
        read_json("[1]".encode("utf-16"))
    assert require_bounded('["é"]'.encode()) == '["é"]'
