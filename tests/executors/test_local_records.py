"""Killing the processes of dead boxes: by record, never by guess."""

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccterm.executors.local.records import BoxRecord, reap
from ccterm.processes import ProcessMark, boot_id
from tests.support.waiting import wait_until

NOBODY = ProcessMark(pid=2**22 - 1, started="1", boot=boot_id())
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes with a mark; they are killed when the test ends."""
    started = []

    def start(mark: str) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(["sleep", "600"], env={"CCTERM_MARK": mark}, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def mark() -> str:
    """Return a mark of this test alone: other test processes run at the same time, and reaping looks at all processes."""
    return secrets.token_hex(16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "01-agent.json"


def test_what_a_dead_daemon_left_running_is_killed(start: Start, mark: str, path: Path) -> None:
    stray, other = start(mark), start(f"not-{mark}")
    BoxRecord(mark=mark, owner=NOBODY, process=ProcessMark.of(stray.pid)).write(path)
    reap([path])
    assert stray.wait(30) == -signal.SIGKILL
    assert other.poll() is None


def test_so_are_the_other_processes_of_a_box_whose_own_process_is_dead(start: Start, mark: str, path: Path) -> None:
    stray = start(mark)
    BoxRecord(mark=mark, owner=NOBODY, process=NOBODY).write(path)
    reap([path])
    assert stray.wait(30) == -signal.SIGKILL


def test_so_are_descendants_without_the_mark(mark: str, path: Path) -> None:
    stray = subprocess.Popen(["sh", "-c", "env -i sleep 600; :"], env={"CCTERM_MARK": mark, "PATH": os.defpath}, start_new_session=True)
    children = Path(f"/proc/{stray.pid}/task/{stray.pid}/children")
    wait_until(children.read_text)
    child = ProcessMark.of(int(children.read_text().split()[0]))
    BoxRecord(mark=mark, owner=NOBODY, process=ProcessMark.of(stray.pid)).write(path)
    reap([path])
    stray.wait(30)
    assert child
    assert not child.alive


@pytest.mark.parametrize(
    "fields", [{"owner": ProcessMark.of(os.getpid())}, {"mark": "another"}, {"process": None, "mark": ""}], ids=["owner", "mark", "no mark"]
)
def test_a_process_that_does_not_match_its_record_is_left_alone(start: Start, mark: str, path: Path, fields: dict[str, object]) -> None:
    stray = start(mark)
    BoxRecord(mark=mark, owner=NOBODY, process=ProcessMark.of(stray.pid)).model_copy(update=fields).write(path)
    reap([path])
    assert stray.poll() is None


def test_after_a_reboot_no_process_is_touched(start: Start, mark: str, path: Path) -> None:
    stray = start(mark)
    before = NOBODY.model_copy(update={"boot": "another"})
    BoxRecord(mark=mark, owner=before, process=ProcessMark.of(stray.pid)).write(path)
    reap([path])
    assert stray.poll() is None


def test_the_tmpdir_of_a_dead_box_is_removed_once(mark: str, path: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp" / "file").mkdir(parents=True)
    BoxRecord(mark=mark, owner=NOBODY, tmp=str(tmp_path / "tmp")).write(path)
    reap([path])
    assert not (tmp_path / "tmp").exists()
    (tmp_path / "tmp").mkdir()
    reap([path])
    assert (tmp_path / "tmp").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"mark": "m"}'])
def test_a_record_that_cannot_be_read_reaps_nothing(path: Path, content: str) -> None:
    path.write_text(content)
    reap([path, path.with_name("never-there.json")])
    assert path.read_text() == content
