"""What an agent prints can neither drive a terminal nor hide from the reader."""

import random
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.output.sanitise import LIMIT, SanitiseStream, sanitise, suspicious
from tests.output.samples import Stream, benign_lines, pieces, through

HOSTILE = {
    "osc 0 title": "\x1b]0;title\x07",
    "osc 2 title": "\x1b]2;title\x1b\\",
    "osc 4 palette": "\x1b]4;1;rgb:ff/00/00\x07",
    "osc 7 directory": "\x1b]7;file://host/etc\x07",
    "osc 8 link": "\x1b]8;;https://example.org\x1b\\\x1b]8;;\x1b\\",
    "osc 9 notification": "\x1b]9;hello\x07",
    "osc 10 asks for a colour": "\x1b]10;?\x07",
    "osc 52 clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "osc 52 asks for the clipboard": "\x1b]52;c;?\x1b\\",
    "osc 133 prompt": "\x1b]133;A\x07",
    "osc 777 notification": "\x1b]777;notify;a;b\x07",
    "osc 1337 file": "\x1b]1337;File=inline=1:AAAA\x07",
    "osc ended by C1": "\x1b]0;title\x9c",
    "osc in C1": "\x9d0;title\x07",
    "osc cut short by CAN": "\x1b]0;title\x18",
    "dcs decrqss": '\x1bP$q"p\x1b\\',
    "dcs decudk": "\x1bP0;1|17/6c73\x1b\\",
    "dcs sixel": "\x1bPq#0;2;0;0;0~-\x1b\\",
    "dcs tmux": "\x1bPtmux;x\x1b\\",
    "dcs in C1": "\x90$qm\x9c",
    "apc": "\x1b_Ga=T,f=100;AAAA\x1b\\",
    "apc in C1": "\x9fG\x9c",
    "pm": "\x1b^private\x1b\\",
    "pm in C1": "\x9eprivate\x9c",
    "sos": "\x1bXtext\x1b\\",
    "sos in C1": "\x98text\x9c",
    "device attributes": "\x1b[c",
    "secondary device attributes": "\x1b[>c",
    "device status": "\x1b[5n",
    "cursor position": "\x1b[6n",
    "window title report": "\x1b[21t",
    "window resize": "\x1b[8;1;1t",
    "terminal name": "\x1b[>q",
    "answerback": "\x05",
    "alternate screen": "\x1b[?1049h",
    "mouse": "\x1b[?1003;1006h",
    "bracketed paste on": "\x1b[?2004h",
    "bracketed paste ends": "\x1b[201~",
    "focus events": "\x1b[?1004h",
    "synchronised output": "\x1b[?2026h",
    "clear": "\x1b[2J\x1b[H",
    "clear scrollback": "\x1b[3J",
    "cursor up": "\x1b[99A",
    "colour": "\x1b[38;2;1;2;3m",
    "conceal": "\x1b[8m",
    "repeat": "\x1b[99999b",
    "csi in C1": "\x9b2J",
    "control inside a csi": "\x1b[3\x081m",
    "soft reset": "\x1b[!p",
    "full reset": "\x1bc",
    "alignment test": "\x1b#8",
    "character set": "\x1b(0",
    "shift out": "\x0e",
    "index down": "\x84",
    "keypad": "\x1b=",
    "bell": "\x07",
    "backspace": "\x08\x08",
    "form feed and vertical tab": "\x0c\x0b",
    "nul": "\0",
    "delete": "\x7f",
    "bidi override": "\u202e\u202d",
    "bidi isolate": "\u2066\u2069",
    "arabic letter mark": "\u061c",
    "zero width": "\u200b\u200c\u200d\u2060\ufeff",
    "tags": "\U000e0041\U000e0042\U000e007f",
    "variation selectors": "\ufe0f\U000e0100",
    "soft hyphen": "\xad",
    "annotation": "\ufff9\ufffb",
    "a sequence inside a sequence": "\x1b[\x1b[31m",
    "made by removal": "\x1b\x1b[0m[31m"[:6],
}
UNFINISHED = ["\x1b", "\x1b[", "\x1b[38;2", "\x9b1;", "\x1b]0;title", "\x9d", "\x1bPq", "\x1b_G", "\x1b^", "\x1bX", "\x1b(", "\x1b]0;x\x1b"]
ALPHABET = "ab[]P;m0 \\X^_~Hé\n\r\t\x00\x07\x08\x18\x1b\x7f\x84\x90\x98\x9b\x9c\x9d\xad\u2028\u200b\u202e\ud800\udc00\U000e0041😀"
hostile_texts = st.text(st.sampled_from(ALPHABET), max_size=60)


