"""Heads of skills, commands and agents: what describes stays, what permits or runs does not get through in any spelling of YAML."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ccterm.box.agent.frontmatter import defused

KEEP = frozenset(["name", "description", "model", "tools"])
EVIL = [
    "hooks: {PreToolUse: []}",
    '"hooks": {PreToolUse: []}',
    "'hooks': x",
    "? hooks\n: {PreToolUse: []}",
    '"h\\u006foks": x',
    "!!str hooks: x",
    "&a hooks: x",
    "hooks : x",
    "{hooks: x, name: y}",
    "<<: {hooks: x}",
    "allowed-tools: Bash(*)",
    "name: x\nhooks: y",
    "description: |\n  text\nhooks: x",
    "description: 'one\n  two'\nhooks: x",
    'description: "one\nhooks: x"',
    "--- \nhooks: x",
    "...\n---\nhooks: x",
    "%YAML 1.2\n---\nhooks: x",
    "\thooks: x",
    "description: [a,\nhooks: b]",
    "description: x\r\nhooks: y\r\n",
    "\u2028hooks: x",
    "description: \u0085hooks: x",
    "- hooks: x",
]


def head(text: str) -> object:
    """Return what a YAML parser makes of the first head in a file."""
    _, inside, _ = text.split("---\n", 2)
    return yaml.safe_load(inside)


pieces = st.lists(
    st.sampled_from(EVIL) | st.sampled_from(["name: n", "description: d", "# c", "", "  more", "tools: Read"]) | st.text(), max_size=8
)


@given(pieces, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["---", "--- ", "\ufeff---", " ---", ""]))
def test_only_known_keys_with_plain_values_are_left(lines: list[str], newline: str, start: str) -> None:
    fresh, _ = defused(newline.join([start, *lines, "---", "body"]), KEEP)
    found = head(fresh)
    assert isinstance(found, dict)
    assert set(found) <= KEEP | {"user-invocable"}
    assert all(isinstance(value, str | bool) for value in found.values())


def test_an_honest_head_says_the_same_as_before() -> None:
    text = (
        "---\nname: tidy\ndescription: >-\n  Tidies: imports,\n  names\nmodel: 'opus'  \ntools:\n  - Read\n  - \"Grep\"\n"
        "allowed-tools: Bash\nhooks:\n  Stop: []\n---\nBody\n---\nmore\n"
    )
    fresh, removed = defused(text, KEEP)
    assert head(fresh) == {"name": "tidy", "description": "Tidies: imports, names", "model": "opus", "tools": "Read, Grep"}
    assert removed == {"allowed-tools", "hooks"}
    assert fresh.endswith("---\nBody\n---\nmore\n")


def test_a_value_of_several_lines_or_a_list_in_brackets_is_one_text() -> None:
    fresh, _ = defused("---\ndescription: |\n  a\n  b\ntools: [Read, 'Edit']\nname: true\n---\n", KEEP)
    assert head(fresh) == {"description": "a\nb", "tools": "Read, Edit", "name": True}


def test_a_file_without_a_head_gets_one_that_says_nothing() -> None:
    fresh, removed = defused("Just text\n---\nhooks: x\n---\n", KEEP)
    assert (head(fresh), removed) == ({"user-invocable": True}, set())
    assert fresh.endswith("Just text\n---\nhooks: x\n---\n")
