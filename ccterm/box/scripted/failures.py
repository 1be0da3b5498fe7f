"""What the real CLI prints when a turn fails, as recorded, for each way in which it can fail."""

from typing import NamedTuple

from ccterm.box.scripted.stdin import StdinReader
from ccterm.box.scripted.stream import Stream


class TurnFailure(NamedTuple):
    """One way to fail. error: the field of the assistant line; "" means that no such line is printed."""

    text: str
    error: str = ""
    status: int | None = None
    error_type: str = ""
    api_error: str = ""
    stop_reason: str = "stop_sequence"
    subtype: str = "success"
    terminal_reason: str = "api_error"


FAILURES = {
    "auth": TurnFailure("Not logged in · Please run /login", "authentication_failed", 401, "authentication_error"),
    "usage_limit": TurnFailure("You've hit your 5-hour limit", "rate_limit", 429, "rate_limit_error", "usage_limit_reached"),
    "rate_limit": TurnFailure("API Error: Request rejected (429)", "rate_limit", 429, "rate_limit_error"),
    "overloaded": TurnFailure("API Error: 529 Overloaded. This is a server-side issue", "server_error", 529, "overloaded_error"),
    "server_error": TurnFailure("API Error: 500 Internal server error", "server_error", 500, "api_error"),
    "connection": TurnFailure("API Error: Connection dropped (ECONNRESET)", "server_error", None, "", "connection_failed"),
    "billing": TurnFailure("Credit balance is too low", "billing_error", 400, "invalid_request_error"),
    "model_not_found": TurnFailure("There's an issue with the selected model", "model_not_found", 404, "not_found_error"),
    "max_tokens": TurnFailure(
        "API Error: the response exceeded the output token maximum", "max_output_tokens", None, "", "max_output_tokens"
    ),
    "refusal": TurnFailure("API Error: safeguards flagged this message", "invalid_request", None, "", "", "refusal"),
    "max_turns": TurnFailure("Reached maximum number of turns (2)", subtype="error_max_turns", terminal_reason="max_turns"),
    "budget": TurnFailure("Reached maximum budget ($0.5)", subtype="error_max_budget_usd", terminal_reason="budget_exhausted"),
}


def fail(stream: Stream, kind: str, text: str = "") -> None:
    """End the turn as a failure of this kind, with its usual text or another one."""
    failure = FAILURES[kind]
    shown = text or failure.text
    if not failure.error:
        stream.result(is_error=True, subtype=failure.subtype, terminal_reason=failure.terminal_reason, errors=[shown])
        return
    detail: dict[str, object] = {"api_error_status": failure.status}
    detail |= {"api_error_type": failure.error_type} if failure.error_type else {}
    detail |= {"api_error": failure.api_error} if failure.api_error else {}
    stream.synthetic(shown, failure.stop_reason, error=failure.error, is_api_error_message=True, **detail)
    stream.result(is_error=True, subtype="success", terminal_reason="api_error", stop_reason=failure.stop_reason, result=shown, **detail)


def retry(stream: Stream, stdin: StdinReader, count: int, wait: float) -> None:
    """Meet an overloaded server `count` times, waiting `wait` seconds after each."""
    for attempt in range(1, count + 1):
        fields = {"attempt": attempt, "max_retries": 10, "retry_delay_ms": int(wait * 1000), "error_status": 529, "error": "overloaded"}
        stream.emit({"type": "system", "subtype": "api_retry", **fields})
        stdin.sleep(wait)
