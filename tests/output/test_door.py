"""Frames go in; clean events come out, in order, at a bearable pace and in bounded memory."""

import itertools
import json
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from ccterm.agents.verdict import judge
from ccterm.causes import Cause
from ccterm.events import TEXT_CAP, Event, Notice, Printed, Said, Steered, ToolReturned, Typing, Waiting, from_line, to_line
from ccterm.output.decode import JSON_CAP
from tests.agents.reading import read, report
from tests.captures.recorded import captures
from tests.output.doors import Watched

SECRET = "tok-7Q2mWx9Zr4Lk"


def delta(text: str, index: int = 0) -> dict[str, JsonValue]:
    return {"type": "stream_event", "event": {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}}


def said(text: str) -> dict[str, JsonValue]:
    return {"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def texts(events: list[Event], kind: type[Said] | type[Typing] | type[Notice] | type[Printed]) -> list[str]:
    return [event.text for event in events if isinstance(event, kind)]


# --- the agent's stream


@pytest.mark.parametrize(
    "name", ["a_tools", "a_tools_partial", "c_max_tokens", "e_subagent", "e_thinking_partial", "f_drop_x1_partial_slow", "e_long"]
)
def test_a_recorded_run_comes_through_as_the_parser_reads_it(name: str) -> None:
    watched = Watched()
    for line in captures()[name].lines:
        watched.line(line)
    watched.frame("end")
    _, expected = read(captures()[name].objects)
    assert [e for e in watched.events if not isinstance(e, Typing)] == [e for e in expected if not isinstance(e, Typing)]


@pytest.mark.parametrize("name", sorted(captures()))
def test_every_recorded_run_passes_and_can_be_stored(name: str) -> None:
    watched = Watched()
    for line in captures()[name].lines:
        watched.line(line)
    for line in captures()[name].stderr.split("\n"):
        watched.line(line, 2)
    watched.frame("end")
    assert all(from_line(to_line(event)).kind == event.kind for event in watched.events)


@pytest.mark.parametrize("name", ["a_tools_partial", "e_long", "c_max_tokens", "s_text"])
def test_it_does_not_matter_where_lines_are_cut_into_parts(name: str) -> None:
    whole, cut, dice = Watched(), Watched(), random.Random(7)
    for line in captures()[name].lines:
        whole.line(line)
        places = sorted(dice.randrange(len(line) + 1) for _ in range(dice.randrange(6)))
        for begin, end in zip([0, *places], places, strict=False):
            cut.frame("line", s=1, d=line[begin:end], part=True)
        cut.frame("line", s=1, d=line[places[-1] if places else 0 :])
    for watched in (whole, cut):
        watched.frame("end")
    assert cut.events == whole.events
    assert cut.archived == whole.archived


def test_the_archive_holds_the_agent_s_lines_without_pieces_of_text() -> None:
    watched = Watched()
    objects = captures()["a_tools_partial"].objects
    watched.objects(objects)
    assert [json.loads(line) for line in watched.archived] == [line for line in objects if line["type"] != "stream_event"]


def test_a_line_that_is_no_json_is_printed_and_the_next_one_read() -> None:
    watched = Watched()
    for line in ['{"type": "assis', "oops", "[1]", "", json.dumps(said("still here"))]:
        watched.line(line)
    assert watched.events == [Printed(stream="stdout", text='{"type": "assis\noops\n[1]'), Said(text="still here")]


def test_lines_beside_the_stream_are_at_hand_for_the_verdict() -> None:
    watched = Watched(SECRET)
    watched.line(f"error: bad token {SECRET}", 2)
    watched.frame("end")
    assert watched.parser is not None
    told = judge(watched.parser, report(1))
    assert told.cause is Cause.AGENT
    assert "error: bad token" in told.summary
    assert SECRET not in told.summary


def test_very_deep_json_is_text() -> None:
    watched = Watched()
    watched.line('{"type":"assistant","message":' + "[" * 100_000)
    watched.line('{"type":"user","x":' + "[" * 2_000 + "]" * 2_000 + "}")
    watched.frame("end")
    assert {"printed"} == set(kinds(watched.events))


def test_half_characters_and_infinite_numbers_can_be_stored() -> None:
    watched = Watched()
    watched.line('{"type":"assistant","n":[1e999,NaN],"message":{"content":"cut \\ud83d here"}}')
    (event,) = watched.events
    assert from_line(to_line(event)).kind == "said"
    assert json.loads(watched.archived[0].encode("utf-8"), parse_constant=pytest.fail)["n"] == [None, None]


# --- what is masked


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
    assert watched.door.secret_seen
    assert texts(watched.events, Said)[0].endswith("and on with it")


def test_an_escape_cut_over_deltas_does_not_hide_a_secret() -> None:
    watched = Watched(SECRET)
    for piece in (SECRET[:5], "\x1b", "[31", "m", SECRET[5:], " done"):
        watched.objects([delta(piece)])
        watched.clock.move(1)
    watched.frame("end")
    assert SECRET[5:] not in watched.stored
    assert "\x1b" not in watched.stored


def test_pieces_of_a_tool_s_input_and_of_thoughts_go_nowhere() -> None:
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
    assert watched.door.secret_seen


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
def test_no_place_of_a_line_is_forgotten(line: dict[str, JsonValue]) -> None:
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
    assert watched.door.report is not None
    assert (watched.door.report["ok"], watched.door.report["files"]) == (False, 3)
    assert SECRET not in watched.stored + repr(watched.door.report)
    assert "\x1b" not in watched.stored


# --- order and pace


def test_printed_lines_come_together_after_50_ms() -> None:
    watched = Watched(agent=False)
    for number in range(10):
        watched.line(str(number))
    assert not watched.events
    watched.clock.move(0.05)
    assert watched.events == [Printed(stream="stdout", text="\n".join(map(str, range(10))))]


def test_printed_lines_of_both_streams_keep_their_order() -> None:
    watched = Watched(agent=False)
    for text, stream in (("a", 1), ("b", 2), ("c", 2), ("d", 1)):
        watched.frame("line", s=stream, d=text)
    watched.frame("end")
    assert [(event.stream, event.text) for event in watched.events if isinstance(event, Printed)] == [
        ("stdout", "a"),
        ("stderr", "b\nc"),
        ("stdout", "d"),
    ]


def test_printed_lines_come_before_what_was_said_after_them() -> None:
    watched = Watched()
    watched.line("warning", 2)
    watched.objects([said("hello")])
    watched.line("later", 2)
    watched.frame("note", d="a note")
    assert kinds(watched.events) == ["printed", "said", "printed", "notice"]


def test_no_event_of_printed_lines_is_over_64_kib() -> None:
    watched = Watched(agent=False)
    for _ in range(1_000):
        watched.line("x" * 500)
    watched.line("y" * 10_000_000)
    watched.frame("end")
    assert max(len(text) for text in texts(watched.events, Printed)) <= TEXT_CAP
    assert sum(text.count("x") for text in texts(watched.events, Printed)) == 500_000


def test_half_typed_text_comes_ten_times_a_second_and_the_newest_wins() -> None:
    watched = Watched()
    for _ in range(100):
        watched.objects([delta("word ")])
        watched.clock.move(0.01)
    shown = texts(watched.events, Typing)
    assert 10 <= len(shown) <= 11
    assert len(shown[-1]) > len("word " * 85)


def test_what_was_said_is_not_typed_afterwards() -> None:
    watched = Watched()
    watched.objects([delta("Hel"), delta("lo"), said("Hello")])
    watched.clock.move(10)
    watched.frame("end")
    assert kinds(watched.events) == ["typing", "said"]


def test_text_that_an_agent_was_typing_when_it_died_is_shown() -> None:
    watched = Watched()
    watched.objects([delta("I am just "), delta("about to")])
    watched.frame("end")
    assert texts(watched.events, Typing)[-1].startswith("I am just about")


def test_after_the_end_nothing_is_due() -> None:
    watched = Watched()
    watched.line("x", 2)
    watched.objects([delta("a"), delta("b")])
    watched.frame("end")
    before = len(watched.events)
    watched.clock.move(10)
    assert len(watched.events) == before


# --- frames of other kinds


def test_a_word_to_the_agent_is_answered() -> None:
    watched = Watched()
    watched.frame("note", d="also the README", what="steered", taken=True)
    watched.frame("note", d="and the tests", what="steered", taken=False, detail="too late")
    assert watched.events == [Steered(text="also the README", taken=True), Steered(text="and the tests", taken=False, detail="too late")]


def test_waiting_has_an_end() -> None:
    watched = Watched()
    watched.frame("note", d="waits", what="waiting", until=1795435346.5)
    watched.frame("note", d="waits no more", what="waiting")
    waiting = [event.until for event in watched.events if isinstance(event, Waiting)]
    assert [until and until.isoformat() for until in waiting] == ["2026-11-23T12:02:26.500000+00:00", None]


def test_a_step_without_agent_prints_even_what_looks_like_a_stream() -> None:
    watched = Watched(agent=False)
    watched.objects([said("npm says hello")])
    watched.frame("end")
    assert kinds(watched.events) == ["printed"]
    assert not watched.archived


def test_blank_lines_of_a_command_are_kept() -> None:
    watched = Watched(agent=False)
    for text in ("a", "", "b"):
        watched.line(text)
    watched.frame("end")
    assert texts(watched.events, Printed) == ["a\n\nb"]


def test_the_end_is_seen() -> None:
    watched = Watched(agent=False)
    assert not watched.door.ended
    watched.frame("end")
    assert watched.door.ended


def test_a_door_closed_without_end_lets_out_what_it_holds() -> None:
    watched = Watched(agent=False)
    watched.line("last words")
    watched.frame("line", s=1, d="and half a", part=True)
    watched.door.close()
    assert texts(watched.events, Printed) == ["last words\nand half a"]
    assert not watched.door.ended


# --- too much


def test_a_line_of_3_mb_is_read() -> None:
    watched = Watched()
    text = json.dumps(said("x" * 3_000_000))
    for begin in range(0, len(text), 262_144):
        watched.frame("line", s=1, d=text[begin : begin + 262_144], part=begin + 262_144 < len(text))
    assert len(texts(watched.events, Said)[0]) < TEXT_CAP + 100
    assert len(watched.archived[0]) > 3_000_000


def test_a_line_that_never_ends_is_passed_over_with_a_notice() -> None:
    watched = Watched()
    piece = "{" + "x" * (4 * 1024 * 1024)
    for _ in range(JSON_CAP // len(piece) + 2):
        watched.frame("line", s=1, d=piece, part=True)
    watched.frame("line", s=1, d="}")
    watched.objects([said("next")])
    assert kinds(watched.events) == ["notice", "said"]
    assert "was passed over" in texts(watched.events, Notice)[0]


@pytest.mark.parametrize("agent", [True, False])
def test_a_flood_keeps_memory_flat(agent: bool) -> None:
    watched = Watched(SECRET, agent=agent)
    line, tool = (
        "x" * 900,
        json.dumps({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "1", "content": "y" * 900}]}}),
    )
    tracemalloc.start()
    for number in range(5_000):
        watched.line(line if number % 2 else tool)
        watched.objects([delta("typed ")])
        watched.events.clear()
        watched.archived.clear()
        watched.clock.move(0.0001)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * 1024 * 1024


def test_a_flood_is_handed_on_in_few_calls() -> None:
    watched = Watched(agent=False)
    for _ in range(100_000):
        watched.line("x" * 100)
    watched.frame("end")
    assert len(watched.emits) < 200


def test_a_tool_s_answer_keeps_its_line_breaks() -> None:
    watched = Watched()
    watched.objects([{"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "1", "content": "a\n\tb\n"}]}}])
    assert watched.events == [ToolReturned(id="1", ok=True, text="a\n\tb\n")]