def plain(text: str) -> bool:
    """Whether nothing in a text is a control (but line break and tab), a format character or half a surrogate pair."""
    return all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


@pytest.mark.parametrize("sequence", HOSTILE.values(), ids=HOSTILE)
def test_what_drives_a_terminal_or_hides_goes_and_its_neighbours_stay(sequence: str) -> None:
    assert sanitise(f"before{sequence}{sequence}|after") == "before|after"


@pytest.mark.parametrize("sequence", HOSTILE.values(), ids=HOSTILE)
def test_it_goes_as_well_when_it_comes_character_by_character(sequence: str) -> None:
    assert through(SanitiseStream(), f"before{sequence}|after") == "before|after"


@pytest.mark.parametrize("sequence", UNFINISHED)
def test_a_sequence_that_the_end_cuts_off_goes(sequence: str) -> None:
    assert sanitise(f"before{sequence}") == "before"


@pytest.mark.parametrize("introducer", ["\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x90", "\x98", "\x9d", "\x9e", "\x9f"])
def test_a_string_without_an_end_hides_no_further_line(introducer: str) -> None:
    assert sanitise(f"before{introducer}hidden\nafter") == "before\nafter"


def test_a_sequence_without_an_end_hides_little() -> None:
    assert sanitise("\x1b]" + "x" * (LIMIT + 5)) == "xxxxx"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb", "a\nb"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("a\r\r\nb", "a\nb"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("\r", "\n"),
        ("a\tb", "a\tb"),
    ],
)
def test_line_breaks_of_all_kinds_become_plain_ones(text: str, expected: str) -> None:
    assert sanitise(text) == expected
    assert through(SanitiseStream(), text) == expected


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert sanitise("a\ud83d b\ude00") == "a\ufffd b\ufffd"


def test_ordinary_text_comes_back_as_the_same_object() -> None:
    for line in [*benign_lines(200), "naïve 漢字 العربية עברית 😀 ├── │ … \t tab", ""]:
        assert sanitise(line) is line
        assert not suspicious(line)


@given(st.one_of(hostile_texts, st.text(st.characters(), max_size=60)))
def test_nothing_but_plain_text_is_left_and_cleaning_twice_changes_nothing(text: str) -> None:
    cleaned = sanitise(text)
    assert all(char in "\n\t" or not suspicious(char) for char in cleaned)
    assert sanitise(cleaned) is cleaned


@given(hostile_texts, st.integers(1, 9), st.integers(0, 9))
def test_pieces_give_what_the_whole_gives(text: str, size: int, first: int) -> None:
    assert through(SanitiseStream(), pieces(text, size, first)) == sanitise(text)


def test_a_stream_lets_ordinary_text_through_at_once() -> None:
    stream: Stream = SanitiseStream()
    assert stream.feed("all of it ") == "all of it "
    assert stream.feed("not \x1b[3") == "not "
    assert stream.feed("1mthis") == "this"
    assert stream.flush() == ""


@pytest.mark.slow
def test_many_random_texts(rounds: Callable[[int], int]) -> None:
    chance = random.Random(7)
    for _ in range(rounds(200_000)):
        text = "".join(chance.choices(ALPHABET, k=chance.randint(0, 80)))
        cleaned = sanitise(text)
        assert plain(cleaned)
        assert sanitise(cleaned) is cleaned
        assert through(SanitiseStream(), pieces(text, chance.randint(1, 9))) == cleaned
