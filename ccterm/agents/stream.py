"""Turns the stream-json lines of an agent into events, and remembers what the verdict needs.

Every part of a line is optional and may have any shape: what is not understood is counted and skipped. The lines are already
sanitised and masked.
"""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from ccterm.agents.json_values import JsonObject, items, mapping, moment, string
from ccterm.agents.live_usage import LiveUsage
from ccterm.agents.stream_session import Result, limits, permission_events, spent_after, system_events
from ccterm.agents.stream_tools import answer, bounded, one_line, summary
from ccterm.event_lines import cut
from ccterm.events import Event, Notice, Said, Spent, Thought, ToolCalled, ToolReturned, Typing
from ccterm.values import Tokens

TYPING = 4_000
"""How many characters of a half-typed text an event carries: the last ones. The whole text follows as `said`."""
REMEMBERED = 256
"""How many sub-agents and unknown types are remembered by name."""
TAIL_LINES, TAIL_WIDTH = 20, 500
DENIED = 160
"""How many characters describe a call that was denied."""


class StreamParser:
    """Reads the lines of one run in order."""

    def __init__(self, before: Spent | None = None) -> None:
        """Begin with nothing read. before: what the conversation had cost before this run, which is in the totals of a resumed one."""
        self._before = before
        self.session_id = ""
        self.cli_version = ""
        self.model = ""
        self.api_key_source = ""
        self.result: Result | None = None
        """The last result line, or None."""
        self.results = 0
        self.turn_open = False
        """Whether a turn has begun that has no result yet."""
        self.error = ""
        """The kind of the last API error in the current turn: rate_limit, authentication_failed, …"""
        self.rejected = ""
        """The usage window that rejected the agent, or ""."""
        self.resets_at: datetime | None = None
        self.said = ""
        """The agent's last message; a sub-agent's do not count."""
        self.denied: dict[str, str] = {}
        """What the agent was not allowed to do: id of the call -> the call on one line."""
        self.spent = Spent(cost_usd=0.0)
        """What the results have told so far."""
        self._live = LiveUsage()
        self._counted: Tokens | None = None
        self.windows_known = False
        """Whether somebody else tells of usage windows, so that the stream's own words need not be shown."""
        self.unknown: Counter[str] = Counter()
        """Types that were skipped."""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        """The last lines that were not part of the stream: a start-up error is reported there."""
        self._cwd = ""
        self._typed = ""
        self._subagents: dict[str, str] = {}

    def feed(self, line: dict[str, JsonValue]) -> list[Event]:
        """Return what a line says, as events without number and time. Never raises, whatever the line holds."""
        self.session_id = self.session_id or string(line.get("session_id"))
        match line.get("type"):
            case "stream_event":
                self._live.stream_event(line)
                return [*self._stream_event(line), *self._used()]
            case "assistant":
                self._live.message(line)
                return [*self._assistant(line), *self._used()]
            case "user":
                return self._user(line)
            case "system":
                return self._system(line)
            case "result":
                return self._result(line)
            case "rate_limit_event":
                return self._limited(line)
            case "command_lifecycle" | "control_response" | "control_cancel_request" | "keep_alive":
                return []
            case "control_request":
                found = permission_events(line, self._cwd)
            case kind:
                found = self._unknown("type", kind)
        return found

    def _used(self) -> list[Event]:
        """Return what the turn has used so far, when that is more than was told."""
        live = self._live.since(self.spent, self._counted)
        return [live] if live else []

    def counted(self, tokens: Tokens, *, requests: int, throttled: int) -> list[Event]:
        """Return what the run has used, now that the gateway has counted this much since it began. Between turns the last result stands."""
        before, self._counted = self.spent, tokens
        self.spent = self.spent.model_copy(update={"requests": requests, "throttled": throttled})
        live = self._used() if self.turn_open else []
        return live or ([self.spent] if self.spent != before and not self.turn_open else [])

    def remember_tail(self, text: str) -> None:
        """Remember the last lines of a text beside the stream: stderr, or stdout that is not JSON."""
        for line in text.rsplit("\n", TAIL_LINES)[-TAIL_LINES:]:
            if line.strip():
                self.tail.append(line.rstrip()[:TAIL_WIDTH])

    def _unknown(self, what: str, name: JsonValue) -> list[Event]:
        key = f"{what} {one_line(string(name, '?'), 60)}"
        if key in self.unknown or len(self.unknown) < REMEMBERED:
            self.unknown[key] += 1
        return []

    def _system(self, line: JsonObject) -> list[Event]:
        events = system_events(line)
        match line.get("subtype"):
            case "init":
                return [*self._init(line), *(events or [])]
            case "permission_denied":
                self._note_denial(line, "")
        return self._unknown("system", line.get("subtype")) if events is None else events

    def _init(self, line: JsonObject) -> list[Event]:
        source, previous = string(line.get("apiKeySource"), "none"), self.api_key_source
        self.cli_version = string(line.get("claude_code_version")) or self.cli_version
        self.model = string(line.get("model")) or self.model
        self._cwd = string(line.get("cwd"))
        self.turn_open, self.error, self.api_key_source = True, "", source
        if source in ("none", "oauth", previous):
            return []
        return [
            Notice(
                level="warn",
                text=f"The agent uses an API key ({one_line(source, 60)}): this run is billed to the API, not to a subscription",
            )
        ]

    def _assistant(self, line: JsonObject) -> list[Event]:
        agent = self._agent(line)
        if not agent:
            self.turn_open = True
            self.error = one_line(string(line.get("error")), 60) or self.error
        content = mapping(line.get("message")).get("content")
        blocks: Sequence[JsonValue] = [{"type": "text", "text": content}] if isinstance(content, str) else items(content)
        broken = bool(line.get("is_api_error_message"))
        return [event for block in blocks for event in self._block(mapping(block), agent, broken=broken)]

    def _agent(self, line: JsonObject) -> str:
        """Return the sub-agent that a line belongs to, or "" for the agent itself."""
        parent = string(line.get("parent_tool_use_id"))
        if not parent:
            return ""
        name = string(line.get("task_description")) or self._subagents.get(parent) or string(line.get("subagent_type"))
        return one_line(name, 80) or "sub-agent"

    def _block(self, block: JsonObject, agent: str, *, broken: bool) -> list[Event]:
        match block.get("type"):
            case "text":
                return self._text(string(block.get("text")), agent, broken=broken)
            case "thinking" | "redacted_thinking":
                length = len(string(block.get("thinking")))
                return [Thought(tokens=length // 4)] if length and not agent else []
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                return [self._called(block, agent)]
            case str(kind) if kind.endswith("tool_result") and "tool_use_id" in block:
                return [_returned(block)]
        return self._unknown("block", block.get("type"))

    def _text(self, text: str, agent: str, *, broken: bool) -> list[Event]:
        if not agent:
            self._typed = ""
        if not text.strip():
            return []
        if broken:
            return [Notice(level="error", text=cut(text.strip(), 2_000))]
        if not agent:
            self.said = text
        return [Said(text=cut(text), agent=agent)]

    def _called(self, block: JsonObject, agent: str) -> ToolCalled:
        key, name = string(block.get("id")), one_line(string(block.get("name"), "?"), 100)
        given = mapping(block.get("input"))
        if name in ("Task", "Agent") and len(self._subagents) < REMEMBERED:
            self._subagents[key] = string(given.get("description"))
        return ToolCalled(id=key[:200], name=name, summary=summary(name, given, self._cwd), input=bounded(given), agent=agent)

    def _user(self, line: JsonObject) -> list[Event]:
        """Return the tools' answers; everything else sent to the model comes from the CLI or the user and is shown elsewhere."""
        blocks = map(mapping, items(mapping(line.get("message")).get("content")))
        return [_returned(block, line.get("tool_use_result")) for block in blocks if block.get("type") == "tool_result"]

    def _limited(self, line: JsonObject) -> list[Event]:
        info, events = mapping(line.get("rate_limit_info")), limits(line)
        if info.get("status") != "rejected":
            self.rejected, self.resets_at = "", None
        elif info.get("rateLimitType") or info.get("resetsAt"):  # a plain 429 comes as a rejection that names no window
            self.rejected, self.resets_at = events[-1].limit, moment(info.get("resetsAt"))
        return [] if self.windows_known else list(events)

    def _result(self, line: JsonObject) -> list[Event]:
        self.result, self.results, self.turn_open = Result.of(line), self.results + 1, False
        for denial in map(mapping, items(line.get("permission_denials"))):
            self._note_denial(denial, summary(string(denial.get("tool_name")), mapping(denial.get("tool_input")), self._cwd))
        counters = {"requests": self.spent.requests, "throttled": self.spent.throttled}
        self.spent, self._live = spent_after(line, self.spent, self._before).model_copy(update=counters), LiveUsage()
        return [*self._abandoned(), self.spent]

    def _note_denial(self, denial: JsonObject, what: str) -> None:
        key = string(denial.get("tool_use_id"))
        if key in self.denied or len(self.denied) < REMEMBERED:
            named = one_line(f"{string(denial.get('tool_name'), 'a tool')} {what}", DENIED)
            self.denied[key] = named if what else self.denied.get(key, named)

    def _stream_event(self, line: JsonObject) -> list[Event]:
        if line.get("parent_tool_use_id"):
            return []
        event = mapping(line.get("event"))
        match event.get("type"):
            case "content_block_start":
                return [*self._abandoned(), *self._type(mapping(event.get("content_block")))]
            case "content_block_delta":
                return self._type(mapping(event.get("delta")))
            case "message_start" | "content_block_stop" | "message_stop":
                return self._abandoned()
        return []

    def _type(self, piece: JsonObject) -> list[Event]:
        text = string(piece.get("text")) if piece.get("type") in ("text", "text_delta") else ""
        if not text:
            return []
        self._typed = (self._typed + text)[-TYPING - 1 :]
        return [Typing(text=self._typed if len(self._typed) <= TYPING else "…" + self._typed[2:])]

    def _abandoned(self) -> list[Event]:
        """Return an event that withdraws a half-typed text which was never finished: the stream broke and will start again."""
        if not self._typed:
            return []
        self._typed = ""
        return [Typing(text="")]


def _returned(block: JsonObject, structured: JsonValue = None) -> ToolReturned:
    text = answer(block.get("content"), structured if isinstance(structured, str) else None)
    return ToolReturned(id=string(block.get("tool_use_id"))[:200], ok=block.get("is_error") is not True, text=cut(text))
