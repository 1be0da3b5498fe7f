"""Prints the stream-json of the Claude CLI 2.1.330, line by line as recorded from the real one, for the scripted agent."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence

from ccterm.box import fresh_uuid


class Stream:
    """Writes messages to stdout."""

    def __init__(self, *, session: str, model: str, permission: str, partial: bool, resumed: str = "") -> None:
        """Begin a stream. resumed: the file of the conversation that is continued."""
        self.session, self.model, self.permission, self.partial = session, model, permission, partial
        self.spending = Spending()
        self.denials: list[Mapping[str, object]] = []
        """The calls that were not permitted."""
        if resumed:
            self.spending.restore(resumed)
        self._conversation = Conversation(session, resumed)
        self._results = 0
        self._turn_began = time.monotonic()

    def raw(self, data: bytes, stream: int = 1) -> None:
        """Write bytes as they are."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(stream, rest) :]

    def emit(self, message: Mapping[str, object]) -> None:
        """Write one message, with the session it belongs to and an id of its own."""
        whole = {**message, "session_id": self.session, "uuid": fresh_uuid()}
        self.raw(line_of(whole))
        if message["type"] in ("assistant", "user"):
            self._conversation.add(whole)

    def begin_turn(self, text: str, key: str) -> None:
        """Begin a turn for a message."""
        self._conversation.add({"type": "user", "message": {"role": "user", "content": text}})
        self.lifecycle(key, "started")
        self._init()
        self.requesting()

    def _init(self) -> None:
        self._turn_began = time.monotonic()
        self.spending.begin_turn()
        self.emit(
            {
                "type": "system",
                "subtype": "init",
                "cwd": os.getcwd(),
                "tools": ["Task", "Bash", "Edit", "Read", "Write"],
                "mcp_servers": [],
                "model": self.model,
                "permissionMode": self.permission,
                "slash_commands": [],
                "apiKeySource": "none",
                "claude_code_version": "2.1.330",
                "output_style": "default",
                "agents": [],
                "skills": [],
                "plugins": [],
                "capabilities": ["msg_lifecycle_v1"],
            }
        )

    def requesting(self) -> None:
        """Say that the model is being asked, if partial messages are on."""
        if self.partial:
            self.emit({"type": "system", "subtype": "status", "status": "requesting"})

    def text(self, text: str, *, seconds: float = 0.0, deltas: bool = False, sleep: Callable[[float], None] = time.sleep) -> None:
        """Print a text block; with deltas it is typed over `seconds`."""
        message = fresh("msg_")
        if self.partial or deltas:
            typed = [{"type": "text_delta", "text": piece} for piece in pieces(text)]
            self._typed(message, {"type": "text", "text": ""}, typed, lambda: sleep(seconds / len(typed)))
        self._assistant(message, {"type": "text", "text": text})
        self._closed(message, "end_turn", deltas)

    def thinking(self, text: str) -> None:
        """Print a thinking block."""
        for tokens in range(5, len(text) // 4 + 6, 5):
            self.emit({"type": "system", "subtype": "thinking_tokens", "estimated_tokens": tokens, "estimated_tokens_delta": 5})
        self._assistant(fresh("msg_"), {"type": "thinking", "thinking": text, "signature": "c2NyaXB0ZWQ="})

    def tool_use(self, name: str, given: Mapping[str, object]) -> str:
        """Call a tool; return the call's id."""
        message, call = fresh("msg_"), fresh("toolu_")
        block = {"type": "tool_use", "id": call, "name": name, "input": given}
        if self.partial:
            typed = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(json.dumps(given))]]
            self._typed(message, {**block, "input": {}}, typed)
        self._assistant(message, block)
        self._closed(message, "tool_use", deltas=False)
        return call

    def tool_result(self, call: str, content: str, *, ok: bool = True, structured: object = None) -> None:
        """Print a tool's result."""
        block = {"tool_use_id": call, "type": "tool_result", "content": content, "is_error": not ok}
        detail = structured if ok and structured is not None else f"Error: {content}"
        self.user([block], tool_use_result=detail)
        self.requesting()

    def user(self, content: Sequence[Mapping[str, object]], **more: object) -> None:
        """Write a message to the model."""
        message = {"type": "user", "message": {"role": "user", "content": content}, "parent_tool_use_id": None}
        self.emit({**message, "timestamp": timestamp(), **more})

    def synthetic(self, text: str, stop_reason: str, **more: object) -> None:
        """Print what the CLI says in place of the model when a request failed."""
        body: dict[str, object] = {
            "id": fresh_uuid(),
            "type": "message",
            "role": "assistant",
            "model": "<synthetic>",
            "stop_reason": stop_reason,
        }
        body |= {"usage": usage(0, 0), "content": [{"type": "text", "text": text}]}
        self.emit({"type": "assistant", "message": body, "parent_tool_use_id": None, "timestamp": timestamp(), **more})

    def limit(self, status: str, utilization: float, resets_in: float) -> None:
        """Report how much of the five-hour window is used."""
        window = {"utilization": utilization, "resetsAt": int(time.time() + resets_in), "status": status}
        info = {**window, "rateLimitType": "five_hour", "isUsingOverage": False, "unifiedWindows": {"five_hour": window}}
        self.emit({"type": "rate_limit_event", "rate_limit_info": info})

    def success(self, text: str) -> None:
        """End a turn successfully."""
        self.result(is_error=False, subtype="success", terminal_reason="completed", api_error_status=None, result=text)

    def lifecycle(self, key: str, state: str) -> None:
        """Report the state of a message from stdin."""
        if key:
            self.emit({"type": "command_lifecycle", "command_uuid": key, "state": state})

    def result(self, *, is_error: bool, subtype: str, terminal_reason: str, **more: object) -> None:
        """End a turn."""
        spent = self.spending
        models = {self.model: {"inputTokens": spent.input, "outputTokens": spent.output, "costUSD": round(spent.cost_usd, 6)}}
        passed = int((time.monotonic() - self._turn_began) * 1000)
        self.emit(
            {
                "duration_api_ms": passed,
                "stop_reason": None if is_error else "end_turn",
                "total_cost_usd": round(spent.cost_usd, 6),
                "usage": usage(spent.turn_input, spent.turn_output),
                "modelUsage": models if spent.input else {},
                "permission_denials": self.denials,
                "terminal_reason": terminal_reason,
                "is_error": is_error,
                "num_turns": max(1, spent.turn_answers),
                "subtype": subtype,
                **more,
                "type": "result",
                "duration_ms": passed,
                "queued_turn_count": 0,
                "result_index": self._results,
            }
        )
        self._results += 1

    def _assistant(self, message: str, block: Mapping[str, object]) -> None:
        body: dict[str, object] = {"id": message, "type": "message", "role": "assistant", "model": self.model, "content": [block]}
        body |= {"stop_reason": None, "stop_sequence": None, "usage": usage(INPUT, 1), "context_management": None}
        self.emit({"type": "assistant", "message": body, "parent_tool_use_id": None, "timestamp": timestamp(), "request_id": fresh("req_")})

    def _typed(
        self, message: str, block: Mapping[str, object], deltas: Sequence[Mapping[str, object]], pause: Callable[[], None] = lambda: None
    ) -> None:
        start = {"id": message, "type": "message", "role": "assistant", "model": self.model, "content": [], "usage": usage(INPUT, 1)}
        self._event(message, {"type": "message_start", "message": start})
        self._event(message, {"type": "content_block_start", "index": 0, "content_block": block})
        for delta in deltas:
            pause()
            self._event(message, {"type": "content_block_delta", "index": 0, "delta": delta})

    def _closed(self, message: str, reason: str, deltas: bool) -> None:
        self.spending.answer()
        if self.partial or deltas:
            self._event(message, {"type": "content_block_stop", "index": 0})
            delta = {"stop_reason": reason, "stop_sequence": None}
            self._event(message, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUTPUT}})
            self._event(message, {"type": "message_stop"})

    def _event(self, message: str, event: Mapping[str, object]) -> None:
        self.emit({"type": "stream_event", "event": event, "parent_tool_use_id": None, "api_message_id": message})


