"""Cleans text that an agent types piece by piece, so that a secret split over pieces is masked as if it had come whole.

Each content block has its own streaming cleaner, which holds back what may be the beginning of a secret or of an escape sequence.
Pieces of anything else (a tool's input, thoughts, signatures) are dropped: the whole block follows on a line of its own. Of a message that
begins or ends its numbers of tokens pass.
"""

from collections.abc import Mapping

from pydantic import JsonValue

from ccterm.output.clean import Cleaner, CleanStream

BLOCKS = 32
"""How many content blocks may be open at once."""
_LONGEST_ID = 200
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class DeltaCleaner:
    """Cleans the `stream_event` lines of one run."""

    def __init__(self, cleaner: Cleaner) -> None:
        self._cleaner = cleaner
        self._open: dict[tuple[str, str], CleanStream] = {}

    def clean(self, line: Mapping[str, JsonValue]) -> dict[str, JsonValue] | None:
        """Return what the parser may see of a line, or None for nothing."""
        event = line.get("event")
        if not isinstance(event, dict):
            return None
        match event.get("type"):
            case "content_block_start":
                self._open.pop(_key(line, event), None)
                return self._piece(line, event, "content_block", "text")
            case "content_block_delta":
                return self._piece(line, event, "delta", "text_delta")
            case "content_block_stop":
                self._open.pop(_key(line, event), None)
                return _bare(line, {"type": "content_block_stop"})
            case "message_start":
                self._open.clear()
                return _bare(line, {"type": "message_start", **self._numbers(line, event.get("message"))})
            case "message_delta":
                return _bare(line, {"type": "message_delta", "usage": _counts(event)})
            case "message_stop":
                self._open.clear()
                return _bare(line, {"type": "message_stop"})
        return None

    def _numbers(self, line: Mapping[str, JsonValue], message: JsonValue) -> dict[str, JsonValue]:
        """Return which message begins, and its tokens; of a sub-agent's the whole message tells them."""
        if not isinstance(message, dict) or line.get("parent_tool_use_id"):
            return {}
        return {"message": {"id": self._cleaner.text(str(message.get("id"))[:_LONGEST_ID]), "usage": _counts(message)}}

    def _piece(self, line: Mapping[str, JsonValue], event: Mapping[str, JsonValue], where: str, wanted: str) -> dict[str, JsonValue] | None:
        piece, starts = event.get(where), where == "content_block"
        text = piece.get("text") if isinstance(piece, dict) and piece.get("type") == wanted else None
        if not isinstance(text, str):
            return _bare(line, {"type": "content_block_start"}) if starts else None
        stream = self._stream(_key(line, event))
        return _bare(
            line, {"type": "content_block_start" if starts else "content_block_delta", where: {"type": wanted, "text": stream.feed(text)}}
        )

    def _stream(self, key: tuple[str, str]) -> CleanStream:
        if key not in self._open:
            if len(self._open) >= BLOCKS:
                self._open.clear()
            self._open[key] = self._cleaner.stream()
        return self._open[key]


def _counts(of: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the numbers of tokens of a message."""
    usage = of.get("usage")
    return {name: usage[name] for name in _COUNTS if isinstance(usage.get(name), int)} if isinstance(usage, dict) else {}


def _key(line: Mapping[str, JsonValue], event: Mapping[str, JsonValue]) -> tuple[str, str]:
    return str(line.get("parent_tool_use_id"))[:100], str(event.get("index"))[:100]


def _bare(line: Mapping[str, JsonValue], event: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a line that holds nothing from the agent but the event; a sub-agent's line is only marked as one."""
    return {"type": "stream_event", "event": event, "parent_tool_use_id": "sub-agent" if line.get("parent_tool_use_id") else None}
