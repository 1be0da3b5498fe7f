"""Frames go in; clean events come out, whatever was printed."""

import json
import random

import pytest

from ccterm.agents.verdict import judge
from ccterm.causes import Cause
from ccterm.events import Printed, Said, Steered, Typing, Waiting, from_line, to_line
from tests.agents.reading import read, report
from tests.captures.recorded import captures
from tests.output.pipelines import SECRET, Watched, kinds, said, texts


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


@pytest.mark.parametrize("initial", sorted({name[0] for name in captures()}))
def test_every_recorded_run_passes_and_can_be_stored(initial: str) -> None:
    watched = Watched()
    for capture in (capture for name, capture in captures().items() if name[0] == initial):
        for line in capture.lines:
            watched.line(line)
        for line in capture.stderr.split("\n"):
            watched.line(line, 2)
    watched.frame("end")
    assert all(from_line(to_line(event)).kind == event.kind for event in watched.events)


@pytest.mark.parametrize("name", ["a_tools_partial", "e_long", "c_max_tokens", "s_text"])
def test_where_lines_are_cut_into_parts_makes_no_difference(name: str) -> None:
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


def test_the_verdict_can_quote_lines_beside_the_stream() -> None:
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
    watched.line('{"type":"user","x":' + "[" * 5_000 + "]" * 5_000 + "}")
    watched.frame("end")
    assert {"printed"} == set(kinds(watched.events))


def test_deep_json_loses_only_what_is_too_deep() -> None:
    watched = Watched()
    watched.line('{"type":"assistant","x":' + "[" * 300 + "]" * 300 + ',"message":{"content":"here"}}')
    assert watched.events == [Said(text="here")]


def test_half_characters_and_infinite_numbers_can_be_stored() -> None:
    watched = Watched()
    watched.line('{"type":"assistant","n":[1e999,NaN],"message":{"content":"cut \\ud83d here"}}')
    (event,) = watched.events
    assert from_line(to_line(event)).kind == "said"
    assert json.loads(watched.archived[0].encode("utf-8"), parse_constant=pytest.fail)["n"] == [None, None]


def test_what_became_of_a_steering_message_is_an_event() -> None:
    watched = Watched()
    watched.frame("note", d="also the README", what="steered", taken=True)
    watched.frame("note", d="and the tests", what="steered", taken=False, detail="too late")
    assert watched.events == [Steered(text="also the README", taken=True), Steered(text="and the tests", taken=False, detail="too late")]


@pytest.mark.parametrize("what", ["steered", "answered"])
def test_whatever_a_box_calls_a_request_can_be_recorded(what: str) -> None:
    watched = Watched()
    watched.frame("note", d="x", what=what, request="\ud83d\x1b[2J")
    (event,) = watched.events
    assert from_line(to_line(event)) == event
    assert "\x1b" not in str(event)


def test_waiting_says_until_when() -> None:
    watched = Watched()
    watched.frame("note", d="waiting", what="waiting", until=1795435346.5)
    watched.frame("note", d="no longer waiting", what="waiting")
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


def test_the_end_frame_is_noticed() -> None:
    watched = Watched(agent=False)
    assert not watched.pipeline.ended
    watched.frame("end")
    assert watched.pipeline.ended


def test_closing_without_an_end_frame_emits_what_was_held_back() -> None:
    watched = Watched(agent=False)
    watched.line("last words")
    watched.frame("line", s=1, d="and half a", part=True)
    watched.pipeline.close()
    assert texts(watched.events, Printed) == ["last words\nand half a"]
    assert not watched.pipeline.ended
