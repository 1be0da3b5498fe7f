"""One commit of an agent's work."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, checked_out
from tests.support import git as support


@pytest.fixture
def box(tmp_path: Path) -> GitBox:
    """Return a box with a checked-out tree."""
    files = {"README.md": "# Example\n", "src/main.py": "print(1)\n", "src/deep/er/x.txt": "x\n", ".gitignore": "*.log\nbuild/\n"}
    return checked_out(tmp_path, files)


def agent_git(box: GitBox, *args: str) -> str:
    return support.git(box.tree, *args)


def test_added_changed_and_deleted_files_become_one_commit_on_the_base(box: GitBox) -> None:
    (box.tree / "README.md").write_text("# Changed\n")
    (box.tree / "new.txt").write_text("new\n")
    (box.tree / "src/main.py").unlink()
    report = box.commit()
    assert (report["files"], report["added"], report["removed"], report["deleted"]) == (3, 2, 2, 1)
    assert support.git(box.clean, "rev-list", "--parents", "-n1", report["commit"]) == f"{report['commit']} {box.base}"
    assert support.files_at(box.clean, report["commit"]) == {
        "README.md": b"# Changed\n",
        "new.txt": b"new\n",
        "src/deep/er/x.txt": b"x\n",
        ".gitignore": b"*.log\nbuild/\n",
    }


def test_without_a_change_there_is_no_commit(box: GitBox) -> None:
    report = box.commit()
    assert (report["ok"], report["commit"], report["files"], report["refusals"]) == (True, None, 0, [])


def test_author_and_committer_are_as_requested(box: GitBox) -> None:
    (box.tree / "new").write_text("x")
    commit = box.new_commit(author="Ada L. <ada@example.com>")
    assert support.git(box.clean, "log", "-1", "--format=%an|%ae|%cn|%ce", commit) == "Ada L|ada@example.com|Ada L|ada@example.com"


def test_executable_bits_and_links_are_kept(box: GitBox) -> None:
    (box.tree / "README.md").chmod(0o755)
    (box.tree / "src/link").symlink_to("../README.md")
    listing = support.git(box.clean, "ls-tree", "-r", box.new_commit())
    assert "100755 blob" in next(line for line in listing.splitlines() if line.endswith("README.md"))
    assert "120000 blob" in next(line for line in listing.splitlines() if line.endswith("src/link"))


def test_a_file_that_became_a_directory_and_the_other_way_round(box: GitBox) -> None:
    (box.tree / "README.md").unlink()
    (box.tree / "README.md").mkdir()
    (box.tree / "README.md/inside").write_text("1")
    shutil.rmtree(box.tree / "src/deep")
    (box.tree / "src/deep").write_text("2")
    files = box.committed_files()
    assert (files["README.md/inside"], files["src/deep"]) == (b"1", b"2")
    assert "src/deep/er/x.txt" not in files


def test_an_empty_repository_gets_its_first_commit(tmp_path: Path) -> None:
    remote = support.make_bare(tmp_path / "empty.git")
    box = GitBox(tmp_path / "box", remote).start()
    (box.tree / "README.md").write_text("first\n")
    commit = box.new_commit()
    assert support.git(box.clean, "rev-list", "--parents", commit) == commit
    assert box.push(commit)["verified"]
    assert support.git_bytes(remote, "show", "agent/work:README.md") == b"first\n"


def test_an_untouched_empty_repository_gives_no_commit(tmp_path: Path) -> None:
    box = GitBox(tmp_path / "box", support.make_bare(tmp_path / "empty.git")).start()
    assert box.commit()["commit"] is None


def test_ignored_files_stay_out(box: GitBox) -> None:
    (box.tree / "x.log").write_text("x")
    (box.tree / "build").mkdir()
    (box.tree / "build/out").write_text("x")
    assert box.commit()["commit"] is None


def test_the_rules_of_the_tree_decide_what_is_ignored(box: GitBox) -> None:
    (box.tree / ".gitignore").write_text("*.tmp\n!keep.tmp\n")
    (box.tree / "src/.gitignore").write_text("/local\n")
    for name in ("a.tmp", "keep.tmp", "b.log", "src/local", "src/deep/local"):
        (box.tree / name).write_text("x")
    assert {"keep.tmp", "b.log", "src/deep/local"} == box.committed_files().keys() - {
        "README.md",
        "src/main.py",
        "src/deep/er/x.txt",
        ".gitignore",
        "src/.gitignore",
    }


def test_a_tracked_path_stays_tracked_when_it_becomes_ignored(box: GitBox) -> None:
    (box.tree / ".gitignore").write_text("src/\n")
    (box.tree / "src/main.py").write_text("print(2)\n")
    (box.tree / "src/new.py").write_text("")
    files = box.committed_files()
    assert files["src/main.py"] == b"print(2)\n"
    assert "src/new.py" not in files


def test_ignore_rules_outside_the_tree_have_no_effect(box: GitBox) -> None:
    (box.tree / ".git/info").mkdir(exist_ok=True)
    (box.tree / ".git/info/exclude").write_text("*\n")
    (box.tree / "new").write_text("x")
    assert "new" in box.committed_files()


def test_odd_but_valid_names_are_accepted(box: GitBox) -> None:
    names = {":(top)x", ":x", "-n", "a b", "*", "[x]", "#x", "!x", '"q"', "ünï", "\\x", "trailing "}
    for name in names:
        (box.tree / name).write_text(name)
    assert {name: name.encode() for name in names}.items() <= box.committed_files().items()


def test_empty_directories_are_no_change(box: GitBox) -> None:
    (box.tree / "empty/inner").mkdir(parents=True)
    assert box.commit()["commit"] is None


def test_work_that_the_agent_committed_is_one_commit_on_the_base(box: GitBox) -> None:
    for name in ("one", "two"):
        support.commit_files(box.tree, {name: name})
    commit = box.new_commit()
    assert support.git(box.clean, "rev-list", "--count", f"{box.base}..{commit}") == "1"
    assert {"one", "two"} <= support.files_at(box.clean, commit).keys()


def test_a_moved_head_does_not_matter(box: GitBox) -> None:
    agent_git(box, "checkout", "--quiet", "--orphan", "elsewhere")
    support.commit_files(box.tree, {"new": "x"})
    agent_git(box, "update-ref", "-d", "refs/heads/agent/work")
    assert support.git(box.clean, "rev-parse", f"{box.new_commit()}^") == box.base


def test_a_tree_without_its_git_directory_is_committed_too(box: GitBox) -> None:
    shutil.rmtree(box.tree / ".git")
    (box.tree / "new").write_text("x")
    assert "new" in box.committed_files()


@pytest.mark.parametrize("kind", ["file", "link", "nothing"])
def test_a_tree_that_is_no_longer_a_directory_is_reported(box: GitBox, kind: str) -> None:
    shutil.rmtree(box.tree)
    if kind == "file":
        box.tree.write_text("x")
    elif kind == "link":
        box.tree.symlink_to("/etc")
    report = box.commit()
    assert (report["ok"], report["reason"]) == (False, "io")
    assert "no longer a directory" in report["detail"]


def test_a_missing_base_is_reported(box: GitBox) -> None:
    assert box.commit(base="1" * 40)["reason"] == "base"


def test_everything_may_be_deleted(box: GitBox) -> None:
    for path in box.tree.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    report = box.commit()
    assert (report["deleted"], report["refusals"]) == (4, [])


def test_committing_twice_gives_the_same_files(box: GitBox) -> None:
    (box.tree / "new").write_text("x")
    first, second = box.new_commit(), box.new_commit()
    assert support.git(box.clean, "rev-parse", f"{first}^{{tree}}") == support.git(box.clean, "rev-parse", f"{second}^{{tree}}")


def test_many_files(box: GitBox) -> None:
    (box.tree / "many").mkdir()
    for number in range(2000):
        (box.tree / f"many/{number}").write_text(f"{number}\n")
    assert box.commit()["files"] == 2000


def test_only_the_ref_stays_in_the_clean_directory(box: GitBox) -> None:
    before = {path.name for path in box.clean.iterdir()}
    (box.tree / "new").write_text("x")
    box.new_commit()
    assert {path.name for path in box.clean.iterdir()} == before


def test_a_full_disk_has_its_own_reason(tmp_path: Path, box: GitBox) -> None:
    (box.tree / "new").write_bytes(os.urandom(4 << 20))
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        shutil.copytree(box.clean, place / "clean.git")
        assert box.commit(clean="../small/clean.git")["reason"] == "disk"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_an_unreadable_file_of_the_agents_is_committed(box: GitBox) -> None:
    (box.tree / "closed").mkdir()
    (box.tree / "closed/secret").write_text("x")
    (box.tree / "README.md").write_text("other")
    for name in ("closed/secret", "README.md", "closed"):
        (box.tree / name).chmod(0)
    box.humble = True
    files = box.committed_files()
    assert (files["closed/secret"], files["README.md"]) == (b"x", b"other")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_cannot_be_read_at_all_is_refused_by_name(box: GitBox) -> None:
    (box.tree / "closed").mkdir()
    (box.tree / "new").write_text("x")
    for name in ("README.md", "new", "closed"):
        shutil.chown(box.tree / name, 65534, 65534)
        (box.tree / name).chmod(0)
    box.humble = True
    assert box.refused() == [("unreadable", "README.md"), ("unreadable", "closed"), ("unreadable", "new")]
    assert box.commit()["commit"] is None
