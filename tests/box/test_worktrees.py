"""Worktrees that an agent in a container made outside of its tree are brought into it; nothing is followed on the way."""

import os
from pathlib import Path

import pytest

from ccterm.box.agent.worktrees import bring_worktrees
from tests.box.gitbox import write
from tests.support import git as support


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with a worktree beside it that holds a change, a link out of it and a FIFO."""
    tree = support.make_repository(tmp_path / "tree", {"a": "1\n"})
    support.git(tree, "worktree", "add", "--quiet", str(tmp_path / "outside"))
    write(tmp_path / "outside", "deep/b")
    (tmp_path / "outside/link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "outside/pipe")
    return tree


def brought(tree: Path) -> list[str]:
    place = tree / ".git/ccterm-worktrees/outside"
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir() or path.is_symlink())


def make_relative(tree: Path, worktree: Path) -> None:
    """Write down where tree and worktree are as git does with worktree.useRelativePaths."""
    own = tree / ".git/worktrees" / worktree.name
    (own / "gitdir").write_text(f"{os.path.relpath(worktree, own)}/.git\n")
    (worktree / ".git").write_text(f"gitdir: {os.path.relpath(own, worktree)}\n")


@pytest.mark.parametrize("relative", [False, True])
def test_all_but_special_files_is_brought(tree: Path, relative: bool) -> None:
    if relative:
        make_relative(tree, tree.parent / "outside")
    assert bring_worktrees(str(tree)) == []
    assert brought(tree) == [".git", "a", "deep/b", "link"]
    assert (tree / ".git/ccterm-worktrees/outside/link").is_symlink()


def test_a_worktree_in_the_tree_stays_where_it_is(tree: Path) -> None:
    support.git(tree, "worktree", "remove", "--force", str(tree.parent / "outside"))
    support.git(tree, "worktree", "add", "--quiet", str(tree / "inside"))
    assert bring_worktrees(str(tree)) == []
    assert not (tree / ".git/ccterm-worktrees").exists()


def test_nothing_is_written_through_a_link(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tree / ".git/ccterm-worktrees").symlink_to(tmp_path / "elsewhere")
    assert [text.startswith(f"the worktree at {tmp_path}/outside cannot be kept: ") for text in bring_worktrees(str(tree))] == [True]
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("named", ["", "gitdir: /somewhere/.git/worktrees/other\n"])
def test_a_directory_that_does_not_name_the_tree_is_not_read(tree: Path, tmp_path: Path, named: str) -> None:
    (tmp_path / "outside/.git").write_text(named)
    assert bring_worktrees(str(tree)) == []
    assert brought(tree) == []
