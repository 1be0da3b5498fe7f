"""Splitting bytes into lines."""

from hypothesis import given
from hypothesis import strategies as st

from ccterm.box.agent.pipes import Splitter

PART = 8


def split(chunks: list[bytes]) -> list[tuple[str, bool]]:
    splitter = Splitter(PART)
    found = [piece for chunk in chunks for piece in splitter.feed(chunk)]
    return [*found, *splitter.close()]


def joined(pieces: list[tuple[str, bool]]) -> str:
    return "".join(text if part else f"{text}\n" for text, part in pieces)


@given(st.lists(st.text(max_size=40)), st.data())
def test_any_chunking_gives_the_same_lines(lines: list[str], data: st.DataObject) -> None:
    text = "".join(f"{line}\n" for line in lines)
    whole = text.encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert joined(split(chunks)) == whole.decode("utf-8", "replace")


@given(st.binary())
def test_no_text_is_lost(data: bytes) -> None:
    ended = data if data.endswith(b"\n") or not data else data + b"\n"
    assert (
        joined(split([data[index : index + 1] for index in range(len(data))]))
        == b"".join(line.decode("utf-8", "replace").encode() + b"\n" for line in ended.split(b"\n")[:-1]).decode()
    )


def test_an_over_long_line_is_cut_between_characters() -> None:
    assert split(["ä🎈".encode() * 6 + b"\nnext\n"]) == [("ä🎈" * 4, True), ("ä🎈" * 2, False), ("next", False)]


def test_the_last_part_is_not_marked_even_when_it_is_empty() -> None:
    assert split([b"x" * (PART + 1), b"\n"]) == [("x" * PART, True), ("x", False)]
    assert split([b"x" * PART, b"\n"]) == [("x" * PART, False)]


def test_a_stream_that_ends_within_a_line_or_a_character_loses_nothing() -> None:
    assert split([b"half"]) == [("half", False)]
    assert split(["ok\n🎈".encode()[:-2]]) == [("ok", False), ("�", False)]


def test_other_line_separators_are_text() -> None:
    assert split(["a\r\u2028b\x85\n".encode()]) == [("a\r\u2028b\x85", False)]
