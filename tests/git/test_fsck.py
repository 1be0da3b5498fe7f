"""Objects are checked wherever the state directory lies: git splits lists of paths at characters that a path may hold."""

from pathlib import Path

import pytest

from ccterm.git.fsck import check_pack, pack_new
from ccterm.git.git import Git
from tests.support.git import commit_files, git, make_repository


def _odd_commit(repository: Path) -> str:
    """Make a commit on HEAD with a tree that git complains about: a file called .git."""
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x")
    tree = git(repository, "mktree", stdin=f"100644 blob {blob}\t.git\n".encode())
    return git(repository, "commit-tree", "-p", "HEAD", "-m", "odd", tree)


@pytest.mark.parametrize("name", ["plain", "Application Support", "a,b", "a|b", "a:b", '"a', "#a", "ü'%$=", "a\nb"])
def test_objects_are_checked_against_known_ones_with_exceptions_anywhere(tmp_path: Path, name: str) -> None:
    repository = make_repository(tmp_path / name / "r", {"a": "1"})
    known, checker = git(repository, "rev-parse", "HEAD"), Git(str(repository / ".git"))
    good = commit_files(repository, {"b": "2"})
    assert check_pack(checker, pack_new(checker, good, [known]), good) == []
    odd = _odd_commit(repository)
    pack = pack_new(checker, odd, [known])
    [complaint] = check_pack(checker, pack, odd)
    assert complaint.kind == "hasDotgit"
    assert check_pack(checker, pack, odd, [complaint.sha]) == []
