"""Kept work comes onto a newer tip as a change of its tree, or the paths in conflict are named and nothing is touched."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccterm.box.merge import merge_trees
from ccterm.git.git import Git
from tests.box.gitbox import GitBox
from tests.support.git import FileBody, add_commit, files_at, git, make_remote, tip, write_files

LINES = "".join(f"line {n}\n" for n in range(20))
FILES = {"a.txt": LINES, "b.txt": "b\n", "dir/c.txt": "c\n"}


class Continued:
    """Work kept on the first commit of a remote, and a tree checked out from its newest one."""

    def __init__(
        self, directory: Path, kept: Mapping[str, FileBody | None], foreign: Mapping[str, FileBody] | None = None, *, executable: str = ""
    ) -> None:
        remote = make_remote(directory / "remote.git", FILES)
        first = GitBox(directory / "first", remote).start()
        apply(first.tree, kept)
        if executable:
            (first.tree / executable).chmod(0o755)
        self.commit = first.new_commit()
        self.base = first.base
        if foreign:
            add_commit(remote, foreign)
        self.box = GitBox(directory / "second", remote, branch="agent/more").start()
        shutil.copytree(first.out, self.box.directory / "kept")

    def merge(self, **fields: object) -> dict[str, Any]:
        places = {"tree": "work", "clean": "clean.git", "bundle": "kept/work.bundle"}
        return self.box.run("merge", {**places, "tip": self.box.base, "commit": self.commit, "base": self.base, **fields})

    def merged(self) -> dict[str, bytes]:
        """Merge, and return the files of the commit that is made of the tree then."""
        report = self.merge()
        assert report["ok"], report
        return self.box.committed_files()


def apply(tree: Path, changes: Mapping[str, FileBody | None]) -> None:
    write_files(tree, {name: body for name, body in changes.items() if body is not None})
    for name in [name for name, body in changes.items() if body is None]:
        (tree / name).unlink()


def test_onto_the_same_commit_it_is_the_kept_tree(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"b.txt": "mine\n", "new/d.txt": "d\n", "dir/c.txt": None})
    assert kept.merged() == {"a.txt": LINES.encode(), "b.txt": b"mine\n", "new/d.txt": b"d\n"}
    assert not (kept.box.tree / "dir").exists()


def test_a_foreign_commit_is_merged_by_lines(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"a.txt": LINES.replace("line 2\n", "line two\n")}, {"a.txt": LINES + "the end\n", "e.txt": "e\n"})
    files = kept.merged()
    assert files["a.txt"].decode() == LINES.replace("line 2\n", "line two\n") + "the end\n"
    assert files["e.txt"] == b"e\n"
    assert git(kept.box.clean, "log", "--format=%s", "-1", f"{kept.box.base}") == "Change files"


def test_the_agent_sees_it_as_changes_that_are_not_committed(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"b.txt": "mine\n", "d.txt": "d\n"}, {"e.txt": "e\n"})
    assert kept.merge()["ok"]
    assert git(kept.box.tree, "status", "--porcelain").split("\n") == ["M b.txt", "?? d.txt"]
    assert git(kept.box.tree, "fsck", "--strict") == ""


def test_files_that_did_not_change_are_not_written_again(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"b.txt": "mine\n"})
    os.utime(kept.box.tree / "a.txt", ns=(1, 1))
    assert kept.merge()["ok"]
    assert (kept.box.tree / "a.txt").stat().st_mtime_ns == 1


CONFLICTS: dict[str, tuple[dict[str, FileBody | None], dict[str, FileBody], str]] = {
    "the same line": ({"b.txt": "mine\n"}, {"b.txt": "theirs\n"}, "b.txt"),
    "both new": ({"n.txt": "mine\n"}, {"n.txt": "theirs\n"}, "n.txt"),
    "deleted and changed": ({"b.txt": None}, {"b.txt": "theirs\n"}, "b.txt"),
    "binary": ({"b.txt": b"\0mine"}, {"b.txt": b"\0theirs"}, "b.txt"),
    "file and directory": ({"n": "mine\n"}, {"n/x.txt": "theirs\n"}, "n, n/x.txt"),
    "an odd name": ({"n ö.txt": "mine\n"}, {"n ö.txt": "theirs\n"}, "n ö.txt"),
}


@pytest.mark.first_is_fast
@pytest.mark.parametrize("case", CONFLICTS)
def test_conflicts_are_named_and_nothing_is_touched(case: str, tmp_path: Path) -> None:
    mine, foreign, path = CONFLICTS[case]
    kept = Continued(tmp_path, mine, foreign)
    before = {each: each.read_bytes() for each in kept.box.tree.rglob("*") if each.is_file()}
    report = kept.merge()
    assert (report["ok"], report["reason"], report["detail"]) == (False, "merge", path)
    assert {each: each.read_bytes() for each in kept.box.tree.rglob("*") if each.is_file()} == before


def test_the_same_change_on_both_sides_is_no_conflict(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"b.txt": "same\n", "n.txt": "n\n"}, {"b.txt": "same\n", "n.txt": "n\n"})
    assert kept.merge()["ok"]
    assert kept.box.commit()["commit"] is None


def test_a_mode_that_one_side_changed_is_kept(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"a.txt": LINES.replace("line 2\n", "")}, {"a.txt": LINES + "x\n"}, executable="a.txt")
    assert kept.merge()["ok"]
    assert (kept.box.tree / "a.txt").stat().st_mode & 0o111
    assert (kept.box.tree / "a.txt").read_text() == LINES.replace("line 2\n", "") + "x\n"


def test_work_whose_base_left_the_history_is_a_clear_refusal(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"b.txt": "mine\n"})
    foreign = make_remote(tmp_path / "other.git", {"o.txt": "o\n"})
    box = GitBox(tmp_path / "elsewhere" / "third", foreign).start()
    shutil.copytree(kept.box.directory / "kept", box.directory / "kept")
    kept.box = box
    report = kept.merge()
    assert (report["ok"], report["reason"]) == (False, "base")
    assert str(kept.base)[:12] in report["detail"]


def test_the_first_commit_of_an_empty_repository_is_laid_over_another_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", "empty.git")
    first = GitBox(tmp_path / "first", tmp_path / "empty.git").start()
    write_files(first.tree, {"a.txt": "a\n"})
    commit = first.new_commit()
    second = GitBox(tmp_path / "second", tmp_path / "empty.git").start()
    shutil.copytree(first.out, second.directory / "kept")
    request = {"tree": "work", "clean": "clean.git", "bundle": "kept/work.bundle", "tip": None, "commit": commit, "base": None}
    assert second.run("merge", request)["ok"]
    assert second.committed_files() == {"a.txt": b"a\n"}


def test_a_bundle_with_another_commit_is_refused(tmp_path: Path) -> None:
    kept = Continued(tmp_path, {"b.txt": "mine\n"})
    report = kept.merge(commit="0" * 40)
    assert (report["ok"], report["reason"]) == (False, "git")
    assert (kept.box.tree / "b.txt").read_text() == "b\n"


NAMES = st.sampled_from(["a", "b", "d/e", "d/f"])
BODIES = st.sampled_from(["", "1\n", "1\n2\n", "x\0y", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"])
TREES = st.dictionaries(NAMES, BODIES, min_size=1)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=TREES, mine=TREES, theirs=TREES)
def test_a_merge_is_what_git_merges_or_a_conflict(
    base: dict[str, str],
    mine: dict[str, str],
    theirs: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory = tmp_path_factory.mktemp("merge")
    remote = make_remote(directory / "remote.git", base)
    first = tip(remote, "main")
    commits = []
    for branch, files in (("ours", mine), ("theirs", theirs)):
        tree = directory / branch
        git(directory, "clone", "--quiet", str(remote), branch)
        for each in [each for each in tree.iterdir() if each.name != ".git"]:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        write_files(tree, files)
        git(tree, "add", "--all")
        git(tree, "commit", "--quiet", "--allow-empty", "-m", branch)
        git(tree, "push", "--quiet", str(remote), f"HEAD:{branch}")
        commits.append(git(tree, "rev-parse", "HEAD"))
    monkeypatch.chdir(directory)
    merged, conflicts = merge_trees(Git(str(remote)), first, *commits)
    ours = directory / "ours"
    git(ours, "fetch", "--quiet", "origin", "theirs")
    try:
        git(ours, "merge", "--quiet", "--strategy=resolve", commits[1])  # like ours, it knows no renames
    except subprocess.CalledProcessError:
        assert conflicts or (mine.keys() & theirs.keys()) - base.keys()  # what both added may have a merge here
    else:
        assert not conflicts
        assert files_at(remote, merged) == files_at(ours, "HEAD")
