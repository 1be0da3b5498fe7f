"""Applies that are let fail, killed, and raced with, for the tests of what becomes of a working copy."""

import errno
import os
import shutil
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ccterm.errors import StepError, UsageError
from ccterm.state_dir import StateDir
from ccterm.storage import disk_reason
from ccterm.workspace.apply.changeset import ChangeSet
from ccterm.workspace.apply.transaction import ApplyTransaction
from ccterm.workspace.disk import exchange
from tests.workspace.trees import RUN, Body, HastyDisk, Link, Program, TickingDisk, changes, digest, dying, failing, in_child, put

BEFORE: Mapping[str, Body] = {
    "README.md": "read me\n",
    "run.sh": Program("#!/bin/sh\n"),
    "plain.sh": "#!/bin/sh\n",
    "src/a.py": "a = 1\n",
    "src/deep/b.py": "b = 1\n",
    "gone/only.txt": "only\n",
    "link": Link("README.md"),
    "becomes-link": "file\n",
    "becomes-directory": "file\n",
    "becomes-file/one": "1\n",
    "becomes-file/two": "2\n",
    "untouched/private": "mine\n",
}
AFTER: Mapping[str, Body] = {
    "README.md": "read me again\n",
    "run.sh": "#!/bin/sh\n",
    "plain.sh": Program("#!/bin/sh\n"),
    "src/a.py": None,
    "src/deep/b.py": "b = 2\n",
    "gone/only.txt": None,
    "link": Link("src/deep/b.py"),
    "becomes-link": Link("README.md"),
    "becomes-directory": None,
    "becomes-directory/inner/x": "x\n",
    "becomes-file/one": None,
    "becomes-file/two": None,
    "becomes-file": "now a file\n",
    "new/deep/er/file": "new\n",
    "new/program": Program("#!/bin/sh\n"),
    "new/link": Link("deep/er/file"),
}


def after(tmp_path: Path) -> dict[bytes, tuple[str, bytes]]:
    """Return the digest of the expected tree."""
    bodies = {name: body for name, body in {**BEFORE, **AFTER}.items() if body is not None}
    return digest(put(tmp_path / "shall", bodies))


def hasty(state: StateDir) -> ApplyTransaction:
    return ApplyTransaction(state, HastyDisk())


def steps(tree: Path, state: StateDir, wanted: ChangeSet) -> int:
    """Return how many writes an apply makes, leaving the tree unchanged."""
    disk = TickingDisk(lambda _: None)
    ApplyTransaction(state, disk).apply(RUN, tree, wanted)
    hasty(state).undo(RUN)
    forget(state)
    return disk.count


def forget(state: StateDir) -> None:
    """Remove all journals."""
    for place in state.journal.iterdir():
        shutil.rmtree(place)


def refused(sync: ApplyTransaction, tree: Path, wanted: ChangeSet) -> str:
    """Apply; return the reason of a refusal, or "" when everything was applied."""
    try:
        sync.apply(RUN, tree, wanted)
    except StepError as error:
        return error.reason
    return ""


def check_failing_writes(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path, every: int) -> None:
    """Let writes fail, one at a time: nothing is applied then, unless everything was done already."""
    before, shall = digest(tree), after(tmp_path)
    for number in range(1, steps(tree, state, wanted) + 1, every):
        for code in (errno.ENOSPC, errno.EIO):
            if why := refused(ApplyTransaction(state, failing(number, code)), tree, wanted):
                assert (why, digest(tree)) == (disk_reason(OSError(code, "")), before), f"write {number}"
                continue
            hasty(state).recover()  # it failed while cleaning up, after everything was done
            assert digest(tree) == shall, f"write {number}"
            hasty(state).undo(RUN)


def killed_at(number: int, tree: Path, state: StateDir, wanted: ChangeSet) -> bool:
    """Kill an apply at a write, then recover; return whether all changes are applied."""
    ended = in_child(lambda: ApplyTransaction(state, dying(number)).apply(RUN, tree, wanted))
    assert ended in (0, signal.SIGKILL)
    hasty(state).recover()
    return bool(hasty(state).applied())


def check_edits_at_the_last_moment(tree: Path, state: StateDir, wanted: ChangeSet, every: int) -> None:
    """At each write in turn, another editor saves a file that is about to be replaced: the edit is kept, the rest is all or nothing."""
    for number in range(1, steps(tree, state, wanted) + 1, every):
        _edit_at(number, tree, state, wanted)


def _edit_at(number: int, tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    before = digest(tree)

    def save(count: int) -> None:
        if count == number:
            (tree / ".saved").write_text("mine\n")
            (tree / ".saved").rename(tree / "README.md")

    assert refused(ApplyTransaction(state, TickingDisk(save)), tree, wanted) in ("", "changed")
    assert (tree / "README.md").read_text() == "mine\n", f"write {number}"
    if hasty(state).applied():  # it was saved after everything was done
        (tree / "README.md").write_text("read me again\n")
        hasty(state).undo(RUN)
    (tree / "README.md").write_text("read me\n")
    assert digest(tree) == before, f"write {number}"
    forget(state)


def race(tree: Path, state: StateDir, outside: Path, tmp_path: Path, rounds: int) -> int:
    """Keep exchanging a directory with a link out of the tree while applies write below it; return how many succeeded."""
    (tree / "hot").mkdir()
    (tree / "hot-link").symlink_to(outside)
    wanted = changes(tmp_path / "hot-changes", tree, {f"hot/{n}": "x\n" for n in range(4)})
    stop, applied = threading.Event(), 0

    def swap() -> None:
        directory = os.open(tree, os.O_RDONLY)
        while not stop.is_set():
            exchange(b"hot", directory, b"hot-link", directory)
        os.close(directory)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(rounds):
            applied += _tried(hasty(state), tree, wanted)
    finally:
        stop.set()
        swapper.join()
    return applied


def _tried(sync: ApplyTransaction, tree: Path, wanted: ChangeSet) -> bool:
    try:
        sync.apply(RUN, tree, wanted)
    except StepError:
        sync.recover()
        return False
    with suppress(StepError, UsageError):
        sync.undo(RUN)
    return True
