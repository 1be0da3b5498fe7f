"""Any tree that an agent leaves is refused by its rule, with the host unchanged, or applied to the byte, with the rest unchanged."""

import os
from pathlib import Path

import pytest

from ccterm.state_dir import StateDir
from ccterm.workspace.snapshot.take import take
from tests.support.git import make_repository
from tests.workspace.corpus import CORPUS, FILES, Tree
from tests.workspace.loop import Loop
from tests.workspace.trees import digest

FAST = {"directory to file", "git that starts programs", "case collision", "link out", "many to links"}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    copy = make_repository(tmp_path / "copy", FILES)
    (copy / "README.md").write_text("# Edited\n")
    (copy / "untracked.txt").write_text("mine\n")
    return Loop(tmp_path, copy, StateDir(tmp_path / "state").prepare()).start()


def host(copy: Path) -> dict[bytes, tuple[str, bytes]]:
    """Return what the working copy holds, modes as git knows them."""
    return {path: (_plain(mode), content) for path, (mode, content) in digest(copy).items()}


def _plain(mode: str) -> str:
    return mode[0] if mode[0] in "dl" else "x" if mode[3] in "xs" else "-"


def wanted(tree: Path) -> dict[bytes, tuple[str, bytes]]:
    found = {path: value for path, value in host(tree).items() if not path.startswith(b".git/") and path != b".git"}
    return {path: value for path, value in found.items() if value[0] != "d"}


def mine(copy: Path) -> dict[bytes, tuple[str, bytes]]:
    return {path: value for path, value in host(copy).items() if path.startswith(b".git/") or path == b".git"}


def marked(tree: Tree) -> object:
    return pytest.param(tree, id=tree.name, marks=[] if tree.name in FAST else [pytest.mark.slow])


@pytest.mark.parametrize("tree", [marked(tree) for tree in CORPUS])
def test_a_tree_is_refused_or_applied_exactly(loop: Loop, tree: Tree, isolation: Path) -> None:
    before, its_git = host(loop.copy), mine(loop.copy)
    tree.make(loop.tree)
    shall = wanted(loop.tree)
    verdict = loop.finish()
    assert verdict is not None
    assert not (isolation / "pwned").exists()
    if tree.rule:
        assert tree.rule in [finding.rule for finding in verdict.findings if finding.severity == "refuse"]
        assert host(loop.copy) == before
    else:
        assert verdict.ok, verdict.findings
        assert wanted(loop.copy) == shall
        assert mine(loop.copy) == its_git


def test_the_corpus_is_large_enough() -> None:
    assert len({tree.name for tree in CORPUS}) == len(CORPUS) >= 60


def test_a_snapshot_after_the_apply_equals_what_the_agent_left(loop: Loop, tmp_path: Path) -> None:
    (loop.tree / "new.txt").write_text("new\n")
    (loop.tree / "src/main.py").unlink()
    loop.finish()
    from ccterm.workspace.repository import find_repository

    again = take(find_repository(str(loop.copy), os.environ, tmp_path), loop.state, tmp_path / "again", env=os.environ)
    assert again.files == len(wanted(loop.tree))
