"""What an agent prints can neither drive a terminal nor hide from the reader."""

import random
import unicodedata
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.output.sanitise import LIMIT, SanitiseStream, sanitise, suspicious
from tests.output.hostile import HOSTILE
from tests.output.secrets import benign_lines, pieces

UNFINISHED = ["\x1b", "\x1b[", "\x1b[38;2", "\x9b1;", "\x1b]0;title", "\x9d", "\x1bPq", "\x1b_G", "\x1b^", "\x1bX", "\x1b(", "\x1b]0;x\x1b"]
STRINGS = ["\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x90", "\x98", "\x9d", "\x9e", "\x9f"]
ALPHABET = "ab[]P;m0 \\X^_~Hé\n\r\t\x00\x07\x08\x18\x1b\x7f\x84\x90\x98\x9b\x9c\x9d\xad\u2028\u200b\u202e\ud800\udc00\U000e0041😀"
hostile_texts = st.lists(st.sampled_from([*ALPHABET, *(text for text, _ in HOSTILE.values())]), max_size=40).map("".join)


def streamed(parts: Iterable[str]) -> str:
    stream = SanitiseStream()
    return "".join([*map(stream.feed, parts), stream.flush()])


def plain(text: str) -> bool:
    """Whether nothing in a text is a control (but line break and tab), a format character or half a surrogate pair."""
    return all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


@pytest.mark.parametrize(("printed", "left"), HOSTILE.values(), ids=HOSTILE)
def test_what_drives_a_terminal_or_hides_is_removed(printed: str, left: str) -> None:
    assert sanitise(printed) == left
    assert streamed(printed) == left


@pytest.mark.parametrize(("printed", "left"), HOSTILE.values(), ids=HOSTILE)
def test_harmless_neighbours_are_kept(printed: str, left: str) -> None:
    cancel = "\x18"  # ends whatever sequence is open
    assert sanitise(f"before {printed}{cancel}| after") == f"before {left}| after"


@pytest.mark.parametrize("sequence", UNFINISHED)
def test_a_truncated_sequence_is_removed(sequence: str) -> None:
    assert sanitise(f"before{sequence}") == "before"
    assert streamed(f"before{sequence}") == "before"


@pytest.mark.parametrize("introducer", STRINGS)
def test_an_unterminated_string_hides_no_second_line(introducer: str) -> None:
    assert sanitise(f"before{introducer}hidden\nafter") == "before\nafter"


@pytest.mark.parametrize("introducer", STRINGS)
def test_an_unterminated_string_hides_a_bounded_length(introducer: str) -> None:
    printed = introducer + "x" * (LIMIT + 5)
    assert sanitise(printed) == "xxxxx"
    assert streamed(pieces(printed, 500, 7)) == "xxxxx"


def test_removing_a_sequence_never_forms_a_new_one() -> None:
    assert sanitise("\x1b\x1b[0m[31mx") == "[31mx"


def test_ordinary_text_is_the_same_object() -> None:
    for line in [*benign_lines(500), "naïve 漢字 العربية עברית 😀 ├── │ … \t tab", "a\nb", ""]:
        assert sanitise(line) is line
        assert not suspicious(line)


@given(hostile_texts | st.text(st.characters(), max_size=60))
def test_the_result_is_plain_and_sanitising_it_again_changes_nothing(text: str) -> None:
    cleaned = sanitise(text)
    assert not [char for char in cleaned if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]
    assert sanitise(cleaned) is cleaned


@given(hostile_texts, st.integers(1, 9), st.integers(0, 9))
def test_it_does_not_matter_how_a_text_is_cut(text: str, size: int, offset: int) -> None:
    assert streamed(pieces(text, size, offset)) == sanitise(text)


def test_only_what_may_be_unfinished_is_held_back() -> None:
    stream = SanitiseStream()
    assert [stream.feed(piece) for piece in ("all of it ", "not \x1b[3", "1mthis", "\r", "x")] == ["all of it ", "not ", "this", "", "\nx"]
    assert stream.flush() == ""


@pytest.mark.slow
def test_random_texts(rounds: Callable[[int], int]) -> None:
    dice = random.Random(7)
    for _ in range(rounds(200_000)):
        text = "".join(dice.choices(ALPHABET, k=dice.randint(0, 80)))
        cleaned = sanitise(text)
        assert plain(cleaned), text
        assert sanitise(cleaned) is cleaned
        assert streamed(pieces(text, dice.randint(1, 9), 0)) == cleaned, text
