"""Changes are applied to a working copy completely or not at all, never through a link, never over an edit; and undo reverts them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.errors import StepError, UsageError
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.changeset import ChangeSet
from ccterm.workspace.apply.transaction import ApplyTransaction
from ccterm.workspace.disk import CannotExchange, Disk
from tests.workspace.applying import (
    AFTER,
    BEFORE,
    after,
    check_edits_at_the_last_moment,
    check_failing_writes,
    hasty,
    killed_at,
    race,
    steps,
)
from tests.workspace.trees import RUN, TickingDisk, changes, digest, dying, in_child, put


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return put(tmp_path / "tree", BEFORE)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


@pytest.fixture
def wanted(tmp_path: Path, tree: Path) -> ChangeSet:
    return changes(tmp_path / "changes", tree, AFTER)


def conflict(work: Callable[[], object]) -> StepError:
    with pytest.raises(StepError) as caught:
        work()
    assert caught.value.cause is Cause.CONFLICT
    return caught.value


def test_every_kind_of_change_is_applied(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path) -> None:
    assert ApplyTransaction(state).apply(RUN, tree, wanted).files == len(AFTER)
    assert digest(tree) == after(tmp_path)


def test_undo_restores_every_bit(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    (tree / "README.md").chmod(0o640)
    (tree / "gone/only.txt").chmod(0o600)
    (tree / "gone").chmod(0o750)
    before = digest(tree)
    ApplyTransaction(state).apply(RUN, tree, wanted)
    ApplyTransaction(state).undo(RUN)
    assert digest(tree) == before


def test_the_permissions_that_a_user_gave_are_kept(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    (tree / "README.md").chmod(0o600)
    (tree / "plain.sh").chmod(0o640)
    ApplyTransaction(state).apply(RUN, tree, wanted)
    assert [(tree / name).stat().st_mode & 0o777 for name in ("README.md", "plain.sh")] == [0o600, 0o750]


def owners(tree: Path) -> dict[str, tuple[int, int]]:
    return {str(path.relative_to(tree)): (path.lstat().st_uid, path.lstat().st_gid) for path in tree.rglob("*")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_applies_and_undoes_belongs_to_the_user(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    for path in [tree, *tree.rglob("*")]:
        os.lchown(path, 1234, 1235)
    before = owners(tree)
    ApplyTransaction(state).apply(RUN, tree, wanted)
    assert set(owners(tree).values()) == {(1234, 1235)}
    ApplyTransaction(state).undo(RUN)
    assert owners(tree) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a group that is not ours")
def test_a_new_file_gets_the_group_of_its_directory(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    (tree / "new").mkdir()
    os.chown(tree / "new", 0, 1235)
    (tree / "new").chmod(0o2775)
    ApplyTransaction(state).apply(RUN, tree, wanted)
    assert {path.lstat().st_gid for path in (tree / "new").rglob("*")} == {1235}


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_extended_attributes_are_kept_and_restored(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    try:
        for name in ("README.md", "gone/only.txt"):
            os.setxattr(tree / name, "user.note", b"\0keep\xff")
    except OSError as error:
        pytest.skip(f"the file system has no extended attributes: {error.strerror}")
    ApplyTransaction(state).apply(RUN, tree, wanted)
    assert os.getxattr(tree / "README.md", "user.note") == b"\0keep\xff"
    ApplyTransaction(state).undo(RUN)
    assert [os.getxattr(tree / name, "user.note") for name in ("README.md", "gone/only.txt")] == [b"\0keep\xff"] * 2


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param(lambda tree: (tree / "README.md").write_text("mine\n"), id="edited"),
        pytest.param(lambda tree: (tree / "README.md").unlink(), id="removed"),
        pytest.param(
            lambda tree: (tree / "run.sh").chmod(0o644) or (tree / "plain.sh").chmod(0o755) or (tree / "src/a.py").chmod(0o755), id="mode"
        ),
        pytest.param(lambda tree: put(tree, {"new/program": "mine\n"}), id="created where a file comes"),
        pytest.param(lambda tree: put(tree, {"new": "mine\n"}), id="created where a directory comes"),
        pytest.param(lambda tree: put(tree, {"becomes-file/three": "mine\n"}), id="created in a directory that becomes a file"),
        pytest.param(lambda tree: put(tree, {"src/.git/config": "[core]\n"}), id="a repository of its own now"),
        pytest.param(lambda tree: (tree / "src").rename(tree / "moved") and (tree / "src").symlink_to("moved"), id="directory now a link"),
        pytest.param(lambda tree: (tree / "link").unlink() or (tree / "link").symlink_to("elsewhere"), id="link points elsewhere"),
        pytest.param(lambda tree: become_fifo(tree / "README.md"), id="now a fifo"),
    ],
)
def test_after_a_change_meanwhile_nothing_is_applied(
    tree: Path, state: StateDir, wanted: ChangeSet, meanwhile: Callable[[Path], object]
) -> None:
    meanwhile(tree)
    before = digest(tree)
    assert conflict(lambda: ApplyTransaction(state).apply(RUN, tree, wanted)).reason == "changed"
    assert digest(tree) == before


def test_a_conflict_names_the_paths(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    (tree / "README.md").write_text("mine\n")
    assert "nothing was applied, because these paths changed meanwhile: README.md" in str(
        conflict(lambda: ApplyTransaction(state).apply(RUN, tree, wanted))
    )


def test_the_same_change_by_the_user_is_no_conflict(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path) -> None:
    (tree / "README.md").write_text("read me again\n")
    (tree / "src/a.py").unlink()
    ApplyTransaction(state).apply(RUN, tree, wanted)
    assert digest(tree) == after(tmp_path)


def test_an_edit_after_the_apply_prevents_the_undo(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    ApplyTransaction(state).apply(RUN, tree, wanted)
    (tree / "README.md").write_text("mine\n")
    before = digest(tree)
    conflict(lambda: ApplyTransaction(state).undo(RUN))
    assert digest(tree) == before


def test_an_undo_restores_an_empty_directory(tree: Path, state: StateDir, tmp_path: Path) -> None:
    (tree / "empty").mkdir()
    before = digest(tree)
    ApplyTransaction(state).apply(RUN, tree, changes(tmp_path / "more", tree, {"empty/x": "x\n"}))
    ApplyTransaction(state).undo(RUN)
    assert digest(tree) == before


def test_a_second_undo_is_refused(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    ApplyTransaction(state).apply(RUN, tree, wanted)
    ApplyTransaction(state).undo(RUN)
    with pytest.raises(UsageError, match="undone already"):
        ApplyTransaction(state).undo(RUN)


def test_parts_are_applied_one_after_the_other_and_undone_together(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path) -> None:
    before = digest(tree)
    ApplyTransaction(state).apply(RUN, tree, wanted.only(["README.md", "link"]))
    assert (tree / "README.md").read_text() == "read me again\n"
    assert (tree / "src/a.py").exists()
    ApplyTransaction(state).apply(RUN, tree, wanted)
    assert digest(tree) == after(tmp_path)
    ApplyTransaction(state).undo(RUN)
    assert digest(tree) == before


def test_changes_are_applied_where_names_cannot_be_exchanged(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path) -> None:
    before = digest(tree)
    ApplyTransaction(state, _Simple()).apply(RUN, tree, wanted)
    assert digest(tree) == after(tmp_path)
    ApplyTransaction(state, _Simple()).undo(RUN)
    assert digest(tree) == before


class _Simple(Disk):
    def exchange(self, name: bytes, directory: int, other: bytes, elsewhere: int) -> None:
        raise CannotExchange


def test_a_failing_write_leaves_everything_unchanged(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path) -> None:
    check_failing_writes(tree, state, wanted, tmp_path, every=7)


def test_a_kill_at_any_write_ends_in_all_or_nothing(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path) -> None:
    before, shall = digest(tree), after(tmp_path)
    outcomes = []
    for number in range(1, steps(tree, state, wanted) + 1, 5):
        outcomes.append(killed_at(number, tree, state, wanted))
        assert digest(tree) == (shall if outcomes[-1] else before), f"write {number}"
        if outcomes[-1]:
            hasty(state).undo(RUN)
    assert False in outcomes


def test_a_kill_in_an_undo_ends_in_all_or_nothing(tree: Path, state: StateDir, wanted: ChangeSet, tmp_path: Path) -> None:
    before, shall = digest(tree), after(tmp_path)
    for number in range(1, 80, 9):
        hasty(state).apply(RUN, tree, wanted)
        in_child(lambda at=number: ApplyTransaction(state, dying(at)).undo(RUN))  # type: ignore[misc]  # bound at once
        hasty(state).recover()
        assert digest(tree) == (shall if hasty(state).applied() else before), f"write {number}"
        if hasty(state).applied():
            hasty(state).undo(RUN)
        assert digest(tree) == before


def test_an_edit_at_the_last_moment_is_kept(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    check_edits_at_the_last_moment(tree, state, wanted, every=6)


def test_a_second_process_is_told_that_another_one_is_using_it(tree: Path, state: StateDir, wanted: ChangeSet) -> None:
    refused: list[str] = []

    def meddle(count: int) -> None:
        if count == 1:
            with pytest.raises(UsageError) as caught:
                ApplyTransaction(state).apply(RUN, tree, wanted)
            refused.append(str(caught.value))

    ApplyTransaction(state, TickingDisk(meddle)).apply(RUN, tree, wanted)
    assert "another ccterm process" in refused[0]


def test_a_directory_swapped_for_a_link_is_not_followed(tree: Path, state: StateDir, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", {"0": "theirs\n"})
    race(tree, state, outside, tmp_path, 60)
    assert digest(outside) == {b"0": ("-rw-r--r--", b"theirs\n")}
