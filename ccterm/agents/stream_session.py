"""What the lines about the session itself say: `system`, `rate_limit_event` and `control_request` to a person, `result` to the verdict."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ccterm.agents.json_values import JsonObject, count, items, mapping, moment, number, string
from ccterm.agents.stream_tools import bounded, one_line, summary
from ccterm.box.permission_rules import in_words, lasting_rules
from ccterm.events import Event, Limited, Notice, PermissionAsked, Retrying, Spent, Thought

Level = Literal["info", "warn", "error"]

SILENT = frozenset({
    "hook_started", "ui_invalidate", "session_state_changed", "task_started", "task_progress", "task_updated", "background_tasks_changed",
    "compact_boundary", "files_persisted",
})  # fmt: skip
"""Known subtypes that say nothing a person needs to know."""
_LEVELS: Mapping[str, Level] = {"warning": "warn", "warn": "warn", "error": "error"}


def system_events(line: JsonObject) -> list[Event] | None:
    """Return what a system line says; None = the subtype is unknown."""
    subtype = string(line.get("subtype"))
    if subtype in SILENT:
        return []
    reader = _READERS.get(subtype)
    return None if reader is None else list(reader(line))


def _init(line: JsonObject) -> Iterable[Event]:
    for server in map(mapping, items(line.get("mcp_servers"))):
        if string(server.get("status")) == "failed":
            yield Notice(level="warn", text=f"MCP server {one_line(string(server.get('name')), 80)} did not start")


def _retry(line: JsonObject) -> list[Event]:
    status, error = number(line.get("error_status")), string(line.get("error"), "unknown")
    why = f"{status:.0f} {error}" if status is not None else "connection lost" if error == "unknown" else error
    wait = max(number(line.get("retry_delay_ms")) or 0.0, 0.0) / 1000
    return [Retrying(attempt=count(line.get("attempt")), of=count(line.get("max_retries")), wait=wait, why=one_line(why))]


def limits(line: JsonObject) -> list[Limited]:
    """Return one event for each usage window that a `rate_limit_event` mentions, the deciding one last."""
    info = mapping(line.get("rate_limit_info"))
    deciding = string(info.get("rateLimitType"), "unknown")
    windows = mapping(info.get("unifiedWindows"))
    others = [_window(name, mapping(window)) for name, window in list(windows.items())[:8] if name != deciding]
    return [*others, _window(deciding, {**mapping(windows.get(deciding)), **info})]


def _window(name: str, window: JsonObject) -> Limited:
    return Limited(
        limit=one_line(string(name), 40),
        status=one_line(string(window.get("status"), "unknown"), 40),
        utilization=number(window.get("utilization")),
        resets_at=moment(window.get("resetsAt")),
    )


def permission_events(line: JsonObject, cwd: str) -> list[Event]:
    """Return what a `control_request` asks the user; nothing for other requests. cwd: paths are shown relative to it."""
    request = mapping(line.get("request"))
    if request.get("subtype") != "can_use_tool":
        return []
    tool, given = one_line(string(request.get("tool_name"), "a tool"), 100), mapping(request.get("input"))
    return [
        PermissionAsked(
            id=string(line.get("request_id"))[:200],
            tool=tool,
            summary=summary(tool, given, cwd),
            input=bounded(given),
            reason=one_line(string(request.get("decision_reason")), 200),
            always=one_line(in_words(lasting_rules(dict(request))), 200),
        )
    ]


def _status(line: JsonObject) -> list[Event]:
    if line.get("status") == "compacting":
        return [Notice(level="info", text="The conversation is being compacted")]
    if line.get("compact_result") == "failed":
        return [Notice(level="warn", text=f"Compacting the conversation failed: {one_line(string(line.get('compact_error')))}")]
    return []


def _thinking(line: JsonObject) -> list[Event]:
    return [Thought(tokens=count(line.get("estimated_tokens")))]


def _denied(line: JsonObject) -> list[Event]:
    tool = one_line(string(line.get("tool_name"), "a tool"), 60)
    return [Notice(level="warn", text=f"Permission denied: {tool}: {one_line(string(line.get('message')), 400)}")]


def _content(line: JsonObject) -> list[Event]:
    text = string(line.get("content")).strip()
    if line.get("subtype") == "model_refusal_no_fallback":
        return [Notice(level="warn", text=one_line(text, 400) or "The model refused the request")]
    fallback = line.get("subtype") == "model_fallback"
    level: Level = "warn" if fallback else _LEVELS.get(string(line.get("level")), "info")
    return [Notice(level=level, text=one_line(text, 1_000))] if text else []


def _hook(line: JsonObject) -> list[Event]:
    if string(line.get("outcome"), "success") == "success" and count(line.get("exit_code")) == 0:
        return []
    words = next(filter(str.strip, (string(line.get(key)) for key in ("stderr", "stdout", "output"))), "")
    return [Notice(level="warn", text=f"Hook {one_line(string(line.get('hook_name')), 80)} failed: {one_line(words, 400)}")]


def _task(line: JsonObject) -> list[Event]:
    status = string(line.get("status"))
    if status not in ("failed", "killed", "stopped"):
        return []
    return [Notice(level="warn", text=f"Background task {status}: {one_line(string(line.get('summary')), 400)}")]


_READERS: Mapping[str, Callable[[JsonObject], Iterable[Event]]] = {
    "init": _init,
    "api_retry": _retry,
    "thinking_tokens": _thinking,
    "status": _status,
    "permission_denied": _denied,
    "model_fallback": _content,
    "model_refusal_no_fallback": _content,
    "informational": _content,
    "hook_response": _hook,
    "task_notification": _task,
}


WORD = 60
"""Longest name of a kind or reason, in characters."""


@dataclass(frozen=True)
class Result:
    """The last `result` line: what the CLI says about the turn."""

    failed: bool
    text: str
    subtype: str
    errors: tuple[str, ...]
    api_error: str
    status: int | None
    stop_reason: str
    terminal_reason: str

    @classmethod
    def of(cls, line: JsonObject) -> "Result":
        """Read a result line. `is_error` decides; `subtype` is "success" for most failures too."""
        said, status = line.get("is_error"), number(line.get("api_error_status"))
        return cls(
            failed=said if isinstance(said, bool) else line.get("subtype") != "success",
            text=string(line.get("result")).strip(),
            subtype=one_line(string(line.get("subtype")), WORD),
            errors=tuple(string(error) for error in items(line.get("errors"))[:10] if isinstance(error, str)),
            api_error=one_line(string(line.get("api_error")), WORD),
            status=None if status is None else int(status),
            stop_reason=one_line(string(line.get("stop_reason")), WORD),
            terminal_reason=one_line(string(line.get("terminal_reason")), WORD),
        )


def spent_after(line: JsonObject, before: Spent, earlier: Spent | None = None) -> Spent:
    """Return what a run has cost so far, at the end of a turn.

    Cost and `modelUsage` count for the whole session, also for one that is resumed; `usage` and `num_turns` for the turn.
    earlier: what the session had cost when this run resumed it.
    """
    models = [mapping(usage) for usage in mapping(line.get("modelUsage")).values()]
    turn = mapping(line.get("usage"))
    cost = number(line.get("total_cost_usd"))
    if models:
        given, made = sum(count(m.get("inputTokens")) for m in models), sum(count(m.get("outputTokens")) for m in models)
        cached = sum(count(m.get("cacheReadInputTokens")) + count(m.get("cacheCreationInputTokens")) for m in models)
    else:
        given, made = before.input + count(turn.get("input_tokens")), before.output + count(turn.get("output_tokens"))
        cached = before.cache + count(turn.get("cache_read_input_tokens")) + count(turn.get("cache_creation_input_tokens"))
    if earlier and models and cost is not None and cost >= earlier.cost_usd:
        cost -= earlier.cost_usd
        given, made, cached = max(0, given - earlier.input), max(0, made - earlier.output), max(0, cached - earlier.cache)
    return Spent(
        cost_usd=before.cost_usd if cost is None else max(cost, before.cost_usd),
        input=given,
        output=made,
        cache=cached,
        turns=before.turns + count(line.get("num_turns")),
    )
