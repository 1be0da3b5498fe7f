import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ccterm import events
from ccterm.events import Event
from ccterm.tui.pane.lines import failed, plain_text
from ccterm.tui.pane.rows import PaneRow, RowOptions, first_rows, last_rows, rows
from ccterm.tui.pane.spans import CallStatus, TextStyle
from tests.output.hostile import HOSTILE
from tests.tui.pane.conftest import EVERY_KIND

ANY_TEXT = st.text(st.characters(), max_size=200) | st.lists(st.sampled_from([pair[0] for pair in HOSTILE.values()])).map("".join)


def texts(found: list[PaneRow]) -> list[str]:
    return [row.text.rstrip() for row in found]


def speaking(text: str) -> list[Event]:
    """Return the events that carry text of an agent."""
    return [
        events.Said(text=text, agent=text),
        events.Typing(text=text),
        events.Printed(stream="stdout", text=text),
        events.ToolCalled(id="a", name=text, summary=text, input={text: [text]}, agent=text),
        events.ToolReturned(id="a", ok=False, text=text),
        events.Notice(level="warn", text=text),
        events.Queued(prompt=text),
        events.StepFinished(step="setup", ok=True, seconds=1, detail=text),
        events.Salvaged(directory=text, commit=None),
    ]


@pytest.mark.parametrize(("event", "wanted"), EVERY_KIND.values(), ids=list(EVERY_KIND))
def test_every_event_reads_as_rows(event: Event, wanted: list[str]) -> None:
    assert texts(rows(event, 40)) == wanted


@given(text=ANY_TEXT, width=st.integers(1, 90), wrap=st.booleans(), unfolded=st.booleans())
def test_any_text_becomes_printable_rows_of_exactly_the_width(text: str, width: int, wrap: bool, unfolded: bool) -> None:
    for event in speaking(text):
        for row in rows(event, width, RowOptions(wrap=wrap, unfolded=unfolded)):
            assert cell_len(row.text) == width
            assert row.text.isprintable()


@given(text=ANY_TEXT, width=st.integers(1, 90), count=st.integers(1, 9))
def test_first_rows_are_the_first_of_all_rows(text: str, width: int, count: int) -> None:
    for event in speaking(text):
        assert first_rows(event, width, count) == rows(event, width)[:count]


@pytest.mark.parametrize(("text", "left"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_is_inert_in_rows_too(text: str, left: str) -> None:
    assert texts(rows(events.Printed(stream="stdout", text=text), 60)) == [f"  {line}".rstrip() for line in left.strip("\n").split("\n")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("👩‍👩‍👧 👍🏽", "👩👩👧 👍"),
        ("🇩🇪", "DE"),
        ("1️⃣", "1"),
        ("Z͑ͫ̓a͆͊l̀̈g̀̈o", "Z͑a͆l̀g̀o"),
        ("a\u00a0b\u3000c", "a b  c"),
        ("\ue0b0\u0378", "\ufffd\ufffd"),
        ("a\tb", "a       b"),
    ],
    ids=["joined and toned emoji", "flag", "keycap", "piled marks", "odd spaces", "private and unassigned", "tab"],
)
def test_characters_that_terminals_disagree_on_are_replaced(text: str, wanted: str) -> None:
    assert texts(rows(events.Said(text=text), 40)) == [wanted]


def test_prose_breaks_between_words_and_lists_hang() -> None:
    said = events.Said(text="- first the middleware, then\nwhat is overlongwithoutanyspace")
    assert texts(rows(said, 16)) == ["- first the", "  middleware,", "  then", "what is", "overlongwithouta", "nyspace"]


def test_output_breaks_at_the_edge() -> None:
    assert texts(rows(events.Printed(stream="stdout", text="0123456789 abcdef"), 12)) == ["  0123456789", "   abcdef"]


@given(text=st.text("abc .", min_size=1, max_size=120), width=st.integers(3, 40))
def test_ascii_output_breaks_like_any_other(text: str, width: int) -> None:
    plain = [row.text for row in rows(events.Printed(stream="stdout", text=text), width)]
    other = [row.text for row in rows(events.Printed(stream="stdout", text=text.replace("a", "ä")), width)]
    assert [row.replace("ä", "a") for row in other] == plain


def test_a_cut_line_ends_in_an_ellipsis() -> None:
    assert texts(rows(events.Said(text="what does not fit"), 10, RowOptions(wrap=False))) == ["what does…"]


def test_wide_characters_never_straddle_the_edge() -> None:
    assert texts(rows(events.Said(text="日本語"), 5)) == ["日本", "語"]
    assert texts(rows(events.Said(text="日"), 1)) == ["?"]


@pytest.mark.parametrize("status", list(CallStatus))
def test_a_call_shows_its_status_at_the_edge(status: CallStatus) -> None:
    call = events.ToolCalled(id="a", name="Bash", summary="pytest " * 20)
    [row] = rows(call, 30, RowOptions(outcome=status))
    assert row.text.endswith(f"… {status}")
    assert len(row.text) == 30


def test_an_unfolded_result_is_complete() -> None:
    answer = events.ToolReturned(id="a", ok=True, text="\n".join(map(str, range(9))))
    assert texts(rows(answer, 20, RowOptions(unfolded=True))) == [f"  {number}" for number in range(9)]


def test_an_unfolded_call_shows_its_input() -> None:
    call = events.ToolCalled(id="a", name="Bash", summary="ls", input={"command": "ls\npwd", "timeout": 5})
    assert texts(rows(call, 30, RowOptions(unfolded=True)))[1:] == ["    command: ls", "      pwd", "    timeout: 5"]


@pytest.mark.parametrize(
    ("event", "style"),
    [
        (events.ToolReturned(id="a", ok=False, text="E  AssertionError"), TextStyle.BAD),
        (events.Notice(level="error", text="x"), TextStyle.BAD),
        (events.Retrying(attempt=1, of=2, wait=1, why="x"), TextStyle.WARN),
        (events.Printed(stream="stdout", text="x"), TextStyle.DIM),
    ],
    ids=["failed tool", "error", "retry", "output"],
)
def test_a_row_has_the_style_of_its_event(event: Event, style: TextStyle) -> None:
    assert rows(event, 40)[0].spans[0].style is style


def test_last_rows_are_the_last_of_all_rows() -> None:
    flood = events.Printed(stream="stdout", text="\n".join(f"{n} " + "x" * (n % 50) for n in range(300)) + "\n")
    wanted, found = texts(rows(flood, 30)), texts(last_rows(flood, 30, 12))
    assert len(found) < 50
    assert found == wanted[-len(found) :]


@pytest.mark.parametrize(
    "event",
    [
        events.ToolReturned(id="a", ok=True, text="File created successfully at: /tmp/box/shop/limits.py"),
        events.ToolReturned(id="a", ok=True, text="The file /tmp/box/shop/login.py has been updated successfully."),
        events.StepFinished(step="policy", ok=False, seconds=0.001, detail="a symlink"),
    ],
    ids=["created", "updated", "judged"],
)
def test_what_a_call_or_a_verdict_shows_is_not_repeated(event: Event) -> None:
    assert rows(event, 40) == []
    assert (plain_text(event), failed(event)) == ("", False)


@pytest.mark.parametrize("text", ["The file is gone", "The file a has been updated.\nHere is the result:", "File created"])
def test_any_other_result_of_a_tool_is_shown(text: str) -> None:
    assert texts(rows(events.ToolReturned(id="a", ok=True, text=text), 60))[0] == "  " + text.split("\n", maxsplit=1)[0]
