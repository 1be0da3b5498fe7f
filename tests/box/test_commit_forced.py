"""Ignored files that the agent itself put into its commits or its index."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, box_on, write, write_all
from tests.support import git as support


@pytest.fixture
def box(tmp_path: Path) -> GitBox:
    """Return a box whose repository ignores dist/ and *.lock."""
    return box_on(tmp_path, files={".gitignore": "dist/\n*.lock\n"}, grown=True)


def commit(tree: Path) -> None:
    support.git(tree, "commit", "--quiet", "-m", "build")


@pytest.mark.parametrize("then", [commit, lambda _tree: None], ids=["committed", "in the index"])
def test_ignored_files_that_the_agent_added_are_taken(box: GitBox, then: Callable[[Path], None]) -> None:
    write_all(box.tree, ["dist/app.js", "dist/app.js.map", "deps.lock", "other.lock"])
    support.git(box.tree, "add", "--force", "dist/app.js", "deps.lock")
    then(box.tree)
    write(box.tree, "dist/app.js", "newer\n")
    files = box.committed_files()
    assert files.keys() == {".gitignore", ".gitmodules", "README.md", "src/main.py", "dist/app.js", "deps.lock"}
    assert files["dist/app.js"] == b"newer\n"


def test_a_file_that_the_agent_added_and_removed_again_is_gone(box: GitBox) -> None:
    write_all(box.tree, ["dist/app.js", "kept"])
    support.git(box.tree, "add", "--force", "dist/app.js")
    (box.tree / "dist/app.js").unlink()
    assert "dist/app.js" not in box.committed_files()


@pytest.mark.parametrize("version", ["2", "4"])
def test_every_format_of_an_index_is_read(box: GitBox, version: str) -> None:
    write_all(box.tree, ["dist/ü\n", "dist/a"])
    support.git(box.tree, "update-index", "--index-version", version)
    support.git(box.tree, "add", "--force", "dist/a", "dist/ü\n")
    assert {("name", "dist/ü\n")} == {*box.refused()}


@pytest.mark.parametrize("content", [b"", b"DIRC\0\0\0\2\xff\xff\xff\xff", b"x" * 100])
def test_an_index_that_is_none_is_told_and_stops_nothing(box: GitBox, content: bytes) -> None:
    write(box.tree, "new")
    (box.tree / ".git/index").write_bytes(content)
    report = box.commit()
    assert report["files"] == 1
    assert ["the agent's index cannot be read" in note for note in report["notes"]] == [True]


def test_an_index_that_is_a_link_is_not_read(box: GitBox, tmp_path: Path) -> None:
    write_all(box.tree, ["dist/a", "new"])
    support.git(box.tree, "add", "--force", "dist/a")
    (box.tree / ".git/index").rename(tmp_path / "elsewhere")
    (box.tree / ".git/index").symlink_to(tmp_path / "elsewhere")
    assert "dist/a" not in box.committed_files()
