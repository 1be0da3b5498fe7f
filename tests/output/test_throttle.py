"""Events are emitted in order, at a limited rate and with bounded memory."""

import json
import tracemalloc

import pytest

from ccterm.event_lines import TEXT_CAP
from ccterm.events import Notice, Printed, Said, ToolReturned, Typing
from ccterm.output.decode import JSON_CAP
from tests.output.pipelines import SECRET, Watched, delta, kinds, said, texts


def test_printed_lines_are_batched_for_50_ms() -> None:
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


def test_half_typed_text_is_emitted_ten_times_a_second_and_the_newest_wins() -> None:
    watched = Watched()
    for _ in range(100):
        watched.objects([delta("word ")])
        watched.clock.move(0.01)
    shown = texts(watched.events, Typing)
    assert 10 <= len(shown) <= 11
    assert len(shown[-1]) > len("word " * 85)


def test_typed_text_is_dropped_once_the_whole_text_was_said() -> None:
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


def test_a_line_of_3_mb_is_read() -> None:
    watched = Watched()
    text = json.dumps(said("x" * 3_000_000))
    for begin in range(0, len(text), 262_144):
        watched.frame("line", s=1, d=text[begin : begin + 262_144], part=begin + 262_144 < len(text))
    assert len(texts(watched.events, Said)[0]) < TEXT_CAP + 100
    assert len(watched.archived[0]) > 3_000_000


def test_a_line_that_never_ends_is_skipped_with_a_notice() -> None:
    watched = Watched()
    piece = "{" + "x" * (4 * 1024 * 1024)
    for _ in range(JSON_CAP // len(piece) + 2):
        watched.frame("line", s=1, d=piece, part=True)
    watched.frame("line", s=1, d="}")
    watched.objects([said("next")])
    assert kinds(watched.events) == ["notice", "said"]
    assert "was skipped" in texts(watched.events, Notice)[0]


@pytest.mark.parametrize("agent", [True, False])
def test_a_flood_keeps_memory_flat(agent: bool) -> None:
    watched = Watched(SECRET, agent=agent)
    line, tool = (
        "x" * 900,
        json.dumps({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "1", "content": "y" * 900}]}}),
    )
    tracemalloc.start()
    for number in range(1_000):
        watched.line(line if number % 2 else tool)
        watched.objects([delta("typed ")])
        watched.events.clear()
        watched.archived.clear()
        watched.clock.move(0.001)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1024 * 1024


def test_a_flood_is_emitted_in_few_calls() -> None:
    watched = Watched(agent=False)
    for _ in range(20_000):
        watched.line("x" * 500)
    watched.frame("end")
    assert len(watched.emits) < 200


def test_a_tool_s_answer_keeps_its_line_breaks() -> None:
    watched = Watched()
    watched.objects([{"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "1", "content": "a\n\tb\n"}]}}])
    assert watched.events == [ToolReturned(id="1", ok=True, text="a\n\tb\n")]