COST_USD, INPUT, OUTPUT = 0.0028, 1200, 40
"""Cost of one answer unless the script says otherwise."""


class Spending:
    """Money and tokens of this turn and of the session so far."""

    def __init__(self) -> None:
        self.cost_usd = 0.0
        self.turn_input = self.turn_output = self.turn_answers = 0
        self.input = self.output = 0

    def restore(self, conversation: str) -> None:
        """Count the answers in the file of a conversation: the CLI's totals are those of the whole session, too."""
        with open(conversation, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                if line.startswith('{"type":"assistant"'):
                    self.answer()

    def begin_turn(self) -> None:
        """Reset the counts of the turn."""
        self.turn_input = self.turn_output = self.turn_answers = 0

    def answer(self, cost_usd: float = COST_USD, input_tokens: int = INPUT, output_tokens: int = OUTPUT) -> None:
        """Count one answer of the model."""
        self.cost_usd += cost_usd
        self.turn_answers += 1
        self.turn_input += input_tokens
        self.turn_output += output_tokens
        self.input += input_tokens
        self.output += output_tokens


def projects() -> str:
    """Return the directory of all conversations."""
    return os.path.join(os.environ.get("HOME", "/nonexistent"), ".claude", "projects")


class Conversation:
    """The session's file below HOME, as the CLI keeps it; none if HOME cannot be written to."""

    def __init__(self, session: str, resumed: str = "") -> None:
        self._file = -1
        project = "".join(letter if letter.isalnum() else "-" for letter in os.getcwd())
        path = resumed or os.path.join(projects(), project, f"{session}.jsonl")
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @staticmethod
    def find(session: str) -> str:
        """Return the file of an earlier conversation, "" = there is none."""
        for directory in sorted(os.listdir(projects()) if os.path.isdir(projects()) else ()):
            path = os.path.join(projects(), directory, f"{session}.jsonl")
            if os.path.isfile(path):
                return path
        return ""

    def add(self, message: Mapping[str, object]) -> None:
        """Append one message."""
        if self._file >= 0:
            os.write(self._file, line_of(message))


def line_of(message: Mapping[str, object]) -> bytes:
    """Return a message as the CLI prints it: raw UTF-8, one line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def usage(input_tokens: int, output_tokens: int) -> dict[str, object]:
    """Return a usage block."""
    cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": input_tokens, **cache, "output_tokens": output_tokens, "service_tier": "standard"}


def fresh(prefix: str) -> str:
    """Return a fresh id of the API's kind."""
    return prefix + os.urandom(12).hex()


def timestamp() -> str:
    """Return the time as the CLI writes it."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"


def pieces(text: str) -> list[str]:
    """Return the pieces in which a text is typed, at most a hundred."""
    size = max(20, len(text) // 100 + 1)
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]
