"""What may not enter a commit, and for each rule the same in the base, where it is accepted."""

import contextlib
import os
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, box_on, write
from tests.support import git as support

Start = Callable[..., GitBox]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return a box: start(prepare, files), see box_on."""
    return partial(box_on, tmp_path)


def test_links_out_of_the_tree_are_refused(start: Start) -> None:
    box = start()
    targets = ("/etc/passwd", "../outside", "src/../../x", ".git/config", "src/../.git", "./.GIT/hooks", "/")
    for number, target in enumerate(targets):
        (box.tree / f"link{number}").symlink_to(target)
    assert box.refused() == [("symlink", f"link{number}") for number in range(len(targets))]


def test_links_within_the_tree_are_accepted(start: Start) -> None:
    box = start()
    targets = ("src/main.py", "src/../README.md", "nowhere", "./src", "src//main.py")
    for number, target in enumerate(targets):
        (box.tree / f"link{number}").symlink_to(target)
    files = box.committed_files()
    assert [files[f"link{number}"].decode() for number in range(len(targets))] == list(targets)


def test_links_are_followed_through_other_links(start: Start) -> None:
    box = start()
    (box.tree / "a/b").mkdir(parents=True)
    (box.tree / "a/b/up").symlink_to("../..")
    (box.tree / "inside").symlink_to("a/b/up/README.md")
    (box.tree / "leak").symlink_to("a/b/up/../secret")
    assert box.refused() == [("symlink", "leak")]


def test_a_link_in_place_of_a_directory_may_not_turn_another_out_of_the_tree(start: Start) -> None:
    def prepare(source: Path) -> None:
        write(source, "lib/x")
        (source / "link").symlink_to("lib/../README.md")

    box = start(prepare)
    shutil.rmtree(box.tree / "lib")
    (box.tree / "lib").symlink_to(".")
    assert box.refused() == [("symlink", "lib")]


def test_links_out_of_the_tree_are_accepted_in_the_base(start: Start) -> None:
    box = start(lambda source: (source / "link").symlink_to("/etc/passwd"))
    write(box.tree, "new")
    assert box.committed_files()["link"] == b"/etc/passwd"


def test_a_changed_link_of_the_base_is_checked(start: Start) -> None:
    box = start(lambda source: (source / "link").symlink_to("/etc/passwd"))
    (box.tree / "link").unlink()
    (box.tree / "link").symlink_to("/etc/shadow")
    assert box.refused() == [("symlink", "link")]
    assert support.files_at(box.clean, box.base or "")["link"] == b"/etc/passwd"


def test_a_directory_replaced_by_a_link_out_of_the_tree_is_left_unchanged(start: Start) -> None:
    box = start()
    (box.tree / "src/main.py").unlink()
    (box.tree / "src").rmdir()
    (box.tree / "src").symlink_to("/etc")
    write(box.tree, "new")
    report = box.commit()
    assert [refusal["path"] for refusal in report["refusals"]] == ["src"]
    assert support.files_at(box.clean, report["commit"]).keys() == {"README.md", "src/main.py", "new"}


def test_gitmodules_must_not_become_a_link(start: Start) -> None:
    box = start()
    (box.tree / ".gitmodules").symlink_to("README.md")
    assert box.refused() == [("symlink", ".gitmodules")]


def test_a_fifo_and_a_socket_are_refused(start: Start) -> None:
    box = start()
    os.mkfifo(box.tree / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        with contextlib.chdir(box.tree):  # its whole path may be too long for a socket
            listener.bind("sock")
        assert box.refused() == [("special", "fifo"), ("special", "sock")]


def test_a_tracked_file_replaced_by_a_fifo_is_left_unchanged(start: Start) -> None:
    box = start()
    (box.tree / "README.md").unlink()
    os.mkfifo(box.tree / "README.md")
    report = box.commit()
    assert (report["commit"], report["refusals"][0]["rule"]) == (None, "special")


def test_a_fifo_among_ignored_paths_is_skipped(start: Start) -> None:
    box = start(files={".gitignore": "build/\n*.pipe\n"})
    (box.tree / "build").mkdir()
    os.mkfifo(box.tree / "build/fifo")
    os.mkfifo(box.tree / "x.pipe")
    assert box.refused() == []


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", ".gitmodules", "src/.gitignore"])
def test_a_fifo_in_place_of_gitignore_does_not_block(start: Start, name: str) -> None:
    box = start()
    os.mkfifo(box.tree / name)
    write(box.tree, "src/new")
    assert box.refused() == [("special", name)]


def test_a_file_that_is_too_large_is_refused(start: Start) -> None:
    box = start()
    write(box.tree, "big", "x" * 1001)
    write(box.tree, "fits", "x" * 1000)
    assert box.refused(max_file_bytes=1000) == [("size", "big")]


def test_a_sparse_file_in_place_of_a_tracked_one_is_not_read(start: Start) -> None:
    box = start()
    with (box.tree / "README.md").open("wb") as file:
        file.truncate(1 << 42)
    (box.out / "refused").mkdir(parents=True)
    report = box.commit()
    assert [refusal["rule"] for refusal in report["refusals"]] == ["size"]


def test_a_large_file_in_the_base_is_accepted(start: Start) -> None:
    box = start(files={"big": "x" * 5000})
    write(box.tree, "new", "y")
    assert box.new_commit(max_file_bytes=1000)


def test_a_changed_large_file_is_refused(start: Start) -> None:
    box = start(files={"big": "x" * 5000})
    write(box.tree, "big", "y" * 5000)
    assert box.refused(max_file_bytes=1000) == [("size", "big")]


def test_files_beyond_the_total_size_are_refused(start: Start) -> None:
    box = start()
    for name in ("a", "b", "c"):
        write(box.tree, name, name * 400)
    assert box.refused(max_total_bytes=1000) == [("total", "c")]


def test_a_gitmodules_file_that_git_rejects_is_refused_and_the_rest_committed(start: Start) -> None:
    box = start()
    write(box.tree, ".gitmodules", '[submodule "x"]\n\tpath = x\n\turl = -u./evil\n')
    write(box.tree, "new")
    report = box.commit()
    assert [(refusal["rule"], refusal["path"]) for refusal in report["refusals"]] == [("content", ".gitmodules")]
    assert support.files_at(box.clean, report["commit"]).keys() == {"README.md", "src/main.py", "new"}


def test_such_a_file_in_the_base_is_accepted(start: Start) -> None:
    box = start(files={".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = -u./evil\n'})
    write(box.tree, "new")
    assert "new" in box.committed_files()


def test_a_refused_change_leaves_the_version_of_the_base(start: Start) -> None:
    box = start()
    write(box.tree, "src/main.py", "x" * 2000)
    write(box.tree, "new")
    report = box.commit(max_file_bytes=1000)
    assert support.files_at(box.clean, report["commit"])["src/main.py"] == b"print(1)\n"


def test_a_large_number_of_refusals_is_counted_and_listed_in_part(start: Start) -> None:
    box = start()
    for number in range(600):
        (box.tree / f"link{number}").symlink_to("/etc")
    report = box.commit()
    assert len(report["refusals"]) == 500
    assert report["notes"] == ["100 more refused paths are not listed here"]
