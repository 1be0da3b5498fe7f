"""Stored facts are read as they were written, and those of the first version by today's names."""

import json
from pathlib import Path

from ccterm.policy.facts import embedded_repositories, read_facts, write_facts
from ccterm.policy.rules import PolicyFacts
from ccterm.workspace.work import PathChange


def test_stored_facts_are_read_back(tmp_path: Path) -> None:
    facts = PolicyFacts(
        refusals=(("name", "a\nb", "control characters"),), secrets=("TOKEN",), shaped=("key",), ignored=("log",), tracked_lines=7
    )
    write_facts(tmp_path, facts)
    found = read_facts(tmp_path)
    assert (found.refusals, list(found.secrets), list(found.shaped), list(found.ignored), found.tracked_lines) == (
        (("name", "a\nb", "control characters"),),
        ["TOKEN"],
        ["key"],
        ["log"],
        7,
    )


def test_a_rule_of_the_first_version_has_its_name_of_today(tmp_path: Path) -> None:
    write_facts(tmp_path, PolicyFacts())
    [note] = tmp_path.iterdir()
    note.write_text(json.dumps(json.loads(note.read_text()) | {"refusals": [["twin", "README.MD", "some systems take it for README.md"]]}))
    assert [rule for rule, _, _ in read_facts(tmp_path).refusals] == ["case_collision"]


def test_an_embedded_repository_is_found_on_the_host_too() -> None:
    changes = [PathChange(path, None, "100755") for path in ("a/HEAD", "a/Objects", "a/refs", "a/x", "b/HEAD", "README.md")]
    assert [path for _, path, _ in embedded_repositories(changes)] == ["a/HEAD", "a/Objects", "a/refs", "a/x"]
    assert [path for _, path, _ in embedded_repositories([*map(_at_root, changes)])] == ["HEAD", "Objects", "refs"]


def _at_root(change: PathChange) -> PathChange:
    return PathChange(change.path.removeprefix("a/"), None, change.new_mode)
