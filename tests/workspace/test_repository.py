"""What is taken for a working copy, and what is refused with its reason."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.errors import UsageError
from ccterm.workspace.repository import find_repository
from tests.support.git import git, make_bare, make_repository
from tests.support.machine import bound_by_permissions


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "copy", {"README.md": "hello\n", "src/a.py": "a = 1\n"})


def _merge(copy: Path) -> None:
    (copy / ".git/MERGE_HEAD").write_text("x")


def _bisect(copy: Path) -> None:
    (copy / ".git/BISECT_LOG").write_text("x")


def _rebase(copy: Path) -> None:
    (copy / ".git/rebase-merge").mkdir()


@pytest.mark.parametrize(("begin", "what"), [(_merge, "merge"), (_bisect, "bisect"), (_rebase, "rebase")])
def test_a_merge_in_progress_must_be_finished_first(copy: Path, tmp_path: Path, begin: Callable[[Path], None], what: str) -> None:
    begin(copy)
    with pytest.raises(UsageError) as caught:
        find_repository(str(copy), os.environ, tmp_path).require_rest()
    assert str(caught.value) == f"a {what} is in progress in {copy}; finish or abort it (git {what} --abort), then try again"


def refusal(repo: Path | str, cwd: Path) -> str:
    with pytest.raises(UsageError) as caught:
        find_repository(str(repo), os.environ, cwd)
    return str(caught.value)


def test_what_is_not_a_working_copy_is_named(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert "is not a git repository; git init makes one" in refusal("plain", tmp_path)
    assert "is not a directory" in refusal("missing", tmp_path)
    assert "is a bare repository" in refusal(make_bare(tmp_path / "bare.git"), tmp_path)
    assert "is inside a git directory" in refusal(copy / ".git", tmp_path) or "bare" in refusal(copy / ".git", tmp_path)
    git(tmp_path, "init", "--quiet", "fresh")
    assert "has no commit yet" in refusal("fresh", tmp_path)
    assert "give --branch, or a directory" in refusal("https://github.com/o/r", tmp_path)


def test_a_submodule_is_named(copy: Path, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner", {"x": "x\n"})
    git(copy, "submodule", "--quiet", "add", str(inner), "module")
    assert f'"{copy / "module"}" is a submodule of "{copy}"; clone it on its own' in refusal(copy / "module", tmp_path)


def test_a_subdirectory_means_the_whole_working_copy(copy: Path, tmp_path: Path) -> None:
    assert find_repository(str(copy / "src"), os.environ, tmp_path).root == copy


def test_a_directory_that_cannot_be_written_is_named(copy: Path) -> None:
    copy.chmod(0o555)
    program = (
        "import os, pathlib\nfrom ccterm.errors import CctermError\nfrom ccterm.workspace.repository import find_repository\n"
        f"try:\n    find_repository({str(copy)!r}, os.environ, pathlib.Path.cwd())\nexcept CctermError as error:\n    print(error)\n"
    )
    words = [*bound_by_permissions(), sys.executable, "-c", program]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "cannot be written to, so no changes could be brought back; make it writable, or give --branch" in said
