"""Work that is checked out to be looked at: nothing of it runs, whatever the user's configuration names, and filters of theirs still do."""

import os
from pathlib import Path

import pytest

from ccterm.errors import UsageError
from ccterm.workspace.worktree import check_out
from tests.support.git import commit_files, git, make_repository, write_files

HOOKS = ("post-checkout", "post-index-change", "reference-transaction")
REF = "refs/ccterm/run"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", {"a.txt": "a\n", "tools/filter": "#!/bin/sh\ncat\n"})


def agent_commit(repo: Path, files: dict[str, str]) -> str:
    """Commit on the ref of a run, beside the user's branch; return the base."""
    base = git(repo, "rev-parse", "HEAD")
    write_files(repo, files)
    for name, text in files.items():
        (repo / name).chmod(0o755 if text.startswith("#!") else 0o644)
    git(repo, "update-ref", REF, commit_files(repo, {}))
    git(repo, "reset", "--hard", base)
    return base


def look(repo: Path, base: str | None, directory: Path) -> list[str]:
    return list(check_out(repo, REF, base, directory, os.environ))


def test_no_hook_of_the_work_runs_and_git_is_told_to_obey_them(repo: Path, tmp_path: Path) -> None:
    trap = f"#!/bin/sh\ntouch {tmp_path}/ran\n"
    base = agent_commit(repo, {f".githooks/{name}": trap for name in HOOKS} | {"b.txt": "b\n"})
    git(repo, "config", "core.hooksPath", ".githooks")
    assert look(repo, base, tmp_path / "look") == sorted(f".githooks/{name}" for name in HOOKS)
    assert (tmp_path / "look/b.txt").read_text() == "b\n"
    assert not (tmp_path / "ran").exists()
    assert git(tmp_path / "look", "rev-parse", "HEAD") == git(repo, "rev-parse", REF)


@pytest.mark.parametrize("name", ["lint", pytest.param("a=b", marks=pytest.mark.slow)])
def test_no_command_runs_that_the_configuration_names_as_a_hook(repo: Path, tmp_path: Path, name: str) -> None:
    trap = f"#!/bin/sh\ntouch {tmp_path}/ran\n"
    base = agent_commit(repo, {"tools/lint": trap, "b.txt": "b\n"})
    (repo / ".git/config").open("a").write(f'[hook "{name}"]\n\tcommand = tools/lint; touch {tmp_path}/ran\n')
    for event in HOOKS:
        git(repo, "config", "--add", f"hook.{name}.event", event)
    assert look(repo, base, tmp_path / "look") == ["tools/lint"]
    assert (tmp_path / "look/b.txt").read_text() == "b\n"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["filter.x.smudge", pytest.param("filter.x.process", marks=pytest.mark.slow)])
def test_no_filter_that_the_work_brings_runs(repo: Path, tmp_path: Path, key: str) -> None:
    base = agent_commit(repo, {"tools/filter": f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n", ".gitattributes": "*.txt filter=x\n"})
    git(repo, "config", key, "sh ./tools/filter")
    git(repo, "config", "filter.x.required", "true")
    assert look(repo, base, tmp_path / "look") == ["tools/filter"]
    assert (tmp_path / "look/a.txt").read_text() == "a\n"
    assert not (tmp_path / "ran").exists()


def test_no_filter_of_the_work_runs_that_the_environment_names(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repo, "config", "core.hooksPath", ".githooks")
    files = {
        "tools/filter": f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n",
        ".gitattributes": "*.txt filter=x\n",
        ".githooks/pre-push": "#!/bin/sh\n",
        "z.txt": "z\n",
    }
    base = agent_commit(repo, files)
    for name, value in (("COUNT", "1"), ("KEY_0", "filter.x.smudge"), ("VALUE_0", "sh ./tools/filter")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert ".githooks/pre-push" in look(repo, base, tmp_path / "look")
    assert not (tmp_path / "ran").exists()


def test_the_users_own_filters_do_their_work(repo: Path, tmp_path: Path) -> None:
    commit_files(repo, {".gitattributes": "*.txt filter=x\n"})
    base = agent_commit(repo, {"b.txt": "b\n"})
    git(repo, "config", "filter.x.smudge", "sed s/b/B/")
    git(repo, "config", "core.hooksPath", ".githooks")
    assert look(repo, base, tmp_path / "look") == []
    assert (tmp_path / "look/b.txt").read_text() == "B\n"
    assert git(repo, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_bare_repository_and_work_whose_base_is_not_there(repo: Path, tmp_path: Path) -> None:
    agent_commit(repo, {"b.txt": "b\n"})
    git(tmp_path, "clone", "--quiet", "--mirror", str(repo), "bare.git")
    assert look(tmp_path / "bare.git", None, tmp_path / "look") == []
    assert (tmp_path / "look/b.txt").exists()


def test_a_directory_that_exists_is_left_alone(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        look(repo, agent_commit(repo, {"b.txt": "b\n"}), tmp_path)
