"""A box is not trusted: nothing unsafe in its commit becomes a change, and a commit that is not based on the snapshot is refused."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ccterm.errors import StepError
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.changeset import ChangeSet, extract
from ccterm.workspace.repository import find_repository
from ccterm.workspace.snapshot.take import Snapshot, take
from ccterm.workspace.work import Refusal
from tests.support.git import git, git_bytes, make_repository

Extract = Callable[[str], tuple[ChangeSet, list[Refusal]]]
Entry = tuple[str, str, str]
"""Mode, name, content or the object's name."""


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    make_repository(tmp_path / "copy", {"README.md": "hello\n", "src/a.py": "a = 1\n"})
    state = StateDir(tmp_path / "state").prepare()
    return take(find_repository("copy", os.environ, tmp_path), state, tmp_path / "snapshot", env=os.environ)


@pytest.fixture
def box(tmp_path: Path, snapshot: Snapshot) -> Path:
    git(tmp_path, "clone", "--quiet", "--mirror", str(snapshot.clean), "box.git")
    return tmp_path / "box.git"


def tree(box: Path, entries: Sequence[Entry]) -> str:
    """Make a tree object byte for byte, with entries that git itself would not write."""
    data = b""
    for mode, name, content in entries:
        sha = content if len(content) == 40 else git(box, "hash-object", "-w", "--stdin", stdin=content.encode())
        data += mode.encode() + b" " + os.fsencode(name) + b"\0" + bytes.fromhex(sha)
    return git_bytes(box, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data).decode().strip()


def commit(box: Path, root: str, parent: str) -> str:
    """Commit a tree and bundle it as the step commit does."""
    sha = git(box, "commit-tree", root, "-p", parent, "-m", "evil")
    git(box, "update-ref", "refs/ccterm/work", sha)
    git(box, "bundle", "create", "--quiet", "work.bundle", "refs/ccterm/work", f"^{parent}")
    return sha


def taken(box: Path, snapshot: Snapshot, sha: str, to: Path) -> tuple[ChangeSet, list[Refusal]]:
    root = box.parent / "copy"
    return extract(snapshot.clean, box / "work.bundle", base=snapshot.base, commit=sha, manifest=snapshot.manifest, root=root, to=to)


def test_what_an_attempt_that_was_killed_left_is_replaced(box: Path, snapshot: Snapshot, tmp_path: Path) -> None:
    sha = commit(box, tree(box, [("100644", "new", "x")]), snapshot.base)
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes/0").write_text("half of it")
    changes, _ = taken(box, snapshot, sha, tmp_path / "changes")
    assert [changes.data(change) for change in changes.ops if change.shown == "new"] == [b"x"]


SUBTREE = "sub"


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("100644", ".git", "x")], id="dotgit"),
        pytest.param([("40000", ".git", SUBTREE)], id="dotgit directory"),
        pytest.param([("100644", ".GIT", "x")], id="dotgit in capitals"),
        pytest.param([("100644", "git~1", "x")], id="short name of dotgit"),
        pytest.param([("40000", "..", SUBTREE)], id="upwards"),
        pytest.param([("100644", "..", "x")], id="upwards file"),
        pytest.param([("40000", ".", SUBTREE)], id="here"),
        pytest.param([("100644", "a/b", "x")], id="slash in a name"),
        pytest.param([("100644", "../../evil", "x")], id="path in a name"),
        pytest.param([("120000", "link", "/etc/passwd")], id="absolute link"),
        pytest.param([("120000", "link", "../x")], id="link out"),
        pytest.param([("120000", "link", ".git/config")], id="link into git"),
        pytest.param([("160000", "module", "1" * 40)], id="submodule"),
        pytest.param([("100644", "new\nline", "x")], id="newline in a name"),
        pytest.param([("100644", "twice", "x"), ("100644", "twice", "y")], id="twice"),
    ],
)
def test_nothing_unsafe_becomes_a_change(box: Path, snapshot: Snapshot, tmp_path: Path, entries: list[Entry]) -> None:
    inner = tree(box, [("100644", "x", "x\n")])
    root = tree(box, [(mode, name, inner if content == SUBTREE else content) for mode, name, content in entries])
    sha = commit(box, root, snapshot.base)
    try:
        changes, refused = taken(box, snapshot, sha, tmp_path / "to")
    except StepError:
        return  # git or we rejected the objects
    assert refused
    assert {op.shown for op in changes.ops if op.new.kind != "nothing"} == set()


