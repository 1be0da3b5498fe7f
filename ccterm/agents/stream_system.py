"""What the lines of type `system` and `rate_limit_event` tell a person."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from pydantic import JsonValue

from ccterm.agents.shapes import items, mapping, moment, number, string, whole
from ccterm.agents.stream_tools import one_line
from ccterm.events import Event, Limited, Notice, Retrying, Thought

Level = Literal["info", "warn", "error"]
Line = Mapping[str, JsonValue]

SILENT = frozenset({
    "hook_started", "ui_invalidate", "session_state_changed", "task_started", "task_progress", "task_updated", "background_tasks_changed",
    "compact_boundary", "files_persisted",
})  # fmt: skip
"""Known subtypes that say nothing a person needs."""
_LEVELS: Mapping[str, Level] = {"warning": "warn", "warn": "warn", "error": "error"}


def system_events(line: Line) -> list[Event] | None:
    """Return what a system line says; None = the subtype is unknown."""
    subtype = string(line.get("subtype"))
    if subtype in SILENT:
        return []
    reader = _READERS.get(subtype)
    return None if reader is None else list(reader(line))


def _init(line: Line) -> Iterable[Event]:
    for server in map(mapping, items(line.get("mcp_servers"))):
        if string(server.get("status")) == "failed":
            yield Notice(level="warn", text=f"MCP server {one_line(string(server.get('name')), 80)} did not start")


def _retry(line: Line) -> list[Event]:
    status, error = number(line.get("error_status")), string(line.get("error"), "unknown")
    why = f"{status:.0f} {error}" if status is not None else "connection lost" if error == "unknown" else error
    wait = max(number(line.get("retry_delay_ms")) or 0.0, 0.0) / 1000
    return [Retrying(attempt=whole(line.get("attempt")), of=whole(line.get("max_retries")), wait=wait, why=one_line(why))]


def limits(line: Line) -> list[Limited]:
    """Return one event for each usage window that a `rate_limit_event` speaks of; the one that decides comes last."""
    info = mapping(line.get("rate_limit_info"))
    deciding = string(info.get("rateLimitType"), "unknown")
    windows = mapping(info.get("unifiedWindows"))
    others = [_window(name, mapping(window)) for name, window in list(windows.items())[:8] if name != deciding]
    return [*others, _window(deciding, {**mapping(windows.get(deciding)), **info})]


def _window(name: str, window: Line) -> Limited:
    return Limited(
        limit=one_line(string(name), 40),
        status=one_line(string(window.get("status"), "unknown"), 40),
        utilization=number(window.get("utilization")),
        resets_at=moment(window.get("resetsAt")),
    )


def _status(line: Line) -> list[Event]:
    if line.get("status") == "compacting":
        return [Notice(level="info", text="The conversation is being compacted")]
    if line.get("compact_result") == "failed":
        return [Notice(level="warn", text=f"Compacting the conversation failed: {one_line(string(line.get('compact_error')))}")]
    return []


def _thinking(line: Line) -> list[Event]:
    return [Thought(tokens=whole(line.get("estimated_tokens")))]


def _denied(line: Line) -> list[Event]:
    tool = one_line(string(line.get("tool_name"), "a tool"), 60)
    return [Notice(level="warn", text=f"Permission denied: {tool}: {one_line(string(line.get('message')), 400)}")]


def _content(line: Line) -> list[Event]:
    text = string(line.get("content")).strip()
    if line.get("subtype") == "model_refusal_no_fallback":
        return [Notice(level="warn", text=one_line(text, 400) or "The model refused the request")]
    fallback = line.get("subtype") == "model_fallback"
    level: Level = "warn" if fallback else _LEVELS.get(string(line.get("level")), "info")
    return [Notice(level=level, text=one_line(text, 1_000))] if text else []


def _hook(line: Line) -> list[Event]:
    if string(line.get("outcome"), "success") == "success" and whole(line.get("exit_code")) == 0:
        return []
    words = next(filter(str.strip, (string(line.get(key)) for key in ("stderr", "stdout", "output"))), "")
    return [Notice(level="warn", text=f"Hook {one_line(string(line.get('hook_name')), 80)} failed: {one_line(words, 400)}")]


def _task(line: Line) -> list[Event]:
    status = string(line.get("status"))
    if status not in ("failed", "killed", "stopped"):
        return []
    return [Notice(level="warn", text=f"Background task {status}: {one_line(string(line.get('summary')), 400)}")]


_READERS: Mapping[str, Callable[[Line], Iterable[Event]]] = {
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
