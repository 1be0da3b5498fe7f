"""Working copies of repositories that keep names of commits, or refs, in a newer way."""

import os
from pathlib import Path

import pytest

from ccterm.state_dir import StateDir
from ccterm.workspace import git_dir_watch
from ccterm.workspace.repository import find_repository
from ccterm.workspace.snapshot.take import take
from tests.support.git import commit_files, files_at, git, has_reftable

needs_reftable = pytest.mark.skipif(not has_reftable(), reason="this git stores refs in files alone")


@pytest.mark.parametrize(
    ("option", "length"), [("--object-format=sha256", 64), pytest.param("--ref-format=reftable", 40, marks=needs_reftable)]
)
def test_a_repository_in_a_newer_format(tmp_path: Path, option: str, length: int) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "--quiet", option, ".")
    commit_files(tmp_path / "new", {"x": "x\n"})
    (tmp_path / "new" / "y").write_text("y\n")
    repository = find_repository("new", os.environ, tmp_path)
    taken = take(repository, StateDir(tmp_path / "state").prepare(), tmp_path / "taken", env=os.environ)
    assert (repository.branch, len(taken.base)) == ("main", length)
    assert set(files_at(taken.clean, taken.base)) == {"x", "y"}


@pytest.mark.parametrize("option", ["--quiet", pytest.param("--ref-format=reftable", marks=needs_reftable)])
def test_a_commit_that_somebody_made_meanwhile_is_seen(tmp_path: Path, option: str) -> None:
    git(tmp_path, "init", "--quiet", option, "copy")
    commit_files(tmp_path / "copy", {"x": "x\n"})
    repository = find_repository("copy", os.environ, tmp_path)
    before = git_dir_watch.digests(repository)
    assert git_dir_watch.changed(before, git_dir_watch.digests(repository)) == []
    commit_files(tmp_path / "copy", {"x": "y\n"})
    seen = git_dir_watch.changed(before, git_dir_watch.digests(repository))
    assert seen
    assert not any(map(git_dir_watch.steers, seen))
