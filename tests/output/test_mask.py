"""No registered secret passes the masker, whatever the text around it and however it is cut; and nothing else is touched."""

import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.output.mask import Masker
from tests.output.secrets import SECRETS, benign_lines, opaque, pieces

ALL = Masker(SECRETS)
SNIPPETS = [
    *(value for name, value in SECRETS.items() if name != "big"),
    "ab",
    "aba",
    " ",
    "\n",
    "word ",
    "é✓",
    "\ud83d",
    "[masked:",
    "sk-",
    "-----",
]


def cut_out(text: str) -> st.SearchStrategy[str]:
    return st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(lambda ends: text[min(ends) : max(ends)])


snippets = st.sampled_from(SNIPPETS) | st.sampled_from(SNIPPETS).flatmap(cut_out)


def streamed(masker: Masker, parts: Iterable[str]) -> str:
    stream = masker.stream()
    return "".join([*map(stream.feed, parts), stream.flush()])


def surrounded(secret: str) -> str:
    """Return a text with a secret in many places: alone, doubled, overlapping itself, cut short, beside other text."""
    half = secret[: len(secret) // 2]
    return f"{secret} is, {secret}{secret}! {secret[:4]}{secret}é{half}{secret}\n{half} {secret[1:]}{secret[:-1]}x{secret}"


def naive(text: str, secret: str) -> str:
    """Return a text masked the slow and simple way."""
    hidden = {at + n for at in range(len(text)) if text.startswith(secret, at) for n in range(len(secret))}
    shown = ("" if at in hidden and at - 1 in hidden else "[masked:S]" if at in hidden else c for at, c in enumerate(text))
    return "".join(shown)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_replaced_by_its_name(name: str) -> None:
    assert Masker({name: SECRETS[name]}).mask(f"see {SECRETS[name]}.") == f"see [masked:{name}]."


@pytest.mark.parametrize("name", SECRETS)
def test_among_others_a_secret_has_its_own_name(name: str) -> None:
    assert ALL.mask(f"see {SECRETS[name]}.") == f"see [masked:{name}]."


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_masked_whatever_surrounds_it(name: str) -> None:
    masked = ALL.mask(surrounded(SECRETS[name]))
    assert not [other for other, value in SECRETS.items() if value in masked]
    assert f"[masked:{name}]" in masked


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 33, 64])
@pytest.mark.parametrize("name", [name for name in SECRETS if name != "big"])
def test_it_does_not_matter_how_a_text_is_cut(name: str, size: int) -> None:
    text = surrounded(SECRETS[name])
    assert {streamed(ALL, pieces(text, size, offset)) for offset in {0, 1, size // 2, size - 1}} == {ALL.mask(text)}


@pytest.mark.parametrize("size", [64, 1_000])
def test_it_does_not_matter_how_a_text_with_a_long_secret_is_cut(size: int) -> None:
    text = surrounded(SECRETS["big"])
    assert streamed(ALL, pieces(text, size, 5)) == ALL.mask(text)


@given(st.lists(snippets, max_size=10))
def test_it_does_not_matter_how_a_mixture_is_cut(parts: list[str]) -> None:
    text = "".join(parts)
    assert streamed(ALL, parts) == streamed(ALL, text) == ALL.mask(text)


@given(st.text("ab", min_size=6, max_size=12), st.text("ab", max_size=20), st.text("ab", max_size=20), st.text("ab", max_size=20))
def test_overlapping_occurrences_become_one_range(secret: str, before: str, between: str, after: str) -> None:
    text = before + secret + between + secret + after
    assert Masker({"S": secret}).mask(text) == naive(text, secret)
    assert streamed(Masker({"S": secret}), text) == naive(text, secret)


def test_what_overlaps_becomes_one_range_with_the_name_of_what_begins_first() -> None:
    masker = Masker({"first": "one-two-three", "second": "three-four-five"})
    assert masker.mask("a one-two-three-four-five b") == "a [masked:first] b"


def test_of_two_secrets_that_begin_alike_the_longer_one_gives_the_name() -> None:
    assert Masker({"short": "hunter-22", "long": "hunter-22-and-more"}).mask("hunter-22-and-more") == "[masked:long]"


def test_the_order_of_registration_does_not_matter() -> None:
    assert Masker(reversed(SECRETS.items())).mask(surrounded(SECRETS["claude"])) == ALL.mask(surrounded(SECRETS["claude"]))


@pytest.mark.parametrize("value", ["", "x", "12345", "  abc  ", "\n\n"])
def test_a_value_that_is_too_short_is_not_masked_but_named(value: str) -> None:
    masker = Masker({"SHORT": value, "LONG": "long enough"})
    assert masker.skipped == {"SHORT"}
    assert masker.mask(f"{value} x12345y abc") == f"{value} x12345y abc"


@pytest.mark.parametrize("text", ["", "x", "nothing to see", "漢字 → ✓", "\ud83d"])
def test_a_text_without_secrets_is_the_same_object(text: str) -> None:
    assert ALL.mask(text) is text


def test_lines_that_only_look_like_secrets_are_left_alone() -> None:
    assert sum(ALL.mask(line) != line for line in benign_lines(10_000)) <= 10


def test_harmless_text_is_released_at_once() -> None:
    stream = Masker({"TOKEN": SECRETS["github"]}).stream()
    assert stream.feed("I am just about to. ") == "I am just about to. "


def test_only_what_may_be_the_beginning_of_a_secret_is_held_back() -> None:
    stream = Masker({"PASSWORD": "correct horse battery staple"}).stream()
    assert stream.feed("so correct horse") == "so "
    assert stream.feed(" race!") == "correct horse race!"


@pytest.mark.parametrize("text", ["a" * 200_000, "sk-ant-" * 20_000, "-----BEGIN PRIVATE KEY-----\n" + "Ab1/" * 50_000, "://a:" * 20_000])
def test_what_is_held_back_is_bounded(text: str) -> None:
    masker = Masker({"A": "a" * 50})
    stream = masker.stream()
    let_out = sum(len(stream.feed(text[at : at + 5_000])) for at in range(0, len(text), 5_000))
    held = len(stream.flush())
    assert held <= 100_000
    assert let_out + held == len(masker.mask(text))


def test_a_stream_knows_what_it_masked() -> None:
    stream = ALL.stream()
    stream.feed("nothing")
    assert not stream.names
    stream.feed(f"{SECRETS['github']} and ")
    assert "github" in stream.names


def test_a_secret_cut_short_is_masked_as_far_as_it_goes() -> None:
    token = opaque(40)
    assert Masker({"T": token}).mask(f"{token[:20]}... or ...{token[-25:]}") == "[masked:T]... or ...[masked:T]"


@pytest.mark.parametrize(
    "value", ["https://hooks.example.com/services/T0/B0", "correct horse battery staple", "/home/me/keys/Prod-2/id_ed25519"]
)
def test_a_part_of_a_secret_made_of_words_is_no_secret(value: str) -> None:
    assert Masker({"S": value}).mask(value[:24]) == value[:24]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SECRETS if name != "big"])
