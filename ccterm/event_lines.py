"""What is known of a transcript's lines without the events themselves: patterns for readers that pass over many, and the names of former versions.

The patterns rely on the order in which `events.to_line` writes fields: the stamp, the kind, then the event's own.
"""

import json
import re

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError

from ccterm.causes import FORMER_NAMES

TEXT_CAP = 64 * 1024
"""Longest text of an event, in characters; the rest is in agent.ndjson."""
KEY_LENGTH = 12
"""How long the key is by which a message to an agent and its answer know each other."""
_STAMP = rb'\{"seq":-?\d+,"at":(?:"[^"]*"|null),"run":"[^"]*",'
_STRING = rb'"(?:[^"\\]|\\.)*"'
SEQ_OF_LINE = re.compile(rb'\{"seq":(-?\d+),')
"""Matches the start of a transcript's line; group 1: its number."""
KIND_OF_LINE = re.compile(_STAMP + rb'"kind":"([a-z_]+)"')
"""Matches the start of any event's line; group 1: its kind."""
ID_OF_CALL = re.compile(_STAMP + rb'"kind":"tool_called","id":(' + _STRING + rb")")
"""Matches the start of a tool call's line; group 1: its id as JSON."""
REFUSED_HOST = re.compile(_STAMP + rb'("kind":"host_asked","host":' + _STRING + rb',"port":\d+,"allowed":false,)')
"""Matches the start of the line of a host that was refused; group 1: what all lines about it have, before its count."""
HOW_OFTEN = re.compile(rb'"count":(\d+),"more":(\d+)')
"""Matches what follows: how often so far in its step, and since it was last told."""
OK, NOT_OK = b'"ok":true', b'"ok":false'
"""Occur in the line of a tool's answer; texts cannot imitate them, since quotes are escaped there."""


def answer_to(call: str) -> bytes:
    """Return the bytes that precede OK or NOT_OK in the answer to a tool call, and occur in no other line."""
    return b'"kind":"tool_returned","id":' + json.dumps(call, ensure_ascii=False).encode(errors="replace") + b","


def cut(text: str, cap: int = TEXT_CAP, *, where: str = " in agent.ndjson") -> str:
    """Return text cut to `cap` characters, saying how much is missing. where: the rest is, if anywhere."""
    if len(text) <= cap:
        return text
    return f"{text[:cap]}\n[{len(text) - cap} more characters{where}]"


FORMER_KINDS = {"published": "pushed"}
"""Kinds as the first version named them -> their current names."""
_RENAMED = ("step", "cause", "reason")
_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue], config=ConfigDict(defer_build=True))


def upgraded(line: bytes) -> dict[str, JsonValue] | None:
    """Return an event of the first version with current names; None when there is nothing to translate."""
    try:
        old = _OBJECT.validate_json(line)
    except ValidationError:
        return None
    new = {name: FORMER_NAMES.get(value, value) if name in _RENAMED and isinstance(value, str) else value for name, value in old.items()}
    if new.get("kind") in FORMER_KINDS:
        new = new | {"kind": FORMER_KINDS[str(new["kind"])], "verified": new.pop("proven", False)}
    return new if new != old else None
