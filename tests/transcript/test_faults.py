"""What happens to a transcript when its process is killed or its disk is full."""

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.events import Finished, Notice
from ccterm.models import State
from ccterm.transcript import AGENT_FILE, EVENTS_FILE, Transcript, read_events
from tests.support.machine import small_disk
from tests.transcript.conftest import RUN, Stored

CHILD = Path(__file__).with_name("child.py")


def start(program: str, directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, str(CHILD), program, str(directory)], stdout=subprocess.PIPE, text=True)


def outcome(program: str, directory: Path) -> list[str]:
    """Run a program that must succeed; return its output."""
    with start(program, directory) as child:
        printed, _ = child.communicate(timeout=100)
    assert child.returncode == 0
    return printed.splitlines()


def kill_at_random(directory: Path, chance: random.Random) -> int:
    """Kill the endless writer at some point; return the last number that it reported as synced."""
    with start("endless", directory) as child:
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 6)):
            line = child.stdout.readline()
        for _ in range(chance.randrange(200_000)):
            pass  # somewhere between two syncs
        child.kill()
        rest = [line, *child.stdout.read().splitlines()]
    return max(int(number) for number in rest)


async def check_after_kill(directory: Path, synced: int) -> None:
    """Reopen a killed writer's record, and check that it is intact and continues."""
    kept = list(read_events(directory / EVENTS_FILE))
    assert [event.seq for event in kept] == list(range(len(kept)))
    assert len(kept) > synced
    transcript = Transcript(directory, RUN)
    transcript.append([Finished(state=State.FAILED)])
    await transcript.close()
    lines = (directory / EVENTS_FILE).read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["seq"] for line in lines] == list(range(len(kept) + 1))
    assert all(line.endswith(b"\n") for line in (directory / AGENT_FILE).read_bytes().splitlines(keepends=True))


@pytest.mark.first_is_fast
@pytest.mark.parametrize("seed", range(6))
async def test_a_killed_writer_loses_nothing_that_was_synced(directory: Path, seed: int) -> None:
    await check_after_kill(directory, kill_at_random(directory, random.Random(seed)))


@pytest.mark.slow
async def test_a_writer_killed_very_often_loses_nothing_that_was_synced(tmp_path: Path, rounds: Callable[[int], int]) -> None:
    for seed in range(rounds(100)):
        directory = tmp_path / str(seed) / RUN
        await check_after_kill(directory, kill_at_random(directory, random.Random(seed)))


@pytest.mark.parametrize("program", ["starved", "fed-again"])
def test_a_full_disk_is_reported_at_once_and_only_once(directory: Path, program: str) -> None:
    assert outcome(program, directory) == ["OSError", "False"]


def test_a_full_disk_leaves_no_partial_line(directory: Path) -> None:
    outcome("starved", directory)
    data = (directory / EVENTS_FILE).read_bytes()
    assert 90_000 < len(data) <= 100_000
    assert [json.loads(line)["seq"] for line in data.splitlines()] == list(range(data.count(b"\n")))
    assert set((directory / AGENT_FILE).read_text().splitlines()) == {"y" * 1000}


def test_the_end_is_written_once_there_is_room_again(directory: Path, stored: Stored) -> None:
    outcome("fed-again", directory)
    *_, notice, last = events = stored()
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(last, Finished)
    assert isinstance(notice, Notice)
    assert notice.text.endswith("bytes dropped: File too large")


def test_no_step_is_missing_once_there_is_room_again(directory: Path, stored: Stored) -> None:
    outcome("fed-again", directory)
    kinds = [event.kind for event in stored()]
    assert kinds.count("step_finished") > kinds.count("printed"), "output was dropped, steps were not"
    assert "said" not in kinds


def test_the_end_of_a_run_fits_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        assert outcome("full-disk", disk / RUN) == ["True", os.strerror(errno.ENOSPC)]
        *_, notice, last = read_events(disk / RUN / EVENTS_FILE)
    assert (notice.kind, last.kind) == ("notice", "finished")


@pytest.mark.slow
def test_many_events_need_no_memory(directory: Path) -> None:
    grown, seen = map(int, outcome("many", directory))
    assert seen == 3 * 200_002
    assert grown < 30 * 1024
