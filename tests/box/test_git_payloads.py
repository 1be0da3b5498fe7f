"""Programs that an agent plants for git to run: none of them runs, the commit is correct, and the push goes to the right remote."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, checked_out
from tests.support import git as support
from tests.support.traps import HOOKS, Trap


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path / "trap")


@pytest.fixture
def box(tmp_path: Path) -> GitBox:
    """Return a box whose tree has ordinary work in it."""
    box = checked_out(tmp_path, {"README.md": "# Example\n", "src/a.txt": "a\n"})
    (box.tree / "src/a.txt").write_text("changed\n")
    (box.tree / "new.evil").write_text("new\n")
    return box


def deliver(box: GitBox) -> dict[str, bytes]:
    """Commit and push; return what the remote then holds."""
    commit = box.commit()["commit"]
    assert box.push(commit)["verified"]
    return support.files_at(Path(box.remote), "agent/work")


HONEST = {"README.md": b"# Example\n", "src/a.txt": b"changed\n", "new.evil": b"new\n"}


def test_the_trap_works(tmp_path: Path, box: GitBox, trap: Trap) -> None:
    trap.configure(box.tree / ".git")
    support.git(box.tree, "status")
    assert trap.ran


def test_hooks_of_all_kinds(box: GitBox, trap: Trap) -> None:
    (box.tree / ".git/hooks").mkdir()
    for name in HOOKS.split():
        (box.tree / ".git/hooks" / name).symlink_to(trap.script)
    assert deliver(box) == HONEST
    assert not trap.ran


def test_commands_in_the_configuration(box: GitBox, trap: Trap) -> None:
    trap.configure(box.tree / ".git")
    attributes = "* filter=evil diff=evil merge=evil\nREADME.md filter=lfs\n"
    (box.tree / ".gitattributes").write_text(attributes)
    assert deliver(box) == HONEST | {".gitattributes": attributes.encode()}
    assert not trap.ran


def test_attributes_and_worktree_configuration_inside_the_git_directory(box: GitBox, trap: Trap) -> None:
    git = box.tree / ".git"
    support.git(box.tree, "config", "extensions.worktreeConfig", "true")
    (git / "config.worktree").write_text(f'[core]\n\tfsmonitor = {trap.script}\n[filter "evil"]\n\tclean = {trap.script}\n')
    (git / "info").mkdir(exist_ok=True)
    (git / "info/attributes").write_text("* filter=evil\n")
    assert deliver(box) == HONEST
    assert not trap.ran


def test_included_configuration_and_attributes_elsewhere(tmp_path: Path, box: GitBox, trap: Trap) -> None:
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = {trap.script}\n\tattributesFile = {tmp_path}/attributes\n")
    (tmp_path / "attributes").write_text("* filter=evil\n")
    support.git(box.tree, "config", "include.path", str(tmp_path / "included"))
    support.git(box.tree, "config", "filter.evil.clean", str(trap.script))
    assert deliver(box) == HONEST
    assert not trap.ran


def test_configuration_of_the_users_home(box: GitBox, trap: Trap, isolation: Path) -> None:
    (isolation / ".gitconfig").write_text(f"[core]\n\tfsmonitor = {trap.script}\n\thooksPath = {trap.hooks}\n")
    assert deliver(box) == HONEST
    assert not trap.ran


def to_elsewhere(kind: str) -> Callable[[GitBox, Path], None]:
    def plant(box: GitBox, elsewhere: Path) -> None:
        settings = {
            "insteadOf": (f"url.{elsewhere}.insteadOf", box.remote),
            "pushInsteadOf": (f"url.{elsewhere}.pushInsteadOf", box.remote),
            "pushurl": ("remote.origin.pushurl", str(elsewhere)),
            "url": ("remote.origin.url", str(elsewhere)),
        }
        support.git(box.tree, "config", *settings[kind])

    return plant


@pytest.mark.parametrize("kind", ["insteadOf", "pushInsteadOf", "pushurl", "url"])
def test_rewritten_addresses(tmp_path: Path, box: GitBox, kind: str) -> None:
    elsewhere = support.make_bare(tmp_path / "elsewhere.git")
    to_elsewhere(kind)(box, elsewhere)
    assert deliver(box) == HONEST
    assert support.branches(elsewhere) == {}


def test_a_receive_pack_of_the_agents(box: GitBox, trap: Trap) -> None:
    for name in ("receivepack", "uploadpack", "vcs"):
        support.git(box.tree, "config", f"remote.{box.remote}.{name}", str(trap.script))
    assert deliver(box) == HONEST
    assert not trap.ran


def test_a_worktree_and_a_git_file_that_point_elsewhere(tmp_path: Path, box: GitBox, trap: Trap) -> None:
    elsewhere = support.make_repository(tmp_path / "elsewhere", {"secret": "x"})
    trap.configure(elsewhere / ".git")
    support.git(box.tree, "config", "core.worktree", str(elsewhere))
    (box.tree / ".git").rename(tmp_path / "moved")
    (box.tree / ".git").write_text(f"gitdir: {elsewhere}/.git\n")
    assert deliver(box) == HONEST
    assert not trap.ran


def test_a_nested_repository_with_a_file_system_monitor(box: GitBox, trap: Trap) -> None:
    nested = support.make_repository(box.tree / "nested", {"x": "1"})
    trap.configure(nested / ".git")
    (nested / "x").write_text("2")
    assert deliver(box) == HONEST
    assert not trap.ran


def test_a_bare_repository_by_another_name(box: GitBox, trap: Trap) -> None:
    bare = support.make_bare(box.tree / "harmless")
    trap.configure(bare)
    support.git(box.tree, "config", "--file", str(bare / "config"), "core.worktree", "..")
    assert deliver(box) == HONEST
    assert not trap.ran


def test_alternates_replacements_and_grafts(tmp_path: Path, box: GitBox) -> None:
    git = box.tree / ".git"
    elsewhere = support.make_repository(tmp_path / "elsewhere", {"README.md": "other\n"})
    (git / "objects/info").mkdir(exist_ok=True)
    (git / "objects/info/alternates").write_text(f"{elsewhere}/.git/objects\n")
    support.git(box.tree, "replace", str(box.base), support.git(elsewhere, "rev-parse", "HEAD"))
    (git / "info").mkdir(exist_ok=True)
    (git / "info/grafts").write_text(f"{box.base}\n")
    assert deliver(box) == HONEST


def test_a_damaged_index_and_refs(box: GitBox) -> None:
    git = box.tree / ".git"
    (git / "index").write_bytes(b"DIRC" + bytes(200))
    (git / "refs/heads/agent/work").write_text("../../../../etc/passwd\n")
    (git / "packed-refs").write_bytes(bytes(range(256)) * 100)
    assert deliver(box) == HONEST


def test_flags_in_the_agents_index_hide_nothing(box: GitBox) -> None:
    for flag in ("--assume-unchanged", "--skip-worktree"):
        support.git(box.tree, "update-index", flag, "src/a.txt")
    assert deliver(box) == HONEST


def test_nothing_that_was_written_into_the_clean_git_directory_meets_the_credential(tmp_path: Path, box: GitBox, trap: Trap) -> None:
    commit, elsewhere = box.new_commit(), support.make_bare(tmp_path / "elsewhere.git")
    trap.configure(box.clean)
    for key in (f"url.{elsewhere}.insteadOf", f"url.{elsewhere}.pushInsteadOf"):
        support.git(tmp_path, "config", "--file", str(box.clean / "config"), key, box.remote)
    support.git(tmp_path, "config", "--file", str(box.clean / "config"), f"remote.{box.remote}.receivepack", str(trap.script))
    (box.clean / "config.worktree").write_bytes((box.clean / "config").read_bytes())
    (box.clean / "hooks").symlink_to(trap.hooks)
    (box.clean / "commondir").write_text(f"{elsewhere}\n")
    assert box.push(commit)["verified"]
    assert support.files_at(Path(box.remote), "agent/work") == HONEST
    assert support.branches(elsewhere) == {}
    assert not trap.ran


def test_borrowed_objects_are_refused(tmp_path: Path, box: GitBox) -> None:
    commit = box.new_commit()
    (box.clean / "objects/info").mkdir(exist_ok=True)
    (box.clean / "objects/info/alternates").write_text(f"{tmp_path}\n")
    report = box.push(commit)
    assert (report["ok"], report["reason"], "something else than ccterm" in report["detail"]) == (False, "git", True)


def test_no_repository_above_the_box_configures_git(tmp_path: Path, box: GitBox) -> None:
    base, elsewhere = box.base, support.make_bare(tmp_path / "elsewhere.git")
    support.git(tmp_path, "init", "--quiet")
    support.git(tmp_path, "config", f"url.{elsewhere}.insteadOf", box.remote)
    assert box.resolve()["base"] == base
