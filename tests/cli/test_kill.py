"""kill -9 is a normal way to stop: the agent dies with its daemon, and the next command finds the record and the work."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.core import ccterm, local, script, start
from tests.support.git import files_at, git, tip
from tests.support.waiting import wait_until


def dead(pid: int) -> bool:
    """Whether a process is gone, or only waits to be reaped by somebody else."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


POINTS = {
    "queued": '"kind":"queued"',
    "started": '"kind":"started"',
    "resolved": '"step":"resolve","ok":true',
    "checking out": '"kind":"step_started","step":"checkout"',
    "setting up": '"text":"setting up"',
    "agent started": '"kind":"step_started","step":"agent"',
    "agent wrote": '"text":"written"',
    "agent ended": '"kind":"step_finished","step":"agent"',
    "committed": '"kind":"step_finished","step":"commit"',
    "verifying": '"text":"verifying"',
    "pushed": '"kind":"pushed"',
}


AFTER_THE_AGENT = ("agent ended", "committed", "verifying", "pushed")
SOON = ("agent wrote",)
"""Points that the fast tier tries; the slow one tries all others."""


@pytest.mark.parametrize("point", [point if point in SOON else pytest.param(point, marks=pytest.mark.slow) for point in POINTS])
def test_killed_at_any_point_the_record_is_right_and_nothing_is_lost(point: str, state: Path, remote: Path) -> None:
    hangs = "tail -f /dev/null"  # so that it is killed at this point, however late the test sees it
    agent, verify = ("true" if point in beyond else hangs for beyond in (AFTER_THE_AGENT, ("pushed",)))
    task = script({"write": "half.txt", "text": "half\n"}, {"say": "written"}, {"bash": agent}, {"say": "done"})
    daemon = start(*local(remote, "x", task), "--setup", "echo setting up; sleep 0.2", "--verify", f"echo verifying; {verify}")
    try:
        wait_until(lambda: POINTS[point] in "".join(p.read_text() for p in state.glob("runs/*/transcript.ndjson")))
    finally:
        daemon.kill()
        daemon.communicate()
    [run] = json.loads(ccterm("runs", "--json").stdout)
    events = [json.loads(line) for line in next(state.glob("runs/*/transcript.ndjson")).read_text().splitlines()]
    assert [event["kind"] for event in events].count("finished") == 1
    assert [event["seq"] for event in events] == list(range(len(events)))
    if run["state"] == "succeeded":
        assert point == "pushed"
    else:
        assert (run["state"], run["cause"]) == ("failed", "lost")
    if point in ("agent wrote", "agent ended", "committed", "verifying") and run["state"] == "failed":
        assert ccterm("push", "last").returncode == 0
        assert files_at(remote, "x")["half.txt"] == b"half\n"
    if point in AFTER_THE_AGENT:
        assert run["cost_usd"] > 0
    assert not list(state.glob("runs/*/boxes"))
    assert git(remote, "fsck", "--strict") == ""


@pytest.mark.slow
def test_a_killed_run_goes_on_with_its_work_and_its_conversation(state: Path, remote: Path) -> None:
    task = script({"write": "half.txt", "text": "half\n"}, {"say": "written"}, {"sleep": 60})
    daemon = start(*local(remote, "x", task))
    wait_until(lambda: POINTS["agent wrote"] in "".join(p.read_text() for p in state.glob("runs/*/transcript.ndjson")))
    daemon.kill()
    daemon.communicate()
    done = ccterm("continue", "last", script({"bash": "cp half.txt whole.txt"}, {"say": "Copied."}))
    assert done.returncode == 0, done.stderr
    assert set(files_at(remote, "x")) >= {"half.txt", "whole.txt"}
    [run, lost] = [
        json.loads(ccterm("show", ref, "--json").stdout)
        for ref in ("last", json.loads(ccterm("show", "last", "--json").stdout)["continues"])
    ]
    assert (run["session_id"], lost["cause"]) == (lost["session_id"], "lost")
    conversation = (state / "runs" / run["id"] / "session.jsonl").read_text()
    assert conversation.index("half.txt") < conversation.index("whole.txt")


def test_the_agents_whole_tree_is_dead_at_once(state: Path, remote: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = f"setsid sh -c 'echo $$ >> {pids}; exec sleep 60' & echo $$ >> {pids}; sleep 60"
    daemon = start(*local(remote, "x", script({"bash": command})))
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.communicate()
    wait_until(lambda: all(dead(int(pid)) for pid in pids.read_text().split()))


def test_a_run_that_was_only_queued_ends_as_lost(state: Path, remote: Path) -> None:
    daemon = start(*local(remote, "x", script({"sleep": 60})))
    wait_until(lambda: '"kind":"step_started","step":"agent"' in "".join(p.read_text() for p in state.glob("runs/*/transcript.ndjson")))
    daemon.kill()
    daemon.communicate()
    [run] = json.loads(ccterm("runs", "--json").stdout)
    assert (run["cause"], run["salvage"]) == ("lost", None)
    assert "ccterm retry 1" in run["action"]
    assert tip(remote, "x") is None


def test_nothing_is_reaped_when_the_store_cannot_be_read(state: Path, remote: Path) -> None:
    daemon = start(*local(remote, "x", script({"write": "half.txt", "text": "half\n"}, {"say": "written"}, {"sleep": 60})))
    wait_until(lambda: '"text":"written"' in "".join(p.read_text() for p in state.glob("runs/*/transcript.ndjson")))
    daemon.kill()
    daemon.communicate()
    before = sorted(state.glob("runs/*/boxes/**/half.txt"))
    for name in ("ccterm.db-wal", "ccterm.db-shm"):
        (state / name).unlink(missing_ok=True)
    (state / "ccterm.db").write_bytes(b"this is no database, " * 1000)
    done = ccterm("runs")
    assert done.returncode == 3
    assert "ccterm.db" in done.stderr
    assert sorted(state.glob("runs/*/boxes/**/half.txt")) == before != []
