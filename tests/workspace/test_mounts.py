"""A working copy may hold other file systems, such as a volume of a container: changes come into them and are undone as everywhere."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ccterm.errors import StepError
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.transaction import ApplyTransaction
from tests.workspace.applying import AFTER, BEFORE
from tests.workspace.trees import RUN, HastyDisk, TickingDisk, changes, digest, dying, failing, in_child, put

NAMESPACE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "--map-root-user")
MOUNTED = ("src", "src/deep", "new")
STRIDE = 13
"""Every so many writes are tried as the last one, by each test from another one on."""


class Mounted:
    """A tree in which MOUNTED are file systems of their own, with changes for it."""

    def __init__(self, place: Path) -> None:
        self.tree, self.state = place / "tree", StateDir(place / "state").prepare()
        for name in MOUNTED:
            (self.tree / name).mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "none", str(self.tree / name)], check=True)
        put(self.tree, BEFORE)
        self.before = digest(self.tree)
        self.changes = changes(place / "changes", self.tree, AFTER)

    def apply(self, disk: TickingDisk | None = None) -> ApplyTransaction:
        transaction = ApplyTransaction(self.state, disk or HastyDisk())
        transaction.apply(RUN, self.tree, self.changes)
        return transaction

    def forget(self) -> None:
        for journal in self.state.journal.iterdir():
            shutil.rmtree(journal)

    def require_whole(self, number: int) -> None:
        """Require that all of the changes are there, or none: it was the write of this number that failed."""
        transaction = ApplyTransaction(self.state, HastyDisk())
        transaction.recover()
        if digest(self.tree) == self.after:
            transaction.undo(RUN)
        assert digest(self.tree) == self.before, number
        self.forget()

    def writes(self) -> int:
        """Return how many writes an apply makes."""
        disk = TickingDisk(lambda _: None)
        transaction = self.apply(disk)
        self.after, count = digest(self.tree), disk.count
        transaction.undo(RUN)
        self.forget()
        return count


def applied_and_undone(place: Path) -> None:
    mounted = Mounted(place)
    transaction = mounted.apply()
    assert {name: body for name, (_, body) in digest(mounted.tree).items() if name.startswith((b"src/", b"new/")) and body} == {
        b"src/deep/b.py": b"b = 2\n",
        b"new/deep/er/file": b"new\n",
        b"new/program": b"#!/bin/sh\n",
        b"new/link": b"deep/er/file",
    }
    transaction.undo(RUN)
    assert digest(mounted.tree) == mounted.before


def failed(place: Path) -> None:
    mounted = Mounted(place)
    for number in range(1, mounted.writes() + 1, STRIDE):
        with suppress(StepError):
            mounted.apply(failing(number, 5))
        mounted.require_whole(number)


def died(place: Path) -> None:
    mounted = Mounted(place)
    for number in range(STRIDE // 2, mounted.writes() + 1, STRIDE):
        assert in_child(lambda last=number: mounted.apply(dying(last))) == 9  # type: ignore[misc]  # bound now
        mounted.require_whole(number)


@pytest.mark.parametrize("scenario", [applied_and_undone, failed, died])
def test_changes_come_into_mounted_directories_completely_or_not_at_all(tmp_path: Path, scenario: Callable[[Path], None]) -> None:
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", str(tmp_path)], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    order = f"from pathlib import Path; from tests.workspace import test_mounts; test_mounts.{scenario.__name__}(Path({str(tmp_path)!r}))"
    done = subprocess.run([*NAMESPACE, sys.executable, "-c", order], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
