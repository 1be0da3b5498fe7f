"""Repositories inside the repository, with and without .git in their names."""

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


def test_a_nested_repository_is_refused_by_name_and_the_rest_is_committed(start: Start) -> None:
    box = start()
    support.make_repository(box.tree / "vendor/lib", {"x": "1"})
    write(box.tree, "vendor/mine")
    report = box.commit()
    assert [(refusal["rule"], refusal["path"]) for refusal in report["refusals"]] == [("nested", "vendor/lib")]
    assert support.files_at(box.clean, report["commit"]).keys() == {"README.md", "src/main.py", "vendor/mine"}


def test_a_repository_created_among_tracked_files_leaves_them_unchanged(start: Start) -> None:
    box = start()
    support.git(box.tree / "src", "init", "--quiet")
    write(box.tree, "src/main.py", "print(2)\n")
    write(box.tree, "src/more.py")
    report = box.commit()
    assert (report["commit"], [(r["rule"], r["path"]) for r in report["refusals"]]) == (None, [("nested", "src")])


def test_a_git_file_is_a_nested_repository_too(start: Start) -> None:
    box = start()
    write(box.tree, "sub/.git", "gitdir: /somewhere\n")
    assert box.refused() == [("nested", "sub")]


def test_a_bare_repository_under_any_name_is_refused(start: Start) -> None:
    box = start()
    support.make_bare(box.tree / "harmless")
    assert box.refused() == [("nested", "harmless")]


def as_programs(at: Path) -> None:
    write(at, "HEAD", "ref: refs/heads/main\n")
    for name in ("objects", "refs"):
        write(at, name)
        (at / name).chmod(0o755)


def as_links(at: Path) -> None:
    write(at, "head", "ref: refs/heads/main\n")
    for name in ("Objects", "REFS"):
        (at / name).symlink_to("../src")


def with_common_directory(at: Path) -> None:
    write(at, "HEAD", "ref: refs/heads/main\n")
    write(at, "commondir", "../other\n")


@pytest.mark.parametrize("make", [as_programs, as_links, with_common_directory])
def test_a_repository_of_other_parts_than_directories_is_refused(start: Start, make: Callable[[Path], None]) -> None:
    box = start()
    (box.tree / "in").mkdir()
    make(box.tree / "in")
    write(box.tree, "other/objects/x")
    write(box.tree, "other/refs/x")
    assert box.refused() == [("nested", "in")]


def test_a_part_that_completes_a_repository_is_refused(start: Start) -> None:
    box = start(files={"lib/HEAD": "ref: refs/heads/main\n", "lib/refs/x": "x\n"})
    write(box.tree, "lib/objects/x")
    write(box.tree, "lib/config")
    assert box.refused() == [("nested", "lib")]


def test_a_tree_that_became_a_bare_repository_is_refused(start: Start) -> None:
    box = start()
    support.git(box.tree, "init", "--quiet", "--bare", ".")
    assert {("nested", "HEAD"), ("nested", "objects"), ("nested", "refs")} <= set(box.refused())


def test_an_ignored_nested_repository_is_skipped(start: Start) -> None:
    box = start(lambda source: write(source, ".gitignore", "node_modules/\n"))
    support.make_repository(box.tree / "node_modules/lib", {"x": "1"})
    write(box.tree, "new")
    assert "new" in box.committed_files()


def bare_fixture(source: Path) -> None:
    support.make_bare(source / "fixtures/repo")
    write(source, "fixtures/repo/objects/keep")
    write(source, "fixtures/repo/refs/keep")


def test_a_bare_repository_in_the_base_is_accepted(start: Start) -> None:
    box = start(bare_fixture)
    write(box.tree, "fixtures/repo/description", "mine\n")
    write(box.tree, "fixtures/repo/refs/new")
    assert box.committed_files()["fixtures/repo/description"] == b"mine\n"


@pytest.mark.first_is_fast
@pytest.mark.parametrize("name", ["config", "hooks/post-checkout", "commondir", "config.worktree"])
def test_but_its_configuration_may_not_be_changed(start: Start, name: str) -> None:
    box = start(bare_fixture)
    write(box.tree, f"fixtures/repo/{name}", "[core]\n\tfsmonitor = evil\n")
    assert box.refused() == [("nested", f"fixtures/repo/{name}")]
