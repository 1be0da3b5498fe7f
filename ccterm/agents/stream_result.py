"""What a `result` line says of a turn, and what the session has cost so far."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from ccterm.agents.shapes import items, mapping, number, string, whole
from ccterm.agents.stream_tools import one_line
from ccterm.events import Spent

WORD = 60
"""Longest name of a kind or reason, in characters."""

Line = Mapping[str, JsonValue]


@dataclass(frozen=True)
class Result:
    """The last `result` line: what the agent's program says of the turn."""

    failed: bool
    text: str
    subtype: str
    errors: tuple[str, ...]
    api_error: str
    status: int | None
    stop_reason: str
    terminal_reason: str

    @classmethod
    def of(cls, line: Line) -> "Result":
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


def spent_after(line: Line, before: Spent) -> Spent:
    """Return the costs so far, at the end of a turn. Cost and `modelUsage` are the session's, `usage` and `num_turns` the turn's."""
    models = [mapping(usage) for usage in mapping(line.get("modelUsage")).values()]
    turn = mapping(line.get("usage"))
    cost = number(line.get("total_cost_usd"))
    if models:
        given, made = sum(whole(m.get("inputTokens")) for m in models), sum(whole(m.get("outputTokens")) for m in models)
        cached = sum(whole(m.get("cacheReadInputTokens")) + whole(m.get("cacheCreationInputTokens")) for m in models)
    else:
        given, made = before.input + whole(turn.get("input_tokens")), before.output + whole(turn.get("output_tokens"))
        cached = before.cache + whole(turn.get("cache_read_input_tokens")) + whole(turn.get("cache_creation_input_tokens"))
    return Spent(
        cost_usd=before.cost_usd if cost is None else max(cost, before.cost_usd),
        input=given,
        output=made,
        cache=cached,
        turns=before.turns + whole(line.get("num_turns")),
    )
