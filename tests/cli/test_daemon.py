"""One process is the daemon of the state directory; the others read and send commands."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.support.core import ccterm, documents, local, script, start
from tests.support.git import files_at, tip
from tests.support.waiting import wait_until


def transcript(state: Path) -> str:
    """Return all transcripts of a state directory."""
    return "".join(path.read_text() for path in state.glob("runs/*/transcript.ndjson"))


@pytest.fixture
def daemon(state: Path, remote: Path) -> Iterator["subprocess.Popen[str]"]:
    """A `ccterm run` whose agent has printed that it is ready and then sleeps."""
    process = start(
        *local(remote, "x", script({"write": "half.txt", "text": "half\n"}, {"say": "ready"}, *[{"sleep": 0.2}] * 300)), "--json"
    )
    try:
        wait_until(lambda: '"text":"ready"' in transcript(state))
        yield process
    finally:
        process.kill()
        process.communicate()


def test_another_process_sees_the_live_run_and_marks_nothing_as_lost(command: Command, daemon: "subprocess.Popen[str]") -> None:
    [seen] = json.loads(command("runs", "--json").stdout)
    assert seen["state"] == "running"
    assert json.loads(command("show", "last", "--json").stdout)["state"] == "running"
    assert daemon.poll() is None


def test_another_process_reads_the_live_transcript(command: Command, daemon: "subprocess.Popen[str]") -> None:
    assert "ready" in command("logs", "last").stdout


@pytest.mark.slow
def test_another_process_follows_to_the_end(command: Command, daemon: "subprocess.Popen[str]") -> None:
    follower = start("logs", "last", "-f")
    assert follower.stdout is not None
    assert "ready" in next(line for line in follower.stdout if "ready" in line)
    assert command("cancel", "last").returncode == 0
    rest, _ = follower.communicate(timeout=90)
    assert "cancelled" in rest


def test_a_run_stays_within_reach_when_that_of_the_command_that_carries_it_out_has_ended(
    command: Command, daemon: "subprocess.Popen[str]", state: Path, remote: Path
) -> None:
    slow = script({"write": "other.txt", "text": "o\n"}, {"say": "other is ready"}, *[{"sleep": 0.2}] * 300)
    other = start(*local(remote, "y", slow), "--json")
    wait_until(lambda: "other is ready" in transcript(state))
    assert command("cancel", "x").returncode == 0
    assert command("cancel", "y").returncode == 0
    assert documents(other.communicate(timeout=90)[0])[-1]["state"] == "cancelled"
    assert daemon.wait(90) == 130


@pytest.mark.slow
def test_another_process_steers(daemon: "subprocess.Popen[str]", remote: Path) -> None:
    done = ccterm("steer", "last", "too vague to act on", "--json")
    assert json.loads(done.stdout)["taken"] is True
    ccterm("cancel", "last", "--now")


def test_another_process_cancels_and_the_work_is_kept(command: Command, daemon: "subprocess.Popen[str]", remote: Path) -> None:
    done = command("cancel", "last", "--json")
    [cancelled] = json.loads(done.stdout)
    assert cancelled["state"] == "cancelled"
    assert Path(cancelled["salvage"]["directory"], "work.bundle").exists()
    stdout, _ = daemon.communicate(timeout=90)
    assert daemon.returncode == 130
    assert documents(stdout)[0]["state"] == "cancelled"


def test_another_process_hands_its_task_to_the_daemon(daemon: "subprocess.Popen[str]", remote: Path) -> None:
    done = ccterm(*local(remote, "y"), "--json")
    [run] = documents(done.stdout)
    assert run["state"] == "succeeded"
    assert tip(remote, "y") == run["commit"]
    assert daemon.poll() is None


def test_a_refusal_by_the_daemon_reads_as_one_of_our_own(command: Command, daemon: "subprocess.Popen[str]", remote: Path) -> None:
    done = command("push", "last")
    assert done.returncode == 2
    assert "has not ended yet" in done.stderr


def test_ctrl_c_stops_and_keeps_the_work(command: Command, daemon: "subprocess.Popen[str]", state: Path, remote: Path) -> None:
    daemon.send_signal(2)
    stdout, _ = daemon.communicate(timeout=90)
    assert daemon.returncode == 130
    [run] = documents(stdout)
    assert run["state"] == "cancelled"
    assert run["salvage"] is not None
    assert command("push", "last").returncode == 0
    assert files_at(remote, "x")["half.txt"] == b"half\n"


@pytest.mark.first_is_fast
@pytest.mark.parametrize(("order", "files"), [(("allow",), {"a.txt", "b.txt"}), (("deny", "not that"), {"a.txt"})], ids=["allow", "deny"])
def test_another_process_answers_a_request_for_permission(
    state: Path, remote: Path, command: Command, order: tuple[str, ...], files: set[str]
) -> None:
    task = script({"write": "a.txt", "text": "changed\n"}, {"permit": "echo b > b.txt"}, {"say": "done"})
    run = start(*local(remote, "asking", task), "--permissions", "ask", "--json")
    wait_until(lambda: "asks permission: Bash echo b > b.txt" in command("runs").stdout)
    assert "+changed" in command("diff", "last").stdout
    done = command(order[0], "last", *order[1:])
    assert (done.returncode, "echo b > b.txt" in done.stderr) == (0, True), done.stderr
    stdout, _ = run.communicate(timeout=90)
    [ended] = documents(stdout)
    assert run.returncode == (7 if order[0] == "deny" else 0)
    assert (ended["state"], ended["denied"]) == ("succeeded", ["Bash echo b > b.txt"] if order[0] == "deny" else [])
    assert set(files_at(remote, "asking")) >= files
    assert ("b.txt" in files_at(remote, "asking")) is (order[0] == "allow")
    refused = command(order[0], "last", *order[1:])
    assert (refused.returncode, "asks for no permission" in refused.stderr) == (2, True)
