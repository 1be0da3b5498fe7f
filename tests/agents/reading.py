"""What the tests of the agents share: a recorded run read to its end."""

import math
from collections.abc import Iterable

from hypothesis import strategies as st
from pydantic import JsonValue

from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome, judge
from ccterm.events import Event
from tests.captures.recorded import Capture

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\ud800x", "", 10**400, -1, math.inf, "text", "tool_use"]),
)
JSON: st.SearchStrategy[JsonValue] = st.recursive(
    _ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=8
)
"""Any JSON, including odd strings and numbers."""


def read(objects: Iterable[dict[str, JsonValue]]) -> tuple[StreamParser, list[Event]]:
    """Feed lines to a fresh parser; return it and its events."""
    parser = StreamParser()
    return parser, [event for line in objects for event in parser.feed(line)]


def report(exit_code: int = 0, stopped_by: str = "") -> dict[str, JsonValue]:
    """Return what a supervisor reports; a negative exit code is a signal."""
    died = exit_code < 0
    return {
        "ok": True,
        "exit": None if died else exit_code,
        "signal": -exit_code if died else None,
        "stopped_by": stopped_by,
        "seconds": 1.0,
    }


def outcome(capture: Capture, stopped_by: str = "") -> Outcome:
    """Return the verdict on a recorded run."""
    parser, _ = read(capture.objects)
    for line in capture.stderr.split("\n"):
        parser.remember_tail(line)
    return judge(parser, report(capture.exit, stopped_by))
