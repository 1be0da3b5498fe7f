"""The program that runs setup and verify."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.box.boxed import Running, alive
from tests.support.git import git
from tests.support.waiting import LIMIT, wait_until

Shell = Callable[..., Running]


@pytest.fixture
def shell(lib: Path, box: Path) -> Shell:
    """Run a command in the box's tree."""

    def start(command: str, **fields: object) -> Running:
        request = {"command": command, "cwd": "tree", "env": {}, "timeout_seconds": 30.0, "mark": "m" + os.urandom(8).hex()}
        return Running(lib, box, "shell", request | fields)

    return start


def test_a_command_that_succeeds(shell: Shell) -> None:
    with shell('echo out; echo "$MINE" >&2; cat', env={"MINE": "own"}) as run:
        assert run.report() == {"ok": True, "exit": 0, "signal": None, "tail": run.report()["tail"]}
    assert (run.lines(), run.lines(2)) == (["out"], ["own"])


def test_a_command_that_fails(shell: Shell) -> None:
    with shell("echo why; exit 3") as run:
        report = run.report()
    assert (report["ok"], report["reason"], report["exit"], report["tail"]) == (False, "exit", 3, "why\n")


def test_a_command_that_dies(shell: Shell) -> None:
    with shell("kill -SEGV $$") as run:
        report = run.report()
    assert (report["ok"], report["reason"], report["signal"]) == (False, "signal", 11)


def test_a_command_that_does_not_finish(shell: Shell) -> None:
    with shell("echo began; setsid sleep 600 & sleep 600", mark="m-timeout", timeout_seconds=0.5) as run:
        report = run.report()
    assert (report["ok"], report["reason"], report["tail"]) == (False, "timeout", "began\n")
    assert alive("m-timeout") == []


def test_a_server_left_behind_is_killed_without_delay(shell: Shell) -> None:
    with shell("(trap '' TERM HUP; sleep 600) & echo served", mark="m-server") as run:
        assert run.report(limit=10)["ok"]
    assert alive("m-server") == []


def test_the_tail_is_the_end_of_a_long_output(shell: Shell) -> None:
    with shell("seq 1 100000") as run:
        tail = run.report()["tail"]
    assert tail.endswith("\n99999\n100000\n")
    assert 3000 < len(tail) <= 4096


def test_it_is_bash_where_there_is_bash(shell: Shell) -> None:
    with shell("set -o pipefail; [[ $BASH_VERSION ]]") as run:
        assert run.report()["ok"]


def test_a_missing_directory_is_reported(shell: Shell) -> None:
    with shell("true", cwd="nowhere") as run:
        assert run.report() == {"ok": False, "reason": "exit", "detail": "nowhere does not exist"}


def test_the_command_dies_with_the_host(shell: Shell) -> None:
    with shell("echo began; setsid sleep 600 & sleep 600", mark="m-host") as run:
        run.until_said("began")
        run.cut_parent_watch()
        wait_until(lambda: not alive("m-host"))
        assert run.process.wait(LIMIT) == -9


class Repository:
    """A clean bare git directory with a base and a commit on it, and the tree of the base."""

    def __init__(self, box: Path) -> None:
        self.box, self.tree, self.clean = box, box / "tree", box / "clean.git"
        git(box, "init", "--bare", "--quiet", "clean.git")
        self.base = self.committed_files({"kept": "kept\n", "changed": "old\n", "gone/deep/file": "gone\n", "gone/beside": "gone\n"})

    def committed_files(self, files: Mapping[str, str], parent: str | None = None) -> str:
        """Return a new commit with exactly these files."""
        with tempfile.TemporaryDirectory() as directory:
            for path, text in files.items():
                (Path(directory) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(directory) / path).write_text(text)
            here = (f"--git-dir={self.clean}", f"--work-tree={directory}", "-c", "filter.lfs.clean=cat")
            git(self.box, *here, "read-tree", "--empty")
            git(self.box, *here, "add", "--all", "--force", ".")
            tree = git(self.box, *here, "write-tree").strip()
        return git(self.clean, "commit-tree", tree, "-m", "m", *(["-p", parent] if parent else [])).strip()

    def set_up(self, files: Mapping[str, str]) -> None:
        """Lay out a tree as setup left it."""
        for path, text in files.items():
            (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / path).write_text(text)

    def contents(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.tree)): path.read_text() for path in self.tree.rglob("*") if path.is_file() and not path.is_symlink()
        }