def test_2080_ways_to_cut_a_text(name: str, rounds: Callable[[int], int]) -> None:
    text = surrounded(SECRETS[name])
    expected = ALL.mask(text)
    for size in range(1, 65):
        for offset in range(min(size, rounds(size))):
            assert streamed(ALL, pieces(text, size, offset)) == expected, (size, offset)


@pytest.mark.slow
def test_64_ways_to_cut_a_text_with_a_long_secret() -> None:
    text = f"x{SECRETS['big'][:300]}{SECRETS['big']}{SECRETS['big'][:300]}y"
    expected = ALL.mask(text)
    for size in range(1, 65):
        assert streamed(ALL, pieces(text, size, size // 2)) == expected, size


@pytest.mark.slow
def test_random_secrets_that_overlap_themselves(rounds: Callable[[int], int]) -> None:
    dice = random.Random(5)
    for _ in range(rounds(5_000)):
        secret, text = (opaque(dice.randint(6, 12), dice, "ab"), opaque(40, dice, "ab"))
        text = text[:13] + secret + text[13:] + secret[:-1]
        masker, size = Masker({"S": secret}), dice.randint(1, 9)
        assert masker.mask(text) == streamed(masker, pieces(text, size, dice.randrange(size))) == naive(text, secret), (secret, text)
