"""Names that may not enter a commit, and for each rule the same in the base, where it is accepted."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, box_on, write, write_all

Start = Callable[..., GitBox]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return a box: start(prepare, files), see box_on."""
    return partial(box_on, tmp_path)


DOTGIT = [
    ".GIT/config",
    ".Git",
    "git~1",
    "GIT~1/x",
    ".g\u200cit/config",
    ".gi\u200dt",
    "\ufeff.git",
    ".git.",
    ".git ",
    ".git . .",
    ".git::$INDEX_ALLOCATION",
    ".git:stream",
    ".git\\config",
    "a\\.git\\config",
    "..\\outside",
]


def test_names_that_some_system_takes_for_git_are_refused(start: Start) -> None:
    box = start()
    for number, name in enumerate(DOTGIT):
        write(box.tree, f"{number}/{name}")
    refused = box.refused()
    assert {rule for rule, _ in refused} == {"dotgit"}
    assert {int(path.split("/")[0]) for _, path in refused} == set(range(len(DOTGIT)))


def test_such_a_name_at_the_top_is_refused_too(start: Start) -> None:
    box = start()
    write(box.tree, ".GIT/config")
    assert box.refused() == [("dotgit", ".GIT")]


def test_names_that_only_begin_like_it_are_accepted(start: Start) -> None:
    box = start()
    names = {".gitkeep", ".github/x", "git", "x.git", ".git-keep", "dev\\x2dsda.device", "git~x", "a:b"}
    write_all(box.tree, names)
    assert names < box.committed_files().keys()


def test_names_that_cannot_be_shown_are_refused(start: Start) -> None:
    box = start()
    names = (b"new\nline", b"esc\x1b[31m", b"tab\t", b"\xff\xfe", b"dir\x01/file", "c1\u009b".encode(), b"del\x7f")
    write_all(box.tree, names)
    assert [rule for rule, _ in box.refused()] == ["name"] * len(names)


def test_such_names_in_the_base_are_accepted(start: Start) -> None:
    names = (b"new\nline", b"\xff\xfe", b"dir\x01/file")
    box = start(lambda source: write_all(source, names, "1"))
    write_all(box.tree, names, "2")
    files = box.committed_files()
    assert [files[os.fsdecode(name)] for name in names] == [b"2"] * 3


def test_a_new_file_in_a_directory_with_such_a_name_is_accepted_too(start: Start) -> None:
    box = start(lambda source: write(source, b"d\xff/old"))
    write(box.tree, b"d\xff/new")
    assert os.fsdecode(b"d\xff/new") in box.committed_files()


def test_a_path_that_is_too_deep_is_refused(start: Start) -> None:
    box = start()
    write(box.tree, "d/" * 64 + "file")
    write(box.tree, "d/" * 63 + "fits")
    assert box.refused() == [("depth", "d/" * 64 + "file")]


def test_an_endless_chain_of_directories_is_refused_where_it_gets_too_deep(start: Start) -> None:
    box = start()
    write(box.tree, "deeper/" * 300 + "file")
    ((rule, path),) = box.refused()
    assert (rule, path.count("/")) == ("depth", 64)


def test_a_deep_path_in_the_base_is_accepted(start: Start) -> None:
    name = "d/" * 70 + "file"
    box = start(files={name: "1"})
    write(box.tree, name, "2")
    assert box.committed_files()[name] == b"2"


def test_names_that_differ_only_in_case_are_refused(start: Start) -> None:
    box = start()
    write(box.tree, "readme.MD")
    write(box.tree, "SRC/other.py")
    assert box.refused() == [("case_collision", "SRC/other.py"), ("case_collision", "readme.MD")]


def test_a_name_that_differs_only_by_an_invisible_character_is_refused(start: Start) -> None:
    box = start(files={"README.md": "1"})
    write(box.tree, "READ\u200bME.md")
    assert box.refused() == [("case_collision", "READ\u200bME.md")]


def test_names_that_differ_only_in_unicode_form_are_refused(start: Start) -> None:
    box = start(files={"caf\u00e9": "1"})
    write(box.tree, "cafe\u0301")
    assert [rule for rule, _ in box.refused()] == ["case_collision"]


def test_new_files_that_collide_with_each_other_are_refused(start: Start) -> None:
    box = start()
    write(box.tree, "new")
    write(box.tree, "NEW")
    assert box.refused() == [("case_collision", "new")]


def test_collisions_within_the_base_are_accepted(start: Start) -> None:
    box = start(files={"readme.MD": "1", "SRC/other.py": "2"})
    write(box.tree, "readme.MD", "changed")
    write(box.tree, "SRC/new.py")
    assert box.committed_files()["readme.MD"] == b"changed"


def test_a_changed_case_is_no_collision(start: Start) -> None:
    box = start()
    (box.tree / "README.md").rename(box.tree / "Readme.md")
    assert box.committed_files().keys() == {"Readme.md", "src/main.py"}