@pytest.mark.parametrize(
    ("entries", "ignored", "rule", "path"),
    [
        pytest.param(
            [("120000", "leak", "src/up/../x"), ("120000", "up", ".")], {"src/up": ".."}, "symlink", "leak", id="by a link of the user's"
        ),
        pytest.param([("120000", "leak", "up/../x"), ("120000", "up", ".")], {}, "symlink", "leak", id="by a link of its own"),
        pytest.param(
            [("100755", "HEAD", "x"), ("120000", "Refs", "a")], {"objects/x": None}, "nested", "HEAD", id="beside ignored objects"
        ),
        pytest.param([("40000", "lib", "repository")], {}, "nested", "lib/HEAD", id="a repository"),
    ],
)
def test_what_only_the_whole_tree_shows(
    box: Path, snapshot: Snapshot, tmp_path: Path, entries: list[Entry], ignored: dict[str, str | None], rule: str, path: str
) -> None:
    for name, target in ignored.items():
        place = tmp_path / "copy" / name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(target) if target else place.write_text("")
    repository = tree(box, [("100644", "HEAD", "x"), ("100644", "commondir", "../x")])
    root = tree(box, [(mode, name, repository if content == "repository" else content) for mode, name, content in entries])
    changes, refused = taken(box, snapshot, commit(box, root, snapshot.base), tmp_path / "to")
    assert (rule, path) in {refusal[:2] for refusal in refused}
    assert path not in {op.shown for op in changes.ops}


def test_a_commit_that_is_not_based_on_the_snapshot_is_refused(box: Path, snapshot: Snapshot, tmp_path: Path) -> None:
    root = git(box, "rev-parse", f"{snapshot.base}^{{tree}}")
    first = git(box, "commit-tree", root, "-p", snapshot.base, "-m", "one")
    sha = commit(box, root, first)
    git(box, "bundle", "create", "--quiet", "work.bundle", "refs/ccterm/work", f"^{snapshot.base}")
    with pytest.raises(StepError, match="is not based on the snapshot"):
        taken(box, snapshot, sha, tmp_path / "to")


@pytest.mark.parametrize("damage", [b"", b"no bundle\n", b"# v2 git bundle\n\nPACK"], ids=["empty", "text", "cut"])
def test_what_is_not_a_bundle_is_refused(box: Path, snapshot: Snapshot, tmp_path: Path, damage: bytes) -> None:
    (box / "work.bundle").write_bytes(damage)
    with pytest.raises(StepError, match="cannot be read"):
        taken(box, snapshot, "1" * 40, tmp_path / "to")


def test_a_valid_commit_becomes_its_changes(box: Path, snapshot: Snapshot, tmp_path: Path) -> None:
    inner = tree(box, [("100755", "tool", "#!/bin/sh\n")])
    root = tree(box, [("100644", "README.md", "other\n"), ("40000", "bin", inner), ("120000", "link", "README.md")])
    changes, refused = taken(box, snapshot, commit(box, root, snapshot.base), tmp_path / "to")
    assert refused == []
    assert [(op.status, op.shown) for op in changes.ops] == [
        ("modified", "README.md"),
        ("added", "bin/tool"),
        ("added", "link"),
        ("deleted", "src/a.py"),
    ]
    assert [changes.data(op) for op in changes.ops[:3]] == [b"other\n", b"#!/bin/sh\n", b"README.md"]
    assert ChangeSet.read(tmp_path / "to") == changes
