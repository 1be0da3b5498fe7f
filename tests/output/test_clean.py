"""Texts and JSON values are sanitised, then masked; what cannot be cleaned is withheld."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from ccterm.output.clean import DEPTH, TOO_DEEP, WITHHELD, Cleaner
from ccterm.output.mask import Masker
from tests.output.hostile import HOSTILE
from tests.output.secrets import SECRETS

TOKEN = SECRETS["github"]
MASKER = Masker({name: value for name, value in SECRETS.items() if name != "big"} | {"PIN": "12345678"})
INVISIBLE = ["\x1b[31m", "\x1b]0;x\x07", "\x9b1m", "\x00", "\u200b", "\u202e", "\x1b[3\x071m", "\U000e0041", "\ufe0f", "\xad", "\x08"]

texts = st.lists(
    st.sampled_from([*SECRETS.values()][:7]) | st.sampled_from([text for text, _ in HOSTILE.values()]) | st.text(max_size=4), max_size=4
).map("".join)
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.just(12345678),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


class Faulty(Masker):
    """Fails at the calls with these numbers."""

    def __init__(self, *fails: int) -> None:
        super().__init__({"T": TOKEN})
        self._fails = set(fails)
        self._calls = 0

    def find(self, data: bytes) -> tuple[list[tuple[int, int, int]], int]:
        self._calls += 1
        if self._calls - 1 in self._fails:
            raise RuntimeError(data)
        return super().find(data)


def cleaned(value: JsonValue, raw: str = "") -> JsonValue:
    return Cleaner(MASKER).value(value, raw)


@pytest.mark.parametrize("inside", INVISIBLE)
def test_what_cannot_be_seen_does_not_hide_a_secret(inside: str) -> None:
    assert Cleaner(MASKER).text(f"x {TOKEN[:9]}{inside}{TOKEN[9:]} y") == "x [masked:github] y"


@pytest.mark.parametrize("inside", INVISIBLE)
def test_nor_does_it_when_the_text_arrives_in_pieces(inside: str) -> None:
    stream = Cleaner(MASKER).stream()
    text = f"x {TOKEN[:9]}{inside}{TOKEN[9:]} y"
    assert "".join([*map(stream.feed, text), stream.flush()]) == "x [masked:github] y"


@given(st.lists(texts, max_size=6))
def test_it_does_not_matter_where_a_text_is_cut(parts: list[str]) -> None:
    stream = Cleaner(MASKER).stream()
    assert "".join([*map(stream.feed, parts), stream.flush()]) == Cleaner(MASKER).text("".join(parts))


def test_a_clean_text_is_the_same_object() -> None:
    text = "nothing to see here, 漢字\n"
    assert Cleaner(MASKER).text(text) is text


def test_strings_and_keys_of_a_value_are_cleaned() -> None:
    value: JsonValue = {TOKEN: [{"a": f"\x1b[1m{TOKEN}"}, "ok", None, True, 1.5], "\u200bk": 7}
    assert cleaned(value) == {"[masked:github]": [{"a": "[masked:github]"}, "ok", None, True, 1.5], "k": 7}


def test_a_number_with_the_digits_of_a_secret_becomes_a_text() -> None:
    assert cleaned({"pin": 12345678, "pins": [-12345678.0], "n": 1234567}) == {
        "pin": "[masked:PIN]",
        "pins": ["-[masked:PIN].0"],
        "n": 1234567,
    }


@pytest.mark.parametrize("depth", [DEPTH - 1, DEPTH, 50_000])
def test_a_value_nested_too_deeply_is_cut(depth: int) -> None:
    value: JsonValue = TOKEN
    for _ in range(depth):
        value = [value]
    text = json.dumps(cleaned(value))
    assert (TOO_DEEP in text) is (depth > DEPTH)
    assert TOKEN not in text


@given(values, st.booleans())
def test_a_value_with_its_line_is_cleaned_as_without(value: JsonValue, ascii_only: bool) -> None:
    line = json.dumps(value, ensure_ascii=ascii_only)
    assert cleaned(json.loads(line), line) == cleaned(json.loads(line))


def test_a_value_whose_line_is_clean_is_the_same_object() -> None:
    value: JsonValue = {"text": 'said "hello"\n\tand left', "n": [1, {}]}
    assert cleaned(value, json.dumps(value)) is value


def test_a_deep_value_is_cut_though_its_line_is_clean() -> None:
    line = "[" * (DEPTH + 2) + "]" * (DEPTH + 2)
    assert TOO_DEEP in json.dumps(cleaned(json.loads(line), line))


def test_a_cleaner_knows_which_secrets_it_masked() -> None:
    cleaner = Cleaner(MASKER)
    cleaner.value(["nothing", "sk-ant-api03-" + "x1" * 40])
    assert not cleaner.names
    cleaner.value({"a": [TOKEN]})
    stream = cleaner.stream()
    stream.feed(SECRETS["special"] + " ")
    assert cleaner.names >= {"github", "special"}


def test_when_masking_fails_the_text_is_withheld_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    cleaner, fails = Cleaner(Faulty(*random.Random(4).sample(range(300), 100))), 0
    for _ in range(300):
        text = cleaner.text(f"the token is {TOKEN}")
        fails += text == WITHHELD
        assert text in (WITHHELD, "the token is [masked:T]")
    assert fails == 100
    assert TOKEN not in caplog.text
    assert len(caplog.records) == 100


def test_when_masking_fails_in_a_value_only_that_text_is_withheld() -> None:
    assert Cleaner(Faulty(2)).value({"a": "one", "b": "two"}) == {"a": "one", WITHHELD: "two"}


def test_when_a_quick_look_fails_the_value_is_walked() -> None:
    value: JsonValue = {"a": TOKEN}
    assert Cleaner(Faulty(0)).value(value, json.dumps(value)) == {"a": "[masked:T]"}


def test_when_masking_fails_in_a_stream_its_rest_is_withheld() -> None:
    stream = Cleaner(Faulty(1)).stream()
    assert [stream.feed("one "), stream.feed(TOKEN[:20]), stream.feed(TOKEN[20:]), stream.flush()] == ["one ", WITHHELD, "", ""]
