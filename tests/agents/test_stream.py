"""What the parser makes of lines of every kind, of malformed ones and of unknown ones."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from ccterm.agents.stream import TYPING, StreamParser
from ccterm.event_lines import TEXT_CAP
from ccterm.events import Limited, Notice, Retrying, Said, ToolCalled, ToolReturned, Typing, from_line, to_line
from tests.agents.reading import JSON, read
from tests.captures.recorded import captures, samples

SAMPLES = samples()


@st.composite
def bent(draw: st.DrawFn) -> dict[str, JsonValue]:
    """Draw a real line with some parts replaced by arbitrary JSON."""
    line = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 4))):
        _replace_one(line, draw)
    return line


def _replace_one(line: dict[str, JsonValue], draw: st.DrawFn) -> None:
    node: JsonValue = line
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        child = node[key]  # type: ignore[index, call-overload] # a key of the node itself
        if not isinstance(child, dict | list) or not child or draw(st.booleans()):
            node[key] = draw(JSON)  # type: ignore[index, call-overload] # the same
            return
        node = child


@given(line=st.dictionaries(st.text(max_size=8), JSON, max_size=5) | bent())
def test_any_json_object_is_read_into_events_that_can_be_stored(line: dict[str, JsonValue]) -> None:
    for event in StreamParser().feed(line):
        assert from_line(to_line(event)) == event


@given(lines=st.lists(bent(), max_size=6))
def test_odd_lines_do_not_hide_the_good_one_after_them(lines: list[dict[str, JsonValue]]) -> None:
    _, events = read([*lines, {"type": "assistant", "message": {"content": [{"type": "text", "text": "still here"}]}}])
    assert events[-1] == Said(text="still here")


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"type": "telepathy", "text": "boo"},
        {"type": "system", "subtype": "mood"},
        {"type": "assistant", "message": {"content": [{"type": "hologram"}]}},
        {"type": 7},
        {"type": ["assistant"]},
    ],
)
def test_unknown_types_are_counted_and_skipped(line: dict[str, JsonValue]) -> None:
    parser, events = read([line])
    assert not events
    assert parser.unknown.total() == 1


def test_a_flood_of_unknown_types_does_not_fill_the_memory() -> None:
    parser, _ = read([{"type": f"type{n}"} for n in range(1_000)])
    assert len(parser.unknown) <= 256


def test_a_sub_agent_s_messages_carry_its_name_and_are_not_the_agent_s_own() -> None:
    parser, events = read(captures()["e_subagent"].objects)
    said = [(event.agent, event.text.split("\n")[0][:14]) for event in events if isinstance(event, Said)]
    assert said == [("Look around", "Running it."), ("", "Sub-agent said"), ("Look around", "The command sa"), ("", "Sub-agent said")]
    assert parser.said == "Sub-agent said: "


def test_a_sub_agent_without_description_has_that_of_the_call() -> None:
    call: dict[str, JsonValue] = {"type": "tool_use", "id": "t1", "name": "Task", "input": {"description": "Find the bug"}}
    inner: dict[str, JsonValue] = {"type": "text", "text": "found"}
    _, events = read(
        [
            {"type": "assistant", "message": {"content": [call]}},
            {"type": "assistant", "message": {"content": [inner]}, "parent_tool_use_id": "t1"},
        ]
    )
    assert events[-1] == Said(text="found", agent="Find the bug")


def test_a_string_as_content_is_said() -> None:
    _, events = read([{"type": "assistant", "message": {"content": "plain"}}])
    assert events == [Said(text="plain")]


def test_an_api_failure_is_a_notice_not_a_message_of_the_agent() -> None:
    parser, events = read(captures()["c_400"].objects)
    assert Notice(level="error", text="API Error: 400 bad request") in events
    assert not parser.said


def test_tools_are_called_and_answer() -> None:
    _, events = read(captures()["a_tools"].objects)
    calls = [(event.name, event.summary) for event in events if isinstance(event, ToolCalled)]
    assert calls == [("Write", "hello.txt +2"), ("Edit", "hello.txt +1 -1"), ("Bash", "cat hello.txt && ls -l")]
    assert all(event.ok for event in events if isinstance(event, ToolReturned))


def test_a_tool_s_failure_is_not_ok() -> None:
    _, events = read(captures()["e_bash_fail"].objects)
    assert [event.ok for event in events if isinstance(event, ToolReturned)] == [False]


def test_long_texts_are_cut_in_the_event() -> None:
    _, events = read([{"type": "assistant", "message": {"content": "x" * 1_000_000}}])
    assert isinstance(events[0], Said)
    assert len(events[0].text) < TEXT_CAP + 100


def delta(text: str, **fields: JsonValue) -> dict[str, JsonValue]:
    return {
        "type": "stream_event",
        "event": {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        **fields,
    }


def test_half_typed_text_grows() -> None:
    _, events = read([delta("Hel"), delta("lo"), delta("")])
    assert events == [Typing(text="Hel"), Typing(text="Hello")]


def test_long_half_typed_text_shows_its_end() -> None:
    _, events = read([delta("0123456789" * 100) for _ in range(10)])
    assert isinstance(events[-1], Typing)
    assert len(events[-1].text) == TYPING
    assert events[-1].text.startswith("…")
    assert events[-1].text.endswith("0123456789")


def test_a_sub_agent_s_half_typed_text_is_not_shown() -> None:
    _, events = read([delta("secretly", parent_tool_use_id="t1")])
    assert not events


def test_a_retry_says_why_and_how_long() -> None:
    _, events = read(captures()["d_529_r1"].objects)
    retries = [event for event in events if isinstance(event, Retrying)]
    assert (retries[0].attempt, retries[0].of, retries[0].why) == (1, 1, "529 overloaded")
    assert 0.3 < retries[0].wait < 1.0


def test_a_lost_connection_is_named() -> None:
    _, events = read(captures()["c_drop_x1"].objects)
    assert [event.why for event in events if isinstance(event, Retrying)] == ["connection lost"]


def test_usage_windows_are_reported_with_their_resets() -> None:
    _, events = read(captures()["d_usage_warn_oauth"].objects)
    windows = [event for event in events if isinstance(event, Limited)]
    assert [(event.limit, event.status, event.utilization) for event in windows] == [
        ("seven_day", "allowed", 0.2),
        ("five_hour", "allowed_warning", 0.91),
    ]
    assert all(event.resets_at is not None for event in windows)


def test_a_window_that_opens_again_does_not_fail_the_run() -> None:
    info: JsonValue = {"status": "rejected", "rateLimitType": "five_hour", "resetsAt": 1795435346}
    parser, _ = read([{"type": "rate_limit_event", "rate_limit_info": info}])
    assert parser.rejected == "five_hour"
    parser.feed({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "rateLimitType": "five_hour"}})
    assert not parser.rejected


@pytest.mark.parametrize(
    ("name", "level", "text"),
    [
        ("g_agent_default", "warn", "Permission denied: Write: Claude requested permissions to write"),
        ("o_fallback", "warn", "Switched to Haiku 5.5"),
        ("c_refusal", "info", "Sonnet 5.5's safeguards stopped the response above"),
        ("c_refusal", "warn", "The model refused the request"),
        ("o_mcp_broken", "warn", "MCP server broken did not start"),
        ("p_key", "warn", "The agent uses an API key (ANTHROPIC_API_KEY)"),
    ],
)
def test_what_a_person_should_know_is_a_notice(name: str, level: str, text: str) -> None:
    _, events = read(captures()[name].objects)
    assert any(event.level == level and event.text.startswith(text) for event in events if isinstance(event, Notice))


def test_an_ordinary_run_has_no_notices() -> None:
    _, events = read(captures()["a_tools_partial"].objects)
    assert not [event for event in events if isinstance(event, Notice)]


def test_a_failed_hook_and_compacting_are_notices() -> None:
    _, events = read(
        [
            {"type": "system", "subtype": "hook_response", "hook_name": "Stop", "exit_code": 2, "outcome": "error", "stderr": "no\nway"},
            {"type": "system", "subtype": "status", "status": "compacting"},
            {"type": "system", "subtype": "status", "status": None, "compact_result": "failed", "compact_error": "too_few_groups"},
            {"type": "system", "subtype": "status", "status": "requesting"},
        ]
    )
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "Hook Stop failed: no way",
        "The conversation is being compacted",
        "Compacting the conversation failed: too_few_groups",
    ]


def test_session_model_and_version_are_read_from_the_stream() -> None:
    parser, _ = read(captures()["a_text"].objects)
    assert (parser.cli_version, parser.model, parser.api_key_source) == ("2.1.330", "claude-sonnet-5-5", "none")
    assert len(parser.session_id) == 36
