"""Verdict rules that no recorded run shows."""

import pytest
from pydantic import JsonValue

from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import is_question, judge
from ccterm.causes import Cause
from ccterm.git.message import SUMMARY
from tests.agents.reading import read, report


def result(**fields: JsonValue) -> dict[str, JsonValue]:
    return {"type": "result", "subtype": "success", "is_error": False, "result": "Done.", **fields}


@pytest.mark.parametrize(
    "text",
    [
        "Which one do you want?",
        "Shall I go on? 🙂",
        'Did you mean "main"?"',
        "**Should I delete it?**",
        "(or leave it?)",
        "Sure?\n\n",
        "これでよいですか？",
        "هل أتابع؟",
        "> Really?_ 👍🏽 `",
    ],
)
def test_a_question_is_recognised(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize("text", ["", "Done.", "Is it? Yes.", "see https://example.org/?q=1", "?x", "Why not:\n- a", "🙂", "'''"])
def test_a_statement_is_not_a_question(text: str) -> None:
    assert not is_question(text)


def test_a_run_that_ends_in_a_question_is_marked() -> None:
    parser, _ = read([result(result="Postgres or SQLite?")])
    assert judge(parser, report()).asked


def test_the_summary_is_the_last_message_when_the_result_has_none() -> None:
    parser, _ = read([{"type": "assistant", "message": {"content": "I wrote it."}}, result(result="")])
    assert judge(parser, report()).summary == "I wrote it."


def test_a_long_summary_is_cut() -> None:
    parser, _ = read([result(result="word " * 10_000)])
    told = judge(parser, report()).summary
    assert len(told) <= SUMMARY
    assert told.endswith("…")


def test_is_error_outweighs_a_subtype_of_success() -> None:
    parser, _ = read([result(is_error=True)])
    assert judge(parser, report()).cause is Cause.AGENT


def test_without_is_error_the_subtype_decides() -> None:
    parser, _ = read([{"type": "result", "subtype": "error_during_execution", "errors": ["broken"]}])
    told = judge(parser, report())
    assert (told.cause, told.reason, told.summary) == (Cause.AGENT, "error_during_execution", "broken")


@pytest.mark.parametrize("exit_code", [0, 1, 143, -9, -15])
def test_a_good_result_counts_whatever_the_exit_code(exit_code: int) -> None:
    parser, _ = read([result()])
    assert judge(parser, report(exit_code)).cause is None


def test_a_second_turn_without_result_failed() -> None:
    parser, _ = read([{"type": "system", "subtype": "init"}, result(), {"type": "system", "subtype": "init"}])
    assert judge(parser, report(-9)).reason == "no_result"


def test_an_error_of_an_earlier_turn_does_not_count() -> None:
    failure: dict[str, JsonValue] = {
        "type": "assistant",
        "error": "authentication_failed",
        "message": {"content": "no"},
        "is_api_error_message": True,
    }
    parser, _ = read([failure, result(is_error=True), {"type": "system", "subtype": "init"}, result(is_error=True, api_error_status=500)])
    assert judge(parser, report(1)).cause is Cause.AGENT


def test_a_rejection_by_no_window_is_no_usage_limit() -> None:
    rejected: dict[str, JsonValue] = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "isUsingOverage": False}}
    parser, _ = read([rejected, result(is_error=True, api_error_status=429)])
    assert judge(parser, report(1)).cause is Cause.RATE_LIMITED


def test_a_sub_agent_s_error_is_not_the_run_s() -> None:
    failure: dict[str, JsonValue] = {"type": "assistant", "error": "rate_limit", "message": {"content": "no"}, "parent_tool_use_id": "t1"}
    parser, _ = read([failure, result(is_error=True)])
    assert judge(parser, report(1)).cause is Cause.AGENT


@pytest.mark.parametrize("reason", ["not_found", "not_executable", "control"])
def test_an_agent_that_could_not_start_says_why(reason: str) -> None:
    told = judge(StreamParser(), {"ok": False, "reason": reason, "detail": "claude: no such file"})
    assert (told.cause, told.reason, told.summary) == (Cause.AGENT, reason, "claude: no such file")


def test_a_missing_report_is_a_failure() -> None:
    parser, _ = read([result()])
    assert judge(parser, None).reason == "no_report"


@pytest.mark.parametrize(
    "broken", [{}, {"ok": "yes"}, {"ok": True, "stopped_by": 7, "exit": "x", "signal": []}, {"ok": None, "reason": {}, "detail": 3}]
)
def test_a_malformed_report_is_still_judged(broken: dict[str, JsonValue]) -> None:
    assert judge(StreamParser(), broken).cause is Cause.AGENT


def test_without_a_result_the_last_lines_beside_the_stream_are_shown() -> None:
    parser = StreamParser()
    for number in range(100):
        parser.remember_tail(f"line {number}")
    told = judge(parser, report(1)).summary
    assert told.startswith("The agent ended without a result (exit 1)\nline 80")
    assert told.endswith("line 99")


def test_a_success_with_processes_that_outlive_it_is_none() -> None:
    parser, _ = read([result()])
    outcome = judge(parser, {**report(), "alive": 2})
    assert (outcome.cause, outcome.reason, outcome.summary) == (Cause.AGENT, "alive", "2 of the agent's processes cannot be killed")
    assert judge(parser, {**report(), "alive": 0}).cause is None
