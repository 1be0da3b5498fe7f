"""Files with several names (hard links) are written in place, whatever happens meanwhile, and never when git or another tool obeys them."""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.errors import StepError
from ccterm.policy.linked import LinkGuard
from ccterm.state_dir import StateDir
from ccterm.storage import disk_reason
from ccterm.workspace.apply.changeset import ChangeSet
from ccterm.workspace.apply.linked import is_between
from ccterm.workspace.apply.transaction import ApplyTransaction, Guard
from ccterm.workspace.repository import find_repository
from tests.support.git import git, make_repository
from tests.workspace.applying import forget, hasty, killed_at, refused, steps
from tests.workspace.trees import RUN, Body, Program, TickingDisk, changes, digest, dying, failing, in_child, put

BEFORE: Mapping[str, Body] = {"short": "one\n", "long": "one\n" * 400, "mode": "#!/bin/sh\n", "plain": "one\n", "gone": "one\n"}
AFTER: Mapping[str, Body] = {
    "short": "two\n" * 300,
    "long": "two\n",
    "mode": Program("#!/bin/sh\n"),
    "plain": "two\n",
    "gone": None,
    "new": "two\n",
}
LINKED = ("short", "long", "mode")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three files of it have a second name outside of it."""
    tree = put(tmp_path / "tree", BEFORE)
    (tmp_path / "outside").mkdir()
    for name in LINKED:
        (tmp_path / "outside" / name).hardlink_to(tree / name)
    return tree


@pytest.fixture
def outside(tmp_path: Path, tree: Path) -> Path:
    return tmp_path / "outside"


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


@pytest.fixture
def wanted(tmp_path: Path, tree: Path) -> ChangeSet:
    return changes(tmp_path / "changes", tree, AFTER)


def everything(tree: Path) -> dict[bytes, tuple[str, bytes]]:
    """Return what the tree holds, and what the names outside of it show."""
    return {b"tree/" + name: what for name, what in digest(tree).items()} | digest(tree.parent / "outside")


def nodes(*paths: Path) -> set[tuple[int, int]]:
    return {(path.stat().st_ino, path.stat().st_nlink) for path in paths}


def test_every_name_shows_the_change_and_the_undo(tree: Path, outside: Path, state: StateDir, wanted: ChangeSet) -> None:
    (tree / "short").chmod(0o640)
    before, files = everything(tree), nodes(*outside.iterdir())
    applied = ApplyTransaction(state).apply(RUN, tree, wanted)
    assert [(outside / name).read_text() for name in LINKED] == ["two\n" * 300, "two\n", "#!/bin/sh\n"]
    assert [(outside / name).stat().st_mode & 0o777 for name in LINKED] == [0o640, 0o644, 0o755]
    assert (applied.linked, nodes(*outside.iterdir())) == (3, files)
    assert ApplyTransaction(state).undo(RUN).linked == 3
    assert (everything(tree), nodes(*outside.iterdir())) == (before, files)


@pytest.mark.skipif(os.geteuid() != 0 or not hasattr(os, "setxattr"), reason="needs root and extended attributes")
def test_owner_and_attributes_stay(tree: Path, outside: Path, state: StateDir, wanted: ChangeSet) -> None:
    os.chown(tree / "long", 1234, 1235)
    os.setxattr(tree / "long", "user.note", b"keep")
    ApplyTransaction(state).apply(RUN, tree, wanted)
    found = (outside / "long").stat()
    assert (found.st_uid, found.st_gid, os.getxattr(outside / "long", "user.note")) == (1234, 1235, b"keep")


def two_names(tmp_path: Path, bodies: Mapping[str, Body]) -> tuple[Path, ChangeSet]:
    tree = put(tmp_path / "two", {"a": "one\n"})
    (tree / "b").hardlink_to(tree / "a")
    return tree, changes(tmp_path / "two-changes", tree, bodies)


def test_two_names_with_one_content_stay_one_file(tmp_path: Path, state: StateDir) -> None:
    tree, wanted = two_names(tmp_path, {"a": "two\n", "b": "two\n"})
    assert ApplyTransaction(state).apply(RUN, tree, wanted).linked == 0
    assert (digest(tree), len(nodes(tree / "a", tree / "b"))) == (digest(put(tmp_path / "shall", {"a": "two\n", "b": "two\n"})), 1)
    ApplyTransaction(state).undo(RUN)
    assert ((tree / "b").read_text(), len(nodes(tree / "a", tree / "b"))) == ("one\n", 1)


def test_two_names_with_unlike_contents_become_two_files(tmp_path: Path, state: StateDir) -> None:
    tree, wanted = two_names(tmp_path, {"a": "two\n", "b": "three\n"})
    notes = ApplyTransaction(state).apply(RUN, tree, wanted).notes
    assert ((tree / "a").read_text(), (tree / "b").read_text(), len(notes)) == ("two\n", "three\n", 2)
    ApplyTransaction(state).undo(RUN)
    assert ((tree / "a").read_text(), (tree / "b").read_text()) == ("one\n", "one\n")


@pytest.mark.parametrize("number", [3, 7, 10, 100])
def test_one_name_is_deleted_and_the_other_changed(tmp_path: Path, state: StateDir, number: int) -> None:
    tree, wanted = two_names(tmp_path, {"a": None, "b": "two\n"})
    before = digest(tree)
    in_child(lambda: ApplyTransaction(state, dying(number)).apply(RUN, tree, wanted))
    hasty(state).recover()
    if hasty(state).applied():
        assert digest(tree) == digest(put(tmp_path / "shall", {"b": "two\n"}))
        ApplyTransaction(state).undo(RUN)
    assert digest(tree) == before


def check_killed_at_writes(tree: Path, state: StateDir, wanted: ChangeSet, every: int) -> None:
    """Kill applies at their writes: after the next start every name shows all of the change, or nothing of it."""
    before = everything(tree)
    hasty(state).apply(RUN, tree, wanted)
    shall = everything(tree)
    hasty(state).undo(RUN)
    forget(state)
    for number in range(1, steps(tree, state, wanted) + 1, every):
        applied = killed_at(number, tree, state, wanted)
        assert everything(tree) == (shall if applied else before), f"write {number}"
        if applied:
            in_child(lambda at=number: ApplyTransaction(state, dying(at)).undo(RUN))  # type: ignore[misc]  # bound at once
            hasty(state).recover()
            assert everything(tree) == (shall if hasty(state).applied() else before), f"write {number} of the undo"
            if hasty(state).applied():
                hasty(state).undo(RUN)


def test_a_kill_at_a_write_is_all_or_nothing(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    check_killed_at_writes(tree, state, wanted, every=9)


@pytest.mark.slow
def test_a_kill_at_any_write_is_all_or_nothing(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    check_killed_at_writes(tree, state, wanted, every=1)


@pytest.mark.slow
def test_a_kill_in_a_recovery_is_made_good_by_the_next_one(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    before, last = everything(tree), steps(tree, state, wanted)
    for number in range(1, last, 5):
        for again in range(1, 30, 2):
            killed_at_once(number, tree, state, wanted)
            in_child(lambda at=again: ApplyTransaction(state, dying(at)).recover())  # type: ignore[misc]  # bound at once
            hasty(state).recover()
            if hasty(state).applied():
                hasty(state).undo(RUN)
            assert everything(tree) == before, f"write {number}, then {again}"


def killed_at_once(number: int, tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    in_child(lambda: ApplyTransaction(state, dying(number)).apply(RUN, tree, wanted))


def check_failing_writes(tree: Path, state: StateDir, wanted: ChangeSet, every: int) -> None:
    before = everything(tree)
    for number in range(1, steps(tree, state, wanted) + 1, every):
        for code in (errno.ENOSPC, errno.EIO):
            if why := refused(ApplyTransaction(state, failing(number, code)), tree, wanted):
                assert (why, everything(tree)) == (disk_reason(OSError(code, "")), before), f"write {number}"
                continue
            hasty(state).recover()
            hasty(state).undo(RUN)


def test_a_failing_write_leaves_everything_unchanged(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    check_failing_writes(tree, state, wanted, every=11)


@pytest.mark.slow
def test_any_write_may_fail(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    check_failing_writes(tree, state, wanted, every=1)


def by_renaming(path: Path) -> None:
    (path.parent / ".saved").write_text("mine\n")
    (path.parent / ".saved").rename(path)


def in_place(path: Path) -> None:
    path.write_text("mine\n")


class WholeDisk(TickingDisk):
    """Writes in place in one go, as a file system does."""

    def write_at(self, file: int, data: memoryview, at: int) -> int:
        return os.pwrite(file, data, at)

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)


def check_edits_at_writes(save: Callable[[Path], None], tree: Path, state: StateDir, wanted: ChangeSet, every: int) -> None:
    """At each write in turn, another program saves a file that is about to be written in place: its edit is kept, the rest is all or nothing."""
    number, disk = 1, WholeDisk(lambda _: None)
    while disk.count >= number - every:
        number, disk = number + every, _edited_at(number, save, tree, state, wanted)
    assert number > 60


def _edited_at(number: int, save: Callable[[Path], None], tree: Path, state: StateDir, wanted: ChangeSet) -> WholeDisk:
    before = everything(tree)
    disk = WholeDisk(lambda count: save(tree / "long") if count == number else None)
    assert refused(ApplyTransaction(state, disk), tree, wanted) in ("", "changed")
    assert (tree / "long").read_text() == ("mine\n" if disk.count >= number else "two\n"), f"write {number}"
    linked = (tree / "long").samefile(tree.parent / "outside/long")
    if hasty(state).applied():
        (tree / "long").write_text("two\n")
        hasty(state).undo(RUN)
    (tree / "long").write_text("one\n" * 400)
    assert everything(tree) == before or not linked, f"write {number}"
    (tree.parent / "outside/long").write_text("one\n" * 400)
    (tree / "long").unlink()
    (tree / "long").hardlink_to(tree.parent / "outside/long")
    assert everything(tree) == before, f"write {number}"
    forget(state)
    return disk


@pytest.mark.parametrize("save", [by_renaming, in_place])
def test_an_edit_at_the_last_moment_is_kept(save: Callable[[Path], None], tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    check_edits_at_writes(save, tree, state, wanted, every=5)


@pytest.mark.slow
@pytest.mark.parametrize("save", [by_renaming, in_place])
def test_an_edit_at_any_moment_is_kept(save: Callable[[Path], None], tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    check_edits_at_writes(save, tree, state, wanted, every=1)


@given(old=st.binary(max_size=1200), new=st.binary(max_size=1200), cut=st.integers(0, 1200))
def test_a_broken_off_write_is_recognised(old: bytes, new: bytes, cut: int) -> None:
    cut = min(cut, len(new))
    assert is_between(new[:cut] + old[cut:], old, new)
    assert is_between(new[:cut] + old[cut:], new, old)


@pytest.mark.parametrize("data", [b"", b"mine", b"one and a half", b"two\n" * 200 + b"x" + b"two\n" * 10])
def test_an_edit_is_not_taken_for_a_broken_off_write(data: bytes) -> None:
    assert not is_between(data, b"one\n" * 5, b"two\n" * 300)


def guard_for(tree: Path, *allow: str) -> Guard:
    return LinkGuard(lambda: find_repository(str(tree), os.environ, tree), os.environ, allow)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", {"a.txt": "one\n", "docs/b.txt": "b\n"})


@pytest.mark.parametrize("other", [".git/hooks/pre-commit", "AGENTS.md", ".github/workflows/ci.yml"])
def test_a_file_that_is_obeyed_by_another_name_is_left_alone(other: str, repository: Path, tmp_path: Path, state: StateDir) -> None:
    (repository / other).parent.mkdir(parents=True, exist_ok=True)
    (repository / other).hardlink_to(repository / "a.txt")
    wanted = changes(tmp_path / "changes", repository, {"a.txt": "two\n"})
    with pytest.raises(StepError, match=other) as caught:
        ApplyTransaction(state).apply(RUN, repository, wanted, guard_for(repository))
    assert (caught.value.reason, (repository / other).read_text()) == ("linked", "one\n")


def test_a_name_in_the_git_directory_of_a_linked_worktree_is_found(repository: Path, tmp_path: Path, state: StateDir) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
    (repository / ".git/info").mkdir()
    (repository / ".git/info/attributes").hardlink_to(tmp_path / "linked/a.txt")
    wanted = changes(tmp_path / "changes", tmp_path / "linked", {"a.txt": "two\n"})
    with pytest.raises(StepError, match="info/attributes"):
        ApplyTransaction(state).apply(RUN, tmp_path / "linked", wanted, guard_for(tmp_path / "linked"))


def test_a_name_that_the_user_allowed_changes_too(repository: Path, tmp_path: Path, state: StateDir) -> None:
    (repository / "AGENTS.md").hardlink_to(repository / "a.txt")
    wanted = changes(tmp_path / "changes", repository, {"a.txt": "two\n"})
    ApplyTransaction(state).apply(RUN, repository, wanted, guard_for(repository, "AGENTS.md"))
    assert (repository / "AGENTS.md").read_text() == "two\n"


def test_another_file_in_its_place_is_not_written_to(tree: Path, outside: Path, state: StateDir, wanted: ChangeSet) -> None:
    """It might have names that the guard has not seen."""
    (outside / "obeyed").write_text("one\n" * 400)

    def replace(count: int) -> None:
        if count == 1:
            (tree / "long").unlink()
            (tree / "long").hardlink_to(outside / "obeyed")

    assert refused(ApplyTransaction(state, TickingDisk(replace)), tree, wanted) == "changed"
    assert (outside / "obeyed").read_text() == "one\n" * 400
