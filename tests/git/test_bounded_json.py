"""JSON of others is counted before it is parsed."""

import json
import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.git.bounded_json import NotJson, OutOfBounds, read_json, require_bounded

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
    with pytest.raises(ValueError, match=r"a value is expected|not UTF-8"):
        read_json("[1]".encode("utf-16"))
    assert require_bounded('["é"]'.encode()) == '["é"]'


WRONG: list[tuple[str | bytes, str]] = [
    ("", "line 1, column 1: a value is expected, not the end"),
    ('{"a":1,\n"b" 1}', "line 2, column 5: a colon is expected after the key, not 1"),
    ('{"a":1,\n\n}', "line 1, column 7: a comma before the end of an object or list; leave it out"),
    ("[1, ]", "line 1, column 3: a comma before the end of an object or list; leave it out"),
    ("[1 2]", "line 1, column 4: a comma or the closing bracket is expected, not 2"),
    ("{'a':1}", "line 1, column 2: a key in double quotes is expected, not '"),
    ('{"a":tru}', "line 1, column 6: a value is expected, not tru"),
    ('["é", "abc]', "line 1, column 7: the text that begins here has no closing quote"),
    (r'"C:\dir"', "line 1, column 4: a text holds a backslash alone; write it twice"),
    (r'"\u12"', r"line 1, column 3: \u needs four hexadecimal digits after it"),
    ('"a\nb"', r"line 1, column 3: a text holds a line break or another control character (U+000A); write it as \n, \t or \u0000"),
    ("{} {}", "line 1, column 4: the value ends before {; leave the rest out"),
    ("\ufeff{}", "line 1, column 1: it begins with a byte order mark; leave that out"),
    ("\0", "line 1, column 1: a value is expected, not U+0000"),
    (b'["\xc3\xa9",\n "\xc3\xa9\xff"]', "line 2, column 4: bytes that are not UTF-8"),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=range(len(WRONG)))
def test_what_is_not_json_is_told_of_in_our_words(text: str | bytes, told: str) -> None:
    with pytest.raises(NotJson) as caught:
        read_json(text)
    assert str(caught.value) == told


@given(_DOCUMENTS, st.data())
def test_whatever_is_not_json_is_told_of_in_our_words(document: object, data: st.DataObject) -> None:
    """Also what the parser of a later Python says."""
    text = json.dumps(document)
    at, told = data.draw(st.integers(0, len(text) - 1)), ""
    try:
        read_json(text[:at] + data.draw(st.sampled_from(["", ",", "}", "]", '"', "\\", "\n", ":", "x"])) + text[at + 1 :])
    except NotJson as error:
        told = str(error)
    assert not re.search(r"this is not JSON|[Ee]xpecting|delimiter|char \d", told)


def test_a_number_of_thousands_of_digits_is_out_of_bounds() -> None:
    with pytest.raises(OutOfBounds, match="thousands of digits"):
        read_json("9" * 5000)
