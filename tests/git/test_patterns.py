"""Patterns of others are matched within a time limit; past it nothing is assumed, and the pattern is named."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccterm.git.git import Git, GitError, init
from ccterm.git.patterns import attributes_of, ignored_by
from ccterm.workspace.snapshot.listing import Listing, list_included, list_paths
from tests.support.git import write_files
from tests.support.slow_git import PATTERN, slow_git

SECONDS = 0.4
PATHS = [b"a.o", b"sub/deep/er/c", b"slow/b"]


@pytest.fixture
def tree(tmp_path: Path) -> Git:
    """Return git on a tree of files."""
    write_files(tmp_path / "tree", {path.decode(): "x\n" for path in PATHS} | {".gitignore": "*.o\nbuild/*/x\n"})
    return Git(init(str(tmp_path / "clean.git"), None, "main").directory, work_tree=str(tmp_path / "tree"))


@pytest.fixture
def slow(tree: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Return the same with a git that is slow for one pattern."""
    monkeypatch.setenv("PATH", slow_git(tmp_path))
    return Git(tree.directory, work_tree=tree.work_tree)


def refusal(question: object) -> str:
    """Return what a question is refused with."""
    assert callable(question)
    with pytest.raises(GitError) as found:
        question()
    assert found.value.reason == "pattern"
    return found.value.detail


def test_honest_patterns_are_answered(tree: Git, tmp_path: Path) -> None:
    write_files(tmp_path / "tree", {".gitattributes": "*.o binary\n"})
    assert ignored_by(tree)(PATHS) == {b"a.o"}
    assert list(attributes_of(tree, ["text"], PATHS[:2])) == [(b"a.o", "text", b"unset"), (b"sub/deep/er/c", "text", b"unspecified")]
    assert list(attributes_of(tree, ["text"], [])) == []


@pytest.mark.parametrize("file", [".gitignore", "sub/.gitignore"])
def test_a_slow_ignore_rule_is_named_with_its_file(slow: Git, tmp_path: Path, file: str) -> None:
    write_files(tmp_path / "tree", {file: f"# with * in it\n*.o\na*b*c*d*e\n!{PATTERN}/\n"})
    said = refusal(lambda: ignored_by(slow, seconds=SECONDS)(PATHS))
    assert said == f"the pattern '{PATTERN}' in {file} takes git longer than 0.4 s to match; simplify it"


def test_a_slow_attribute_is_named_with_its_file(slow: Git, tmp_path: Path) -> None:
    write_files(tmp_path / "tree", {".gitattributes": f"*.o binary\n{PATTERN} -text\n"})
    said = refusal(lambda: list(attributes_of(slow, ["text"], PATHS, seconds=SECONDS)))
    assert said == f"the pattern '{PATTERN}' in .gitattributes takes git longer than 0.4 s to match; simplify it"


def test_a_slow_pattern_that_is_not_found_is_an_error_all_the_same(slow: Git, tmp_path: Path) -> None:
    write_files(tmp_path, {"rules": PATTERN})
    said = refusal(lambda: ignored_by(slow, rules=str(tmp_path / "rules"), seconds=SECONDS)(PATHS))
    assert said == "git took longer than 0.4 s to match the patterns of .gitignore"


def test_a_snapshot_is_refused_with_the_pattern(slow: Git, tmp_path: Path) -> None:
    write_files(tmp_path / "tree", {"sub/.gitignore": PATTERN})
    said = refusal(lambda: list_paths(slow, "/dev/null", SECONDS))
    assert said == f"the pattern '{PATTERN}' in sub/.gitignore takes git longer than 0.4 s to match; simplify it"


def test_what_to_include_is_matched_within_the_limit_too(slow: Git) -> None:
    said = refusal(lambda: list_included(slow, ["*.env", PATTERN], Listing([]), SECONDS))
    assert said == f"the pattern '{PATTERN}' in include takes git longer than 0.4 s to match; simplify it"


@given(st.lists(st.text("ab*?/[]!\\ ", max_size=40), max_size=4), st.lists(st.text("ab/", min_size=1, max_size=80), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_patterns_an_answer_or_a_refusal_comes_in_time(
    tree: Git, tmp_path: Path, patterns: list[str], paths: list[str]
) -> None:
    write_files(tmp_path / "tree", {".gitignore": "\n".join([*patterns, "x/" + "**/" * len(patterns) + "b"])})
    asked = [path.strip("/").replace("//", "/").encode() or b"a" for path in (*paths, "x/" + "a/" * 20 + "c")]
    begin = time.monotonic()
    try:
        assert ignored_by(tree, seconds=5)(asked) <= set(asked)
    except GitError as error:
        assert error.reason in ("pattern", "git")  # noqa: PT017 - either may come of it
    assert time.monotonic() - begin < 40
