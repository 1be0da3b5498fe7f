"""The command line without --branch: its output, its question, its exit codes, and what a kill leaves behind."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.support.core import ccterm, documents, local, script, start
from tests.support.git import make_repository
from tests.support.waiting import wait_until
from tests.workspace.trees import digest

WORK = script({"append": "README.md", "text": "agent\n"}, {"write": "new.txt", "text": "new\n"}, {"say": "Done."})
FLAGS = ("--mode", "local", "--agent", "scripted")


@pytest.fixture
def copy(tmp_path: Path, state: Path) -> Path:
    return make_repository(tmp_path / "copy", {"README.md": "hello\n", **{f"many/{n}": f"{n}\n" for n in range(30)}})


def test_changes_await_approval_and_apply_and_undo_move_them(command: Command, copy: Path) -> None:
    before = digest(copy)
    ran = command("run", WORK, *FLAGS, cwd=copy)
    assert (ran.returncode, "waiting for approval" in ran.stdout, "ccterm apply" in ran.stderr) == (0, True, True), ran.stderr
    assert digest(copy) == before
    applied = command("apply", "last")
    assert (applied.returncode, applied.stdout) == (0, "✓ copy  2 files applied\n")
    assert (copy / "README.md").read_text() == "hello\nagent\n"
    undone = command("undo", "last")
    assert (undone.returncode, undone.stdout) == (0, "✓ copy  2 files applied, then undone\n")
    assert digest(copy) == before


def test_yes_applies_them_and_the_document_records_it(command: Command, copy: Path) -> None:
    ran = command("run", WORK, *FLAGS, "--yes", "--json", cwd=copy)
    [run] = documents(ran.stdout)
    assert (ran.returncode, run["synced"]) == (0, {"files": 2, "linked": 0, "undone": False})
    assert any(json.loads(line)["kind"] == "synced" for line in ran.stdout.splitlines())


def test_a_refusal_exits_4_and_the_flag_that_it_names_delivers(command: Command, copy: Path) -> None:
    before = digest(copy)
    ran = command("run", script({"delete": "many"}, {"say": "ok"}), *FLAGS, "--yes", cwd=copy)
    assert (ran.returncode, "30 files destroyed (30 deleted), more than 20; --allow-deletions 30" in ran.stderr) == (4, True), ran.stderr
    refused = command("apply", "last")
    assert (refused.returncode, "--allow-deletions 30" in refused.stderr) == (4, True)
    assert digest(copy) == before
    assert command("apply", "last", "--allow-deletions", "30").returncode == 0
    assert not (copy / "many").exists()


def test_a_conflict_exits_5_and_names_the_file(command: Command, copy: Path) -> None:
    command("run", WORK, *FLAGS, cwd=copy)
    (copy / "README.md").write_text("mine\n")
    applied = command("apply", "last")
    assert (applied.returncode, "these paths changed meanwhile: README.md" in applied.stderr) == (5, True)
    assert (copy / "README.md").read_text() == "mine\n"
    part = command("apply", "last", "--path", "new.txt")
    assert (part.returncode, (copy / "new.txt").read_text()) == (0, "new\n")


def answered(copy: Path, answer: str | signal.Signals, code: int = 0) -> str:
    """Run on a terminal, answer its question with a line or a signal, and return its output."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ccterm", "run", WORK, *FLAGS]
    process = subprocess.Popen(command, cwd=copy, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ)
    os.close(theirs)
    said = ""
    while "[y/N]" not in said:
        said += os.read(ours, 4096).decode()
    if isinstance(answer, signal.Signals):
        process.send_signal(answer)
    else:
        os.write(ours, f"{answer}\n".encode())
    assert process.wait(timeout=60) == code
    os.close(ours)
    return said


@pytest.mark.first_is_fast
@pytest.mark.parametrize(("answer", "text"), [("y", "hello\nagent\n"), ("", "hello\n")], ids=["yes", "no answer"])
def test_a_person_on_a_terminal_sees_what_would_change_and_is_asked(copy: Path, answer: str, text: str) -> None:
    said = answered(copy, answer)
    assert "M README.md" in said
    assert "A new.txt" in said
    assert f"bring this into {copy}? [y/N]" in said
    assert (copy / "README.md").read_text() == text


def test_ctrl_c_at_the_question_cancels_and_the_changes_still_await_approval(copy: Path) -> None:
    answered(copy, signal.SIGINT, code=130)
    assert (copy / "README.md").read_text() == "hello\n"
    assert ccterm("apply", "last").returncode == 0
    assert (copy / "README.md").read_text() == "hello\nagent\n"


@pytest.mark.slow
def test_another_process_sends_the_daemon_the_command(copy: Path, remote: Path, state: Path) -> None:
    [document] = documents(ccterm("run", WORK, *FLAGS, "--json", cwd=copy).stdout)
    run = str(document["id"])
    daemon = start(*local(remote, "x", script({"say": "up"}, {"sleep": 60})))
    try:
        wait_until(lambda: '"text":"up"' in "".join(p.read_text() for p in state.glob("runs/*/transcript.ndjson")))
        assert ccterm("apply", run).returncode == 0
        assert (copy / "new.txt").exists()
        assert ccterm("undo", run).returncode == 0
        assert not (copy / "new.txt").exists()
    finally:
        daemon.kill()
        daemon.communicate()


POINTS = {
    "taking the snapshot": '"kind":"step_started","step":"snapshot"',
    "agent wrote": '"text":"written"',
    "committed": '"kind":"step_finished","step":"commit"',
    "applying": '"kind":"step_started","step":"apply"',
    "applied": '"kind":"synced"',
}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_the_working_copy_is_intact_and_nothing_is_lost(point: str, state: Path, copy: Path) -> None:
    before = digest(copy)
    task = script({"write": "half.txt", "text": "half\n"}, {"say": "written"}, {"sleep": 0.3}, {"say": "done"})
    daemon = start("run", task, *FLAGS, "--yes", cwd=copy)
    try:
        wait_until(lambda: POINTS[point] in "".join(p.read_text() for p in state.glob("runs/*/transcript.ndjson")))
    finally:
        daemon.kill()
        daemon.communicate()
    [run] = json.loads(ccterm("runs", "--json").stdout)
    after = digest(copy)
    if run["state"] == "succeeded":
        assert run["synced"]["files"] == 1
        assert after.pop(b"half.txt") == ("-rw-r--r--", b"half\n")
    assert after == before
    if run["state"] == "failed" and point in ("agent wrote", "committed"):
        assert run["cause"] == "lost"
        assert ccterm("apply", "last").returncode == 0
        assert (copy / "half.txt").read_text() == "half\n"
    assert not list(state.glob("runs/*/boxes"))
    assert not list(state.glob("runs/*/snapshot"))
