"""Counted repetitions: the races, kills and edits that an apply must survive, as often as promised."""

import os
import random
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ccterm.state_dir import StateDir
from ccterm.workspace.apply.changeset import ChangeSet
from ccterm.workspace.apply.transaction import ApplyTransaction
from tests.workspace.applying import (
    AFTER,
    BEFORE,
    after,
    check_edits_at_the_last_moment,
    check_failing_writes,
    forget,
    hasty,
    killed_at,
    race,
    refused,
    steps,
)
from tests.workspace.trees import RUN, Body, Link, Program, TickingDisk, changes, digest, put

pytestmark = pytest.mark.slow
WRITES = 4
"""Files that each apply of the race writes."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return put(tmp_path / "tree", BEFORE)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


def test_no_write_escapes_through_a_racing_link(tree: Path, state: StateDir, tmp_path: Path, rounds: Callable[[int], int]) -> None:
    outside = put(tmp_path / "outside", {"0": "theirs\n"})
    applied = race(tree, state, outside, tmp_path, rounds(20_000) // WRITES)
    assert digest(outside) == {b"0": ("-rw-r--r--", b"theirs\n")}
    assert applied, "the race was lost every time, so nothing was shown"


def test_a_kill_at_a_hundred_points_is_all_or_nothing(tree: Path, state: StateDir, tmp_path: Path) -> None:
    more = {f"more/{n}.txt": f"{n}\n" for n in range(10)}
    wanted = changes(tmp_path / "changes", tree, {**AFTER, **more})
    before, points = digest(tree), steps(tree, state, wanted)
    shall = (
        after(tmp_path) | {f"more/{n}.txt".encode(): ("-rw-r--r--", f"{n}\n".encode()) for n in range(10)} | {b"more": ("drwxr-xr-x", b"")}
    )
    assert points >= 100
    for number in range(1, points + 1):
        applied = killed_at(number, tree, state, wanted)
        assert digest(tree) == (shall if applied else before), f"write {number} of {points}"
        if applied:
            hasty(state).undo(RUN)


def test_any_write_may_fail(tree: Path, state: StateDir, tmp_path: Path) -> None:
    check_failing_writes(tree, state, changes(tmp_path / "changes", tree, AFTER), tmp_path, every=1)


def test_an_edit_at_any_write_is_kept(tree: Path, state: StateDir, tmp_path: Path) -> None:
    check_edits_at_the_last_moment(tree, state, changes(tmp_path / "changes", tree, AFTER), every=1)


class Editor:
    """Another process that saves a file on request, as an editor does: by renaming a new file, or into the old one."""

    def __init__(self, tree: Path) -> None:
        self._orders, ours = os.pipe()
        theirs, self._answers = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(ours)
            os.close(theirs)
            self._serve(tree)
        os.close(self._orders)
        os.close(self._answers)
        self._write, self._read = ours, theirs

    def _serve(self, tree: Path) -> None:
        try:
            while order := os.read(self._orders, 100):
                name, text = f"f{int(order[:3])}", order.decode()
                if int(order[:3]) % 2:
                    (tree / name).write_text(text)
                else:
                    (tree / ".editor").write_text(text)
                    (tree / ".editor").rename(tree / name)
                os.write(self._answers, b".")
        finally:
            os._exit(0)

    def order(self, number: int, text: str) -> None:
        """Tell it to save a file, and do not wait for that."""
        os.write(self._write, f"{number:03} {text}".encode())

    def wait(self) -> None:
        """Wait until the file is saved."""
        os.read(self._read, 1)

    def end(self) -> None:
        """End it."""
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        os.close(self._write)
        os.close(self._read)


def test_fifty_edits_by_another_process_during_applies_are_all_kept(tmp_path: Path, state: StateDir, rounds: Callable[[int], int]) -> None:
    chance = random.Random(7)
    tree = put(tmp_path / "edited", {f"f{n}": f"{n}\n" for n in range(30)})
    editor = Editor(tree)
    try:
        outcomes = [_edited_round(round_, chance, tree, state, tmp_path, editor) for round_ in range(rounds(50))]
    finally:
        editor.end()
    assert len(set(outcomes)) > 1, "all edits came at the same moment"


def _edited_round(round_: int, chance: random.Random, tree: Path, state: StateDir, tmp_path: Path, editor: Editor) -> str:
    """Apply while the other process saves one file at some moment; its edit is there afterwards, whether or not the apply succeeded."""
    number, at = chance.randrange(30), chance.randrange(1, 600)
    wanted = changes(tmp_path / f"round-{round_}", tree, {f"f{n}": f"{round_} {n}\n" for n in range(30)})
    told = False

    def tick(count: int) -> None:
        nonlocal told
        if count >= at and not told:
            told = True
            editor.order(number, f"edit {round_}")

    why = refused(ApplyTransaction(state, TickingDisk(tick)), tree, wanted)
    if not told:
        editor.order(number, f"edit {round_}")
    editor.wait()
    assert (tree / f"f{number}").read_text() == f"{number:03} edit {round_}"
    forget(state)
    return why


def a_body(chance: random.Random) -> Body:
    text = "".join(chance.choice("abc\n") for _ in range(chance.randrange(200)))
    bodies: list[Body] = [text, text.encode() * 50, Program(text), Link("f1"), b""]
    return chance.choice(bodies)


def some_bodies(chance: random.Random, count: int) -> Mapping[str, Body]:
    return {f"{chance.choice(['', 'a/', 'a/b/', 'c/'])}f{chance.randrange(12)}": a_body(chance) for _ in range(count)}


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_undo_is_bit_identical(tmp_path: Path, state: StateDir, seed: int) -> None:
    chance = random.Random(seed)
    for round_ in range(25):
        tree = put(tmp_path / f"tree-{round_}", some_bodies(chance, 15))
        for path in tree.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.chmod(chance.choice([0o600, 0o640, 0o644, 0o755, 0o700]))
        before = digest(tree)
        there = {os.path.relpath(path, tree) for path in tree.rglob("*") if not path.is_dir() or path.is_symlink()}
        bodies: dict[str, Body] = {**some_bodies(chance, 10), **dict.fromkeys(chance.sample(sorted(there), len(there) // 3))}
        wanted: ChangeSet = changes(tmp_path / f"wanted-{round_}", tree, bodies)
        hasty(state).apply(RUN, tree, wanted)
        hasty(state).undo(RUN)
        assert digest(tree) == before, f"round {round_}"
        forget(state)
