"""Judges how an agent's part of a run ended, from its stream and the supervisor's report: the first rule that fits counts."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from ccterm.agents.base import Outcome
from ccterm.agents.shapes import string
from ccterm.agents.stream import StreamParser
from ccterm.agents.stream_result import Result
from ccterm.causes import Cause

SUMMARY = 2_000
"""Longest summary, in characters."""
_ENDING = re.compile(r"(?:_|[^\w?？؟.!:;,。！)\]}])+\Z|[)\]}]+\Z")
"""What may stand behind the mark that ends a message."""
_DIAGNOSTIC = "[ede_diagnostic]"


def judge(parser: StreamParser, report: Mapping[str, JsonValue] | None) -> Outcome:
    """Return what became of the run. `report` is the supervisor's (SuperviseReport), None when it left none."""
    stopped = _stopped(parser, string((report or {}).get("stopped_by")))
    if stopped is not None:
        return stopped
    if report is None:
        return Outcome(Cause.AGENT, "no_report", "The program that watches over the agent left no report")
    if report.get("ok") is not True:
        return Outcome(
            Cause.AGENT, string(report.get("reason"), "start"), _gist(string(report.get("detail"))) or "The agent could not be started"
        )
    if parser.result is not None and not parser.result.failed and not parser.turn_open:
        return Outcome(None, summary=_gist(parser.result.text or parser.said), asked=is_question(parser.result.text or parser.said))
    return _failed(parser, report)


def is_question(text: str) -> bool:
    """Whether a message ends in a question; quotes, markup, brackets and emoji behind the mark do not count."""
    text = text.rstrip()[-200:]
    while shorter := _ENDING.sub("", text):
        if shorter == text:
            break
        text = shorter
    return text.endswith(("?", "？", "؟"))


def _stopped(parser: StreamParser, by: str) -> Outcome | None:
    last = _gist(parser.said)
    match by:
        case "asked" | "now":
            return Outcome(None, summary=last, cancelled=True)
        case "timeout":
            return Outcome(Cause.TIMEOUT, summary=last)
        case "stalled":
            return Outcome(Cause.STALLED, summary=last)
        case "host":
            return Outcome(Cause.LOST, summary=last)
    return None


def _failed(parser: StreamParser, report: Mapping[str, JsonValue]) -> Outcome:
    result = None if parser.turn_open else parser.result
    words = _words(parser, result, report)
    if parser.error == "authentication_failed" or (result is not None and result.text.startswith("Not logged in")):
        return Outcome(Cause.AUTH, "authentication_failed", words)
    if parser.rejected or (result is not None and result.api_error == "usage_limit_reached"):
        return Outcome(Cause.USAGE_LIMIT, parser.rejected or "usage_limit_reached", _with_reset(parser, words))
    if result is not None and result.status == 529:
        return Outcome(Cause.RATE_LIMITED, "overloaded", words)
    if parser.error == "rate_limit" or (result is not None and result.status == 429):
        return Outcome(Cause.RATE_LIMITED, "rate_limit", words)
    if parser.error == "billing_error":
        return Outcome(Cause.BUDGET, "billing_error", words)
    if result is not None and result.subtype in ("error_max_budget_usd", "error_max_turns"):
        return Outcome(Cause.BUDGET, result.subtype, words)
    return Outcome(Cause.AGENT, _kind(parser, result), words)


def _kind(parser: StreamParser, result: Result | None) -> str:
    if result is None:
        return "no_result"
    if result.stop_reason == "refusal":
        return "refusal"
    specific = parser.error if parser.error != "unknown" else ""
    subtype = result.subtype if result.subtype != "success" else ""
    status = f"http_{result.status}" if result.status is not None else ""
    return result.api_error or specific or subtype or status or "unknown"


def _words(parser: StreamParser, result: Result | None, report: Mapping[str, JsonValue]) -> str:
    if result is None:
        return _gist("\n".join([f"The agent ended without a result ({_ending(report)})", *parser.tail]))
    errors = [error for error in result.errors if not error.startswith(_DIAGNOSTIC)]
    told = result.text or "\n".join(errors)
    return _gist(told) or f"The agent ended with {result.subtype} ({result.terminal_reason or 'no reason given'})"


def _ending(report: Mapping[str, JsonValue]) -> str:
    number = report.get("signal")
    return f"signal {number}" if isinstance(number, int) else f"exit {report.get('exit')}"


def _with_reset(parser: StreamParser, words: str) -> str:
    return f"{words} [resets {parser.resets_at:%Y-%m-%d %H:%M} UTC]" if parser.resets_at else words


def _gist(text: str) -> str:
    text = text.strip()
    return text if len(text) <= SUMMARY else text[: SUMMARY - 1].rstrip() + "…"
