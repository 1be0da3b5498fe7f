"""The commit message: where its subject comes from, and how it is tidied."""

import shutil
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, box_on
from tests.conftest import MakeRemote
from tests.support import git as support


@pytest.fixture
def box(tmp_path: Path) -> GitBox:
    """Return a box whose tree holds a change."""
    box = box_on(tmp_path)
    (box.tree / "new").write_text("x")
    return box


def subject(box: GitBox, **fields: object) -> str:
    report = box.commit(**fields)
    assert report["subject"] == support.git(box.clean, "log", "-1", "--format=%s", report["commit"])
    found: str = report["subject"]
    return found


def test_the_subject_of_the_user_comes_first(box: GitBox) -> None:
    support.commit_files(box.tree, {}, "Agent's words")
    assert subject(box, subject="User's words") == "User's words"


def test_that_of_the_agents_last_own_commit_comes_next(box: GitBox) -> None:
    support.commit_files(box.tree, {"one": "1"}, "First words")
    support.commit_files(box.tree, {"two": "2"}, "Last words\n\nand more\n")
    assert subject(box) == "Last words"


def test_the_agents_subject_gives_no_orders_and_the_users_may(box: GitBox) -> None:
    support.commit_files(box.tree, {"one": "1"}, "Fixes #1 [sk\u200bip ci]")
    assert subject(box) == "Fixes no. 1 (skip ci)"
    assert subject(box, subject="Fixes #1 [skip ci]") == "Fixes #1 [skip ci]"


def test_otherwise_it_is_the_first_line_of_the_prompt(box: GitBox) -> None:
    assert subject(box, fallback="\n  Add a licence  \nand more") == "Add a licence"


def test_the_base_is_not_a_commit_of_the_agents(box: GitBox) -> None:
    support.git(box.tree, "checkout", "--quiet", "--detach")
    assert subject(box) == "Do the task"


def test_an_older_commit_is_not_one_of_the_agents(tmp_path: Path, make_remote: MakeRemote) -> None:
    remote = make_remote()
    support.add_commit(remote, {"b": "2"}, message="Second")
    box = GitBox(tmp_path / "box", remote).start()
    support.git(box.tree, "checkout", "--quiet", "HEAD~1")
    assert subject(box) == "Do the task"


def test_a_packed_ref_is_read(box: GitBox) -> None:
    support.commit_files(box.tree, {}, "Agent's words")
    support.git(box.tree, "pack-refs", "--all")
    assert subject(box) == "Agent's words"


def test_a_packed_commit_is_not_read(box: GitBox) -> None:
    support.commit_files(box.tree, {}, "Agent's words")
    support.git(box.tree, "gc", "--quiet", "--prune=now")
    assert subject(box) == "Do the task"


def spoil(box: GitBox, how: str) -> None:
    git = box.tree / ".git"
    head = support.git(box.tree, "rev-parse", "HEAD")
    loose = git / "objects" / head[:2] / head[2:]
    loose.chmod(0o644)
    match how:
        case "garbage":
            loose.write_bytes(b"garbage")
        case "bomb":
            import zlib

            loose.write_bytes(zlib.compress(b"commit 9\0\n\n" + b"A" * (64 << 20)))
        case "link":
            loose.unlink()
            loose.symlink_to("/etc/passwd")
        case "head-leaves":
            (git / "HEAD").write_text("ref: refs/../../../secret\n")
        case "head-binary":
            (git / "HEAD").write_bytes(bytes(range(256)))
        case "head-fifo":
            import os

            (git / "HEAD").unlink()
            os.mkfifo(git / "HEAD")
        case "git-link":
            shutil.move(git, git.parent.parent / "moved")
            git.symlink_to("../moved")


@pytest.mark.first_is_fast
@pytest.mark.parametrize("how", ["garbage", "link", "head-leaves", "head-binary", "head-fifo", "git-link"])
def test_a_damaged_git_directory_is_not_read(box: GitBox, how: str) -> None:
    support.commit_files(box.tree, {}, "Agent's words")
    spoil(box, how)
    assert subject(box) == "Do the task"


def test_a_compressed_bomb_is_read_in_part(box: GitBox) -> None:
    support.commit_files(box.tree, {}, "Agent's words")
    spoil(box, "bomb")
    assert set(subject(box)) == {"A", "…"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("word " * 30, ("word " * 14).strip() + "…"),
        ("w" * 100, "w" * 71 + "…"),
        ("a\x1b[31mred\x07\u202e", "a[31mred"),
        ("tab\there \u00a0 too", "tab here too"),
        ("x" * 72, "x" * 72),
        ("\udc80odd", "odd"),
        ("Grüße, 世界", "Grüße, 世界"),
    ],
    ids=["at-a-word", "no-word", "controls", "spaces", "just-fits", "surrogate", "unicode"],
)
def test_the_subject_is_tidied(box: GitBox, given: str, expected: str) -> None:
    assert subject(box, subject=given) == expected
    assert len(expected) <= 72


def test_the_body_follows_after_an_empty_line(box: GitBox) -> None:
    commit = box.new_commit(subject="S", body="Line one\n\nCcterm-Run: 01\nCcterm-Model: m")
    assert support.git(box.clean, "log", "-1", "--format=%B", commit) == "S\n\nLine one\n\nCcterm-Run: 01\nCcterm-Model: m"
    assert support.git(box.clean, "log", "-1", "--format=%(trailers:key=Ccterm-Run,valueonly)", commit) == "01"
