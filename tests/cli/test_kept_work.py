"""Work that is kept: what a refusal says to do works, work is searched for secrets before it is delivered, and `clean` asks first."""

import json
import os
import shlex
import shutil
import stat
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.e2e.arranged import configure
from tests.support.core import documents, local, script
from tests.support.git import files_at, make_repository

WORK = script({"write": "precious.txt", "text": "precious\n"}, {"say": "written"})
SECRET = "s3cr3t-value-of-the-deploy-key"


def ran(command: Command, *args: str, cwd: Path | None = None) -> dict[str, object]:
    """Run a task and return its document."""
    [run] = documents(command(*args, "--json", cwd=cwd).stdout)
    return run


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "copy", {"README.md": "hello\n"})


IN_COPY = ("--mode", "local", "--agent", "scripted")


def followed(command: Command, action: str, *more: str) -> int:
    """Carry out the last command that an action names; return its exit code."""
    words = shlex.split(action.rpartition("ccterm ")[2].split(" with ")[0].split(" delivers ")[0].split(" to deliver ")[0])
    return command(*words, *more).returncode


@pytest.mark.slow
def test_the_rest_of_work_of_which_something_was_left_out_is_delivered_by_what_the_run_says(
    command: Command, state: Path, remote: Path
) -> None:
    nested = script({"bash": "git init -q inner && touch inner/x"}, {"write": "precious.txt", "text": "precious\n"}, {"say": "done"})
    run = ran(command, *local(remote, "x", nested))
    assert (run["cause"], run["reason"]) == ("policy", "nested")
    assert followed(command, str(run["action"])) == 0
    assert files_at(remote, "x").keys() == {"a.txt", "precious.txt"}


def test_the_flags_of_a_refusal_deliver_all_of_its_paths(command: Command, state: Path, copy: Path) -> None:
    names = ("CLAUDE.md", "a dir/AGENTS.md", "[x]/.envrc")
    task = script(*({"write": name, "text": "x\n"} for name in names), {"say": "done"})
    run = ran(command, "run", task, *IN_COPY, "--yes", cwd=copy)
    assert (run["cause"], run["reason"]) == ("policy", "protected")
    flags = shlex.split(str(run["summary"]).partition("; --")[2].rpartition(" allows it")[0])
    assert followed(command, str(run["action"]), f"--{flags[0]}", *flags[1:]) == 0
    assert all((copy / name).exists() for name in names)


@pytest.fixture
def dying_git(tmp_path: Path) -> str:
    """Return a PATH whose git dies when it makes the commit."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nfor word; do [ "$word" = commit-tree ] && exit 128; done\nexec {shutil.which("git")} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.first_is_fast
@pytest.mark.parametrize("verb", ["push", "apply"])
def test_unscanned_work_is_delivered_only_after_its_secrets_can_be_read(
    command: Command, state: Path, remote: Path, copy: Path, isolation: Path, dying_git: str, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    configure(isolation, '[secrets.DEPLOY_KEY]\nfrom = "env:HOST_KEY"\nsteps = ["setup"]\n')
    with monkeypatch.context() as patch:
        patch.setenv("HOST_KEY", SECRET)
        patch.setenv("PATH", dying_git)
        args = local(remote, "x", WORK) if verb == "push" else ("run", WORK, *IN_COPY, "--repo", str(copy))
        run = ran(command, *args, "--setup", "true")
    assert (run["state"], run["cause"]) == ("failed", "commit")
    assert "+precious" in command("diff", "last").stdout
    refused = command(verb, "last")
    assert (refused.returncode, "DEPLOY_KEY" in refused.stderr) == (4, True)
    monkeypatch.setenv("HOST_KEY", SECRET)
    assert command(verb, "last").returncode == 0
    found = files_at(remote, "x")["precious.txt"] if verb == "push" else (copy / "precious.txt").read_bytes()
    assert found == b"precious\n"


def kept(state: Path) -> set[str]:
    """Return the runs of which something is kept, by what is on the disk."""
    return {path.name for path in (*state.glob("salvage/*"), *(path.parent for path in state.glob("runs/*/boxes")))}


def test_clean_removes_delivered_work_and_leaves_the_rest_unless_it_is_named(command: Command, state: Path, remote: Path) -> None:
    nested = script({"bash": "git init -q inner && touch inner/x"}, {"write": "precious.txt", "text": "precious\n"}, {"say": "done"})
    first, second = (ran(command, *local(remote, branch, nested))["id"] for branch in ("x", "y"))
    assert kept(state) == {first, second}
    assert command("push", str(first)).returncode == 0
    nobody = command("clean", "--all")
    assert (nobody.returncode, "add --yes" in nobody.stderr) == (2, True)
    assert kept(state) == {first, second}
    done = command("clean", "--all", "--yes")
    assert (done.returncode, done.stdout) == (0, "removed what was kept of #1  x\n")
    assert "1 with work that was not delivered left alone" in done.stderr
    assert kept(state) == {second}
    assert command("clean", str(second), "--yes").returncode == 0
    assert kept(state) == set()
    [*_, run] = json.loads(command("runs", "--json").stdout)
    assert (run["salvage"], run["action"]) == (None, "")
    for yes in ([], ["--yes"]):
        again = command("clean", str(second), *yes)
        assert (again.returncode, again.stderr) == (2, "ccterm: nothing is kept of run #2\n  ccterm show 2 says what became of it\n")


@pytest.mark.parametrize("args", [(), ("last", "--all"), ("last", "--undelivered")])
def test_clean_wants_to_be_told_what(command: Command, state: Path, args: tuple[str, ...]) -> None:
    assert command("clean", *args).returncode == 2


@pytest.mark.slow
def test_a_state_directory_may_have_any_name(
    command: Command, remote: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "a b,c|d:e'f\"g\\h #%$=ü" / "state"))
    assert command(*local(remote, "x", WORK), "--setup", "true", "--verify", "test -f precious.txt").returncode == 0
    assert files_at(remote, "x")["precious.txt"] == b"precious\n"
    assert command("run", WORK, *IN_COPY, cwd=copy).returncode == 0
    assert "+precious" in command("diff", "last").stdout
    assert command("apply", "last").returncode == 0
    assert command("undo", "last").returncode == 0
    assert not (copy / "precious.txt").exists()
    nested = script({"bash": "git init -q inner && touch inner/x"}, {"write": "precious.txt", "text": "precious\n"}, {"say": "done"})
    assert command(*local(remote, "y", nested)).returncode == 4
    assert command("push", "last").returncode == 0
