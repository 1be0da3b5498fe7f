"""Judges how an agent's part of a run ended, from its stream and the supervisor's report: the first rule that matches counts."""

import re
from dataclasses import dataclass

from ccterm.agents.json_values import JsonObject, string
from ccterm.agents.stream import StreamParser
from ccterm.agents.stream_session import Result
from ccterm.causes import Cause
from ccterm.git.message import shortened

_AFTER_MARK = re.compile(r"(?:_|[^\w?？؟.!:;,。！)\]}])+\Z|[)\]}]+\Z")
"""What may follow the punctuation mark that ends a message."""
_DIAGNOSTIC = "[ede_diagnostic]"


@dataclass(frozen=True)
class Outcome:
    """How the agent's part of a run ended. cause None: it ended well, or was cancelled (`cancelled`)."""

    cause: Cause | None
    reason: str = ""
    summary: str = ""
    """The agent's last message, or what went wrong."""
    cancelled: bool = False
    asked: bool = False
    """Whether its last message ends in a question."""


def judge(parser: StreamParser, report: JsonObject | None) -> Outcome:
    """Return how the run ended. report: the supervisor's (SuperviseReport), None if it left none."""
    if outcome := _stopped_or_broken(parser, report):
        return outcome
    if parser.result is not None and not parser.result.failed and not parser.turn_open:
        last = parser.result.text or parser.said
        return Outcome(None, summary=shortened(last), asked=is_question(last))
    return _failed(parser, report or {})


def judge_shell(parser: StreamParser, report: JsonObject | None) -> Outcome:
    """Return how a shell in place of an agent ended. Whatever its exit code, a person has seen it."""
    return _stopped_or_broken(parser, report) or Outcome(None)


def is_question(text: str) -> bool:
    """Whether a message ends in a question; quotes, markup, brackets and emoji after the question mark are ignored."""
    text = text.rstrip()[-200:]
    while shorter := _AFTER_MARK.sub("", text):
        if shorter == text:
            break
        text = shorter
    return text.endswith(("?", "？", "؟"))


def _stopped_or_broken(parser: StreamParser, report: JsonObject | None) -> Outcome | None:
    """Return how it ended if it did not end by itself, or not as it should; else None."""
    stopped = _stopped(parser, string((report or {}).get("stopped_by")))
    if stopped is not None:
        return stopped
    if report is None:
        return Outcome(Cause.AGENT, "no_report", "The agent's supervisor left no report")
    if report.get("ok") is not True:
        detail = shortened(string(report.get("detail")))
        return Outcome(Cause.AGENT, string(report.get("reason"), "start"), detail or "The agent could not be started")
    if alive := report.get("alive"):  # no step with a credential runs beside them
        return Outcome(Cause.AGENT, "alive", f"{alive} of the agent's processes cannot be killed")
    return None


def _stopped(parser: StreamParser, by: str) -> Outcome | None:
    last = shortened(parser.said)
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


def _failed(parser: StreamParser, report: JsonObject) -> Outcome:
    result = None if parser.turn_open else parser.result
    summary = _failure_summary(parser, result, report)
    if parser.error == "authentication_failed" or (result is not None and result.text.startswith("Not logged in")):
        return Outcome(Cause.AUTH, "authentication_failed", summary)
    if parser.rejected or (result is not None and result.api_error == "usage_limit_reached"):
        return Outcome(Cause.USAGE_LIMIT, parser.rejected or "usage_limit_reached", _with_reset(parser, summary))
    if result is not None and result.status == 529:
        return Outcome(Cause.RATE_LIMITED, "overloaded", summary)
    if parser.error == "rate_limit" or (result is not None and result.status == 429):
        return Outcome(Cause.RATE_LIMITED, "rate_limit", summary)
    if parser.error == "billing_error":
        return Outcome(Cause.BUDGET, "billing_error", summary)
    if result is not None and result.subtype in ("error_max_budget_usd", "error_max_turns"):
        return Outcome(Cause.BUDGET, result.subtype, summary)
    return Outcome(Cause.AGENT, _kind(parser, result), summary)


def _kind(parser: StreamParser, result: Result | None) -> str:
    if result is None:
        return "no_result"
    if result.stop_reason == "refusal":
        return "refusal"
    specific = parser.error if parser.error != "unknown" else ""
    subtype = result.subtype if result.subtype != "success" else ""
    status = f"http_{result.status}" if result.status is not None else ""
    return result.api_error or specific or subtype or status or "unknown"


def _failure_summary(parser: StreamParser, result: Result | None, report: JsonObject) -> str:
    if result is None:
        return shortened("\n".join([f"The agent ended without a result ({_exit_status(report)})", *parser.tail]))
    errors = [error for error in result.errors if not error.startswith(_DIAGNOSTIC)]
    told = shortened(result.text or "\n".join(errors))
    return told or f"The agent ended with {result.subtype} ({result.terminal_reason or 'no reason given'})"


def _exit_status(report: JsonObject) -> str:
    number = report.get("signal")
    return f"signal {number}" if isinstance(number, int) else f"exit {report.get('exit')}"


def _with_reset(parser: StreamParser, summary: str) -> str:
    return f"{summary} [resets {parser.resets_at:%Y-%m-%d %H:%M} UTC]" if parser.resets_at else summary
