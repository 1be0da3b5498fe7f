"""No secret gets through the output pipeline, however it is cut and wherever it occurs."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from ccterm.event_lines import TEXT_CAP
from ccterm.events import Said, Typing
from tests.output.pipelines import SECRET, Watched, delta, said, texts


@given(st.lists(st.integers(0, len(SECRET) + 20), max_size=12), st.integers(0, 10))
def test_a_secret_cut_over_deltas_is_never_seen(cuts: list[int], at: int) -> None:
    watched = Watched(SECRET)
    text = "x" * at + SECRET + " and on with it"
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    for begin, end in itertools.pairwise(places):
        watched.objects([delta(text[begin:end])])
        watched.clock.move(1)
    watched.objects([said(text)])
    watched.frame("end")
    assert not any(SECRET[:6] in line or SECRET[-6:] in line for line in watched.stored.split("\n"))
    assert watched.pipeline.secrets_seen
    assert texts(watched.events, Said)[0].endswith("and on with it")


def test_an_escape_cut_over_deltas_does_not_hide_a_secret() -> None:
    watched = Watched(SECRET)
    for piece in (SECRET[:5], "\x1b", "[31", "m", SECRET[5:], " done"):
        watched.objects([delta(piece)])
        watched.clock.move(1)
    watched.frame("end")
    assert SECRET[5:] not in watched.stored
    assert "\x1b" not in watched.stored


def test_text_held_back_in_one_block_does_not_appear_in_the_next() -> None:
    watched = Watched(SECRET)
    block: JsonValue = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    watched.objects([delta(SECRET[:8]), {"type": "stream_event", "event": block}, delta("afresh.")])
    watched.clock.move(1)
    watched.frame("end")
    assert texts(watched.events, Typing) == ["afresh."]  # no form of a secret begins with a full stop, so all of it is shown


def test_pieces_of_a_tool_s_input_and_of_thoughts_are_dropped() -> None:
    watched = Watched()
    for kind, key in (("input_json_delta", "partial_json"), ("thinking_delta", "thinking"), ("mystery_delta", "text")):
        event: JsonValue = {"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: "half"}}
        watched.objects([{"type": "stream_event", "event": event}])
    watched.frame("end")
    assert not watched.events
    assert not watched.archived


@pytest.mark.parametrize("stream", [1, 2])
def test_a_secret_cut_over_the_parts_of_a_line_is_masked(stream: int) -> None:
    watched = Watched(SECRET)
    watched.frame("line", s=stream, d="a " + SECRET[:7], part=True)
    watched.frame("line", s=stream, d=SECRET[7:] + " b")
    watched.frame("end")
    assert SECRET not in watched.stored
    assert watched.pipeline.secrets_seen


@pytest.mark.parametrize("offset", range(-len(SECRET) - 2, 3))
def test_a_secret_at_the_place_where_a_long_line_is_cut_is_masked(offset: int) -> None:
    watched = Watched(SECRET)
    watched.line("x" * (TEXT_CAP - 100 + offset) + SECRET + "y" * 1_000, 2)
    watched.frame("end")
    assert SECRET[:6] not in watched.stored


@pytest.mark.parametrize(
    "line",
    [
        {
            "type": "assistant",
            "message": {
                "content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": f"echo {SECRET}", SECRET: [SECRET]}}]
            },
        },
        {
            "type": "user",
            "message": {"content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": SECRET}]}]},
        },
        {"type": "result", "is_error": True, "result": SECRET, "errors": [SECRET]},
        {"type": SECRET, SECRET: SECRET},
        {"type": "system", "subtype": SECRET, "session_id": SECRET},
    ],
)
def test_every_part_of_a_line_is_masked(line: dict[str, JsonValue]) -> None:
    watched = Watched(SECRET)
    watched.objects([line])
    assert SECRET not in watched.stored
    assert watched.parser is not None
    assert SECRET not in repr(vars(watched.parser))


def test_notes_and_report_are_cleaned_as_well() -> None:
    watched = Watched(SECRET, agent=False)
    watched.frame("note", d=f"fetched with \x1b[1m{SECRET}")
    watched.frame("report", report={"ok": False, "detail": f"bad {SECRET}", "notes": [SECRET], "files": 3})
    watched.frame("end")
    assert watched.pipeline.report is not None
    assert (watched.pipeline.report["ok"], watched.pipeline.report["files"]) == (False, 3)
    assert SECRET not in watched.stored + repr(watched.pipeline.report)
    assert "\x1b" not in watched.stored
