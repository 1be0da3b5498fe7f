"""What a person sees of a tool call: a one-line summary, its input within bounds, its answer in whatever shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from ccterm.agents.stream_tools import INPUT, LINE, answer, bounded, one_line, summary
from tests.agents.reading import JSON


@pytest.mark.parametrize(
    ("content", "structured", "text"),
    [
        ("words", None, "words"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], None, "a\nb"),
        ([{"type": "image", "source": {}}], None, "[image]"),
        (None, "Error: no", "Error: no"),
        (None, None, ""),
        ({"odd": 1}, None, ""),
    ],
)
def test_an_answer_comes_in_three_shapes(content: JsonValue, structured: JsonValue, text: str) -> None:
    assert answer(content, structured) == text


@pytest.mark.parametrize(
    ("name", "given_", "line"),
    [
        ("Read", {"file_path": "/box/tree/src/a.py"}, "src/a.py"),
        ("Read", {"file_path": "/etc/hosts"}, "/etc/hosts"),
        ("Edit", {"file_path": "/box/tree/a", "old_string": "1\n2\n", "new_string": "3"}, "a +1 -2"),
        ("MultiEdit", {"file_path": "a", "edits": [{"old_string": "1", "new_string": "2\n3"}, {"new_string": "4"}]}, "a +3 -1"),
        ("Write", {"file_path": "a", "content": "x\ny"}, "a +2"),
        ("Bash", {"command": "make  all\n make test", "description": "Build"}, "make all make test"),
        ("Grep", {"pattern": "def .*", "path": "/box/tree/src"}, "def .* in src"),
        ("Grep", {"pattern": "x"}, "x"),
        ("Task", {"description": "Look around", "prompt": "…"}, "Look around"),
        ("WebFetch", {"prompt": "sum up", "url": "https://example.org"}, "https://example.org"),
        ("TodoWrite", {"todos": [{"content": "a", "status": "completed"}, {"content": "b", "status": "in_progress"}]}, "1/2 b"),
        ("mcp__echo__shout", {"count": 3, "text": "hi there"}, "hi there"),
        ("Anything", {}, ""),
        ("Edit", {"file_path": 7, "old_string": [], "new_string": None}, "+0 -0"),
    ],
)
def test_a_call_is_summarised_in_one_line(name: str, given_: dict[str, JsonValue], line: str) -> None:
    assert summary(name, given_, "/box/tree") == line


def test_a_summary_is_short_and_on_one_line() -> None:
    line = one_line("word\n" * 100_000)
    assert len(line) == LINE
    assert "\n" not in line


@given(given_=st.dictionaries(st.text(max_size=5), JSON, max_size=5), size=st.integers(0, 200_000))
def test_an_input_is_kept_within_bounds(given_: dict[str, JsonValue], size: int) -> None:
    kept = bounded({**given_, "content": "x" * size, "more": ["y" * size] * 100})
    assert sum(len(str(value)) for value in kept.values()) < 2 * INPUT
