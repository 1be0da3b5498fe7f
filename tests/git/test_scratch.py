"""A repository that is made without git is to git what one of its own is."""

from pathlib import Path

import pytest

from ccterm.git.git import Git, init, scratch

_ASKED = ("core.repositoryformatversion", "core.bare", "core.filemode", "extensions.objectformat")


@pytest.mark.parametrize("like", ["a" * 40, "a" * 64])
def test_git_finds_in_it_what_it_makes_itself(like: str, tmp_path: Path) -> None:
    repositories = [scratch(str(tmp_path / "ours"), like), init(str(tmp_path / "gits"), like, "main")]
    ours, gits = [_described(git) for git in repositories]
    assert ours == gits
    names = [git.text("hash-object", "-w", "--stdin", stdin=b"content\n") for git in repositories]
    assert names[0] == names[1]
    assert len(names[0]) == len(like)
    assert repositories[0].run("cat-file", "blob", names[0]) == b"content\n"
    assert repositories[0].run("fsck", "--strict") == repositories[1].run("fsck", "--strict")


def _described(git: Git) -> list[str]:
    kept = [git.answer("config", "--get", key)[1].decode() for key in _ASKED]
    return [*kept, git.text("rev-parse", "--is-bare-repository"), git.text("symbolic-ref", "HEAD"), git.text("for-each-ref")]