@pytest.fixture
def repository(box: Path) -> Repository:
    repository = Repository(box)
    repository.set_up({"kept": "kept\n", "changed": "old\n", "gone/deep/file": "gone\n", "gone/beside": "gone\n"})
    return repository


def overlay(repository: Repository, commit: str, base: str | None = None) -> dict[str, object]:
    return {"overlay": "clean.git", "commit": commit, "base": base or repository.base}


def test_a_commit_is_checked_out_over_the_tree(shell: Shell, repository: Repository) -> None:
    commit = repository.committed_files({"kept": "kept\n", "changed": "new\n", "added/file": "added\n"}, repository.base)
    repository.set_up({"node_modules/dep": "installed\n", "gone/built": "built\n"})
    with shell("true", **overlay(repository, commit)) as run:
        assert run.report()["ok"]
    assert repository.contents() == {
        "kept": "kept\n",
        "changed": "new\n",
        "added/file": "added\n",
        "node_modules/dep": "installed\n",
        "gone/built": "built\n",
    }


def test_tracked_files_that_setup_changed_are_reset_to_the_commit(shell: Shell, repository: Repository) -> None:
    commit = repository.committed_files({"kept": "kept\n", "changed": "new\n"}, repository.base)
    repository.set_up({"kept": "changed by setup\n"})
    with shell("true", **overlay(repository, commit)) as run:
        assert run.report()["ok"]
    assert repository.contents() == {"kept": "kept\n", "changed": "new\n"}


def test_a_deletion_does_not_go_through_a_link(shell: Shell, repository: Repository, tmp_path: Path) -> None:
    commit = repository.committed_files({"kept": "kept\n", "changed": "old\n"}, repository.base)
    subprocess.run(["rm", "-r", repository.tree / "gone"], check=True)
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "deep" / "file").touch()
    (repository.tree / "gone").symlink_to(tmp_path / "outside")
    with shell("true", **overlay(repository, commit)) as run:
        assert run.report()["ok"]
    assert (tmp_path / "outside" / "deep" / "file").exists()


def test_unchanged_lfs_content_stays(shell: Shell, repository: Repository) -> None:
    attributes, pointer = "*.bin filter=lfs\n", "version https://git-lfs.github.com/spec/v1\n"
    base = repository.committed_files({".gitattributes": attributes, "big.bin": pointer, "a": "old\n"})
    commit = repository.committed_files({".gitattributes": attributes, "big.bin": pointer, "a": "new\n"}, base)
    repository.set_up({".gitattributes": attributes, "big.bin": "the real content", "a": "old\n"})
    with shell("true", **overlay(repository, commit, base)) as run:
        assert run.report()["ok"]
    assert (repository.contents()["big.bin"], repository.contents()["a"]) == ("the real content", "new\n")


def test_a_first_commit_is_checked_out_over_an_empty_tree(shell: Shell, repository: Repository) -> None:
    with shell("cat kept", overlay="clean.git", commit=repository.base, base=None) as run:
        assert run.report()["ok"]


def test_a_missing_commit_is_reported(shell: Shell, repository: Repository) -> None:
    with shell("touch ran", **overlay(repository, "0" * 39 + "1")) as run:
        report = run.report()
    assert (report["ok"], report["reason"]) == (False, "overlay")
    assert not (repository.tree / "ran").exists()


def test_neither_hook_nor_filter_of_the_tree_runs(shell: Shell, repository: Repository) -> None:
    commit = repository.committed_files({"kept": "new\n", ".gitattributes": "* filter=evil\n"}, repository.base)
    subprocess.run(["git", "init", "--quiet", repository.tree], check=True)
    for name, value in {
        "filter.evil.smudge": "touch ../../ran; cat",
        "core.fsmonitor": "touch ../../ran",
        "core.hooksPath": "hooks",
    }.items():
        subprocess.run(["git", "-C", repository.tree, "config", name, value], check=True)
    with shell("true", **overlay(repository, commit)) as run:
        assert run.report()["ok"]
    assert not list(repository.box.parent.rglob("ran"))
