"""Lists of refs, and the file in which git packs them."""

from pathlib import Path

import pytest

from ccterm.git.git import Git, init
from ccterm.git.refs import checked_out, list_tags, stored_refs, write_packed_refs
from tests.support import git as support


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with tags of every kind: of a commit, annotated, of a tag, of a blob; in an order that is not git's."""
    path = support.make_repository(tmp_path / "tagged", {"a": "1\n"})
    support.git(path, "tag", "v1.0")
    support.git(path, "tag", "-a", "v1", "-m", "One")
    support.git(path, "tag", "-a", "zz-nested", "-m", "Two", "v1")
    support.git(path, "tag", "blob", support.git(path, "rev-parse", "HEAD:a"))
    support.git(path, "tag", "ünï", "HEAD")
    return path


def test_packed_refs_are_byte_for_byte_what_git_writes(repository: Path, tmp_path: Path) -> None:
    init(str(tmp_path / "ours.git"), None, "main")
    write_packed_refs(str(tmp_path / "ours.git"), stored_refs(Git(str(repository / ".git")), "refs/")[::-1])
    support.git(repository, "pack-refs", "--all")
    assert (tmp_path / "ours.git/packed-refs").read_bytes() == (repository / ".git/packed-refs").read_bytes()


def test_an_annotated_tag_is_listed_with_the_commit_that_it_names_in_the_end(repository: Path) -> None:
    commit = support.git(repository, "rev-parse", "HEAD")
    peeled = {ref.name: ref.peeled for ref in list_tags(Git(str(repository / ".git")))}
    assert peeled == {f"refs/tags/{name}": "" for name in ("blob", "v1.0", "ünï")} | {
        f"refs/tags/{name}": commit for name in ("v1", "zz-nested")
    }


def test_only_refs_of_the_prefixes_are_listed(repository: Path) -> None:
    assert [ref.name for ref in stored_refs(Git(str(repository / ".git")), "refs/heads/", "refs/none/")] == ["refs/heads/main"]


def test_the_branch_of_a_working_copy_is_known_without_git_except_where_refs_are_in_tables(tmp_path: Path) -> None:
    copy = support.make_repository(tmp_path / "copy", {"a": "1\n"})
    assert checked_out(str(copy)) == "main"
    support.git(copy, "checkout", "--quiet", "--detach")
    assert checked_out(str(copy)) == ""
    (copy / ".git/HEAD").write_text("ref: refs/heads/.invalid\n")  # as git writes it beside tables
    assert checked_out(str(copy)) is None


@pytest.mark.skipif(not support.has_reftable(), reason="this git stores refs in files alone")
def test_a_working_copy_whose_refs_git_puts_in_tables(tmp_path: Path) -> None:
    support.git(tmp_path, "init", "--quiet", "--ref-format=reftable", "copy")
    support.commit_files(tmp_path / "copy", {"a": "1\n"})
    assert checked_out(str(tmp_path / "copy")) is None
