"""The wire format of the Messages API: requests parsed, answers written as server-sent events or as one object."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import PurePosixPath
from typing import TypeAlias

from pydantic import BaseModel, JsonValue

from tests.servers.model_script import Block, Cut, Silence, StreamError, Text, ToolUse, Turn

Json: TypeAlias = Mapping[str, JsonValue]

PIECE = 12
"""Characters of text in one delta."""

_numbers = count(1)


@dataclass(frozen=True)
class Call:
    """One request for an answer, as it was received."""

    session: str
    model: str
    stream: bool
    headers: Mapping[str, str]
    user_texts: tuple[str, ...]
    """Texts of the user's messages: the prompt, and what the CLI adds to it."""
    system_texts: tuple[str, ...]
    """Texts of messages with role `system`; what a user says during a turn arrives here."""
    working_directory: str
    tool_results: tuple[str, ...] = ()
    """What tools answered, as JSON."""
    body: bytes = b""
    """As it was received."""

    def says(self, text: str) -> bool:
        """Return whether a user said this, in a prompt or during a turn."""
        return any(text in said for said in self.user_texts + self.system_texts)


class _Block(BaseModel):
    type: str
    text: str = ""
    content: JsonValue = None


class _Message(BaseModel):
    role: str
    content: str | list[_Block]


class _Body(BaseModel):
    model: str
    messages: list[_Message]
    stream: bool = False


def read_call(body: bytes, headers: Mapping[str, str]) -> Call:
    """Parse a request for an answer."""
    parsed = _Body.model_validate_json(body)
    lowered = {name.lower(): value for name, value in headers.items()}
    texts = {role: tuple(_texts(parsed.messages, role)) for role in ("user", "system")}
    directory = re.search(r"Primary working directory: (.+)", "\n".join(texts["user"] + texts["system"]))
    return Call(
        session=lowered.get("x-claude-code-session-id", ""),
        model=parsed.model,
        stream=parsed.stream,
        headers=lowered,
        user_texts=texts["user"],
        system_texts=texts["system"],
        working_directory=directory[1] if directory else "/",
        tool_results=tuple(_results(parsed.messages)),
        body=body,
    )


def _texts(messages: Iterable[_Message], role: str) -> Iterator[str]:
    for message in messages:
        if message.role != role:
            continue
        if isinstance(message.content, str):
            yield message.content
        else:
            yield from (block.text for block in message.content if block.type == "text")


def _results(messages: Iterable[_Message]) -> Iterator[str]:
    for message in messages:
        if not isinstance(message.content, str):
            yield from (json.dumps(block.content, ensure_ascii=False) for block in message.content if block.type == "tool_result")


def whole_answer(turn: Turn, call: Call) -> Json:
    """Return an answer as one object."""
    content: list[JsonValue] = [_content(block, call) for block in turn.blocks]
    return {**_message(call, turn.input_tokens, turn.output_tokens), "content": content, "stop_reason": turn.stop_reason}


def stream_answer(turn: Turn, call: Call) -> Iterator[Json]:
    """Yield the events of an answer."""
    yield _start(call, turn.input_tokens)
    for index, block in enumerate(turn.blocks):
        yield from _block(index, block, call)
    stop: Json = {"stop_reason": turn.stop_reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": dict(stop), "usage": {"output_tokens": turn.output_tokens}}
    yield {"type": "message_stop"}


def broken_answer(failure: Cut | Silence | StreamError, call: Call) -> Iterator[Json]:
    """Yield the events of an answer up to where it breaks off."""
    yield _start(call, 1000)
    yield from list(_block(0, Text("These words are never finish"), call))[:3]
    if isinstance(failure, StreamError):
        yield {"type": "error", "error": {"type": failure.kind, "message": "Overloaded"}}


def _start(call: Call, input_tokens: int) -> Json:
    return {"type": "message_start", "message": dict(_message(call, input_tokens, 1))}


def _message(call: Call, input_tokens: int, output_tokens: int) -> Json:
    return {
        "id": f"msg_{next(_numbers):06}",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
    }


def _block(index: int, block: Block, call: Call) -> Iterator[Json]:
    whole = _content(block, call)
    empty = {**whole, "text": ""} if isinstance(block, Text) else {**whole, "input": {}}
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for delta in _deltas(block, whole):
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _deltas(block: Block, whole: dict[str, JsonValue]) -> Iterator[dict[str, JsonValue]]:
    if isinstance(block, ToolUse):
        yield {"type": "input_json_delta", "partial_json": json.dumps(whole["input"])}
    else:
        for start in range(0, len(block.text), PIECE):
            yield {"type": "text_delta", "text": block.text[start : start + PIECE]}


def _content(block: Block, call: Call) -> dict[str, JsonValue]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    arguments = dict(block.input)
    if "file_path" in arguments:
        arguments["file_path"] = str(PurePosixPath(call.working_directory) / str(arguments["file_path"]))
    return {"type": "tool_use", "id": f"toolu_{next(_numbers):06}", "name": block.name, "input": arguments}
