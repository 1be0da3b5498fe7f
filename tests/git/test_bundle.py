"""Bundles are files from strangers: their head is read with bounds, and their objects come in through all of git's checks."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.git.bundle import read_refs, take_bundle
from ccterm.git.git import WORK_REF, Git, GitError
from tests.support.git import commit_files, git, make_bare, make_repository

FAULTY = b"040000 deep\0"
"""The begin of a tree with a mode that git rejects in new objects, and that old histories hold."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "source", {"a": "a\n"})


def bundled(source: Path, commit: str, *without: str) -> str:
    """Return the path of a bundle of a commit."""
    git(source, "update-ref", WORK_REF, commit)
    git(source, "bundle", "create", "--quiet", "../work.bundle", WORK_REF, *without)
    return str(source.parent / "work.bundle")


def faulty_commit(source: Path) -> str:
    inner = git(source, "rev-parse", "HEAD^{tree}")
    tree = git(source, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=FAULTY + bytes.fromhex(inner))
    return git(source, "commit-tree", tree, "-p", "HEAD", "-m", "old")


def test_objects_come_in_and_the_commit_vouches_for_them(source: Path, tmp_path: Path) -> None:
    commit = commit_files(source, {"b": "b\n"})
    target = Git(str(make_bare(tmp_path / "target.git")))
    with pytest.raises(GitError, match="does not hold"):
        take_bundle(target, bundled(source, commit), "1" * 40)
    take_bundle(target, bundled(source, commit), commit)
    assert target.succeeds("cat-file", "-e", f"{commit}^{{tree}}")


def test_what_the_bundle_builds_on_must_be_there(source: Path, tmp_path: Path) -> None:
    base = git(source, "rev-parse", "HEAD")
    commit = commit_files(source, {"b": "b\n"})
    target = Git(str(make_bare(tmp_path / "target.git")))
    with pytest.raises(GitError):
        take_bundle(target, bundled(source, commit, f"^{base}"), commit)
    assert not target.succeeds("cat-file", "-e", commit)


def test_faulty_objects_are_taken_only_where_they_are_already(source: Path, tmp_path: Path) -> None:
    commit = faulty_commit(source)
    target = Git(str(make_bare(tmp_path / "target.git")))
    with pytest.raises(GitError, match="git rejects"):
        take_bundle(target, bundled(source, commit), commit)
    take_bundle(Git(str(source / ".git")), bundled(source, commit), commit)


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([b"# v2 git bundle", b"@object-format=sha256", b"", b"-" + b"1" * 40]))))
def test_any_head_is_read_or_refused(lines: list[bytes]) -> None:
    try:
        refs = read_refs(io.BytesIO(b"\n".join(lines)))
    except ValueError:
        return
    assert all(isinstance(commit, str) for commit in refs.values())


def test_a_line_without_end_is_refused() -> None:
    file = io.BytesIO(b"# v2 git bundle\n" + b"x" * 1_000_000)
    with pytest.raises(ValueError, match="too long"):
        read_refs(file)
    assert file.tell() < 100_000
