"""A snapshot holds the working copy to the byte, reads only what changed, and explains in one sentence what it cannot include."""

import hashlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.errors import CctermError, StepError
from ccterm.state_dir import StateDir
from ccterm.workspace.repository import find_repository
from ccterm.workspace.snapshot.manifest import RACY_NS, read_manifest
from ccterm.workspace.snapshot.take import Snapshot, take
from tests.support.git import commit_files, files_at, git, make_repository
from tests.support.machine import bound_by_permissions, small_disk
from tests.workspace.trees import digest

FILES = {"README.md": "hello\n", "src/a.py": "a = 1\n", ".gitignore": "ignored/\n*.log\n"}
Take = Callable[..., Snapshot]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "copy", FILES)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


@pytest.fixture
def snapshot(tmp_path: Path, copy: Path, state: StateDir) -> Take:
    """Take a snapshot of the working copy, each into a directory of its own."""
    numbers = itertools.count()

    def snap(**fields: object) -> Snapshot:
        found = find_repository(str(copy), os.environ, tmp_path)
        return take(found, state, tmp_path / f"snapshot-{next(numbers)}", env=os.environ, **fields)  # type: ignore[arg-type]  # given by name

    return snap


def test_a_clean_working_copy_is_its_own_commit(snapshot: Take, copy: Path) -> None:
    assert snapshot().base == git(copy, "rev-parse", "HEAD")


def test_it_holds_staged_unstaged_untracked_and_deleted_but_nothing_ignored(snapshot: Take, copy: Path) -> None:
    (copy / "README.md").write_text("edited\n")
    (copy / "staged").write_text("staged\n")
    git(copy, "add", "staged")
    (copy / "staged").write_text("staged and edited\n")
    (copy / "untracked").write_text("untracked\n")
    (copy / "src/a.py").unlink()
    (copy / "x.log").write_text("ignored\n")
    (copy / "link").symlink_to("README.md")
    before = digest(copy)
    taken = snapshot()
    assert files_at(taken.clean, taken.base) == {
        ".gitignore": b"ignored/\n*.log\n",
        "README.md": b"edited\n",
        "staged": b"staged and edited\n",
        "untracked": b"untracked\n",
        "link": b"README.md",
    }
    assert git(taken.clean, "rev-parse", f"{taken.base}^") == git(copy, "rev-parse", "HEAD")
    assert digest(copy) == before


def test_it_is_a_complete_repository_without_the_users_configuration(snapshot: Take, copy: Path) -> None:
    git(copy, "tag", "v1")
    git(copy, "branch", "secret-plans")
    git(copy, "config", "core.hooksPath", "/evil")
    git(copy, "config", "remote.origin.url", "https://token@example.com/x")
    taken = snapshot()
    assert git(taken.clean, "fsck", "--strict") == ""
    assert git(taken.clean, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main", "refs/tags/v1"]
    config = (taken.clean / "config").read_text()
    assert "evil" not in config
    assert "token" not in config


def test_discarded_history_is_not_included(snapshot: Take, copy: Path) -> None:
    secret = commit_files(copy, {"key": "secret\n"})
    snapshot()
    git(copy, "reset", "--quiet", "--hard", "HEAD^")
    commit_files(copy, {"other": "other\n"})
    taken = snapshot()
    assert "missing" in git(taken.clean, "cat-file", "--batch-check", stdin=f"{secret}\n".encode())


def test_new_commits_are_added_to_what_is_kept(snapshot: Take, copy: Path, state: StateDir) -> None:
    snapshot()
    commit_files(copy, {"other": "other\n"})
    taken = snapshot()
    assert taken.base == git(copy, "rev-parse", "HEAD")
    assert len(list(state.snapshots.glob("*/history/pack/*.pack"))) == 2
    assert git(taken.clean, "fsck", "--strict") == ""


def test_files_of_an_earlier_snapshot_are_not_included(snapshot: Take, copy: Path) -> None:
    (copy / "slip").write_text("a secret that lay about\n")
    snapshot()
    (copy / "slip").unlink()
    taken = snapshot()
    blobs = git(taken.clean, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize)")
    assert f"blob {len('a secret that lay about' + chr(10))}" not in blobs.splitlines()


def old(path: Path) -> None:
    """Make a file look unchanged for a while. Its ctime cannot be set, so wait for that."""
    end = path.lstat().st_ctime_ns + RACY_NS
    while time.time_ns() <= end + 10_000_000:
        time.sleep(0.05)


@pytest.mark.slow
def test_a_file_at_rest_is_read_once(snapshot: Take, copy: Path, state: StateDir) -> None:
    old(copy / "README.md")
    snapshot()
    [manifest] = state.snapshots.glob("*/manifest.json")
    assert read_manifest(manifest).rows[b"README.md"].mark is not None
    before = manifest.stat().st_ino
    snapshot()
    assert manifest.stat().st_ino == before


def test_a_file_that_changed_just_now_is_read_again(snapshot: Take, copy: Path, state: StateDir) -> None:
    (copy / "README.md").write_text("edited\n")
    snapshot()
    [manifest] = state.snapshots.glob("*/manifest.json")
    assert read_manifest(manifest).rows[b"README.md"].mark is None


@pytest.mark.slow
def test_a_change_of_the_same_length_with_the_old_time_is_noticed(snapshot: Take, copy: Path) -> None:
    old(copy / "README.md")
    snapshot()
    times = (copy / "README.md").stat()
    (copy / "README.md").write_text("HELLO\n")
    os.utime(copy / "README.md", ns=(times.st_atime_ns, times.st_mtime_ns))
    taken = snapshot()
    assert files_at(taken.clean, taken.base)["README.md"] == b"HELLO\n"


@pytest.mark.parametrize("damage", [b"", b"{", b"[1,2", b'[9,"",[],[]]', b'[2,"",["x"],[]]'])
def test_a_damaged_cache_only_costs_reading_again(snapshot: Take, copy: Path, state: StateDir, damage: bytes) -> None:
    snapshot()
    [manifest] = state.snapshots.glob("*/manifest.json")
    manifest.write_bytes(damage)
    assert snapshot().base == git(copy, "rev-parse", "HEAD")


def test_the_global_ignore_rules_apply_too(snapshot: Take, copy: Path, isolation: Path) -> None:
    (isolation / "config" / "git").mkdir(parents=True)
    (isolation / "config" / "git" / "ignore").write_text("*.swp\n")
    (copy / "x.swp").write_text("swap\n")
    assert snapshot().base == git(copy, "rev-parse", "HEAD")


def test_nested_repositories_and_submodules_are_mentioned(snapshot: Take, copy: Path, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner", {"x": "x\n"})
    git(copy, "submodule", "--quiet", "add", str(inner), "module")
    git(copy, "commit", "--quiet", "-m", "Add a submodule")
    make_repository(copy / "nested", {"y": "y\n"})
    notes = " ".join(snapshot().notes)
    assert "repositories of their own: nested" in notes
    assert "submodules are empty in the snapshot: module" in notes


def test_a_linked_worktree_is_a_working_copy(copy: Path, tmp_path: Path, state: StateDir) -> None:
    git(copy, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side" / "new").write_text("new\n")
    found = find_repository(str(tmp_path / "side"), os.environ, tmp_path)
    taken = take(found, state, tmp_path / "taken", env=os.environ)
    assert taken.branch == "side"
    assert "new" in files_at(taken.clean, taken.base)


def test_a_shallow_clone(copy: Path, tmp_path: Path, state: StateDir) -> None:
    commit_files(copy, {"second": "2\n"})
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{copy}", "shallow")
    (tmp_path / "shallow" / "y").write_text("y\n")
    taken = take(find_repository("shallow", os.environ, tmp_path), state, tmp_path / "taken", env=os.environ)
    assert git(taken.clean, "rev-list", "--count", taken.base) == "2"


@pytest.mark.parametrize("name", ["a b", "a:b", 'a"b', "a\\b"], ids=repr)
def test_a_working_copy_with_an_odd_name(tmp_path: Path, state: StateDir, name: str) -> None:
    odd = make_repository(tmp_path / name, FILES)
    (odd / "new.txt").write_text("new\n")
    taken = take(find_repository(str(odd), os.environ, tmp_path), state, tmp_path / "snapshot", env=os.environ)
    assert files_at(taken.clean, taken.base)["new.txt"] == b"new\n"


def test_a_working_copy_on_another_file_system(tmp_path: Path, state: StateDir) -> None:
    with small_disk(tmp_path / "disk") as disk:
        there = make_repository(disk / "copy", FILES)
        taken = take(find_repository(str(there), os.environ, tmp_path), state, tmp_path / "snapshot", env=os.environ)
        assert taken.base == git(there, "rev-parse", "HEAD")
        assert "README.md" in files_at(taken.clean, taken.base)


def test_a_file_above_the_cap_is_named(snapshot: Take, copy: Path) -> None:
    (copy / "big").write_bytes(b"x" * 2_000_000)
    with pytest.raises(StepError) as caught:
        snapshot(max_file=1_000_000)
    assert (
        str(caught.value) == "big is 2 MB, and a snapshot takes files up to 1 MB; let .gitignore name it, or raise policy.max_file_mb to 2"
    )


def test_a_committed_file_above_the_cap_is_accepted(snapshot: Take, copy: Path) -> None:
    commit_files(copy, {"big": "x" * 2_000_000})
    assert snapshot(max_file=1_000_000).files == 4


def test_an_unreadable_file_is_named(copy: Path, tmp_path: Path, state: StateDir) -> None:
    (copy / "closed").write_text("x\n")
    (copy / "closed").chmod(0)
    program = (
        "import os, pathlib\nfrom ccterm.errors import CctermError\nfrom ccterm.state_dir import StateDir\n"
        "from ccterm.workspace.repository import find_repository\nfrom ccterm.workspace.snapshot.take import take\n"
        f"try:\n    take(find_repository({str(copy)!r}, os.environ, pathlib.Path.cwd()), StateDir(pathlib.Path({str(state.path)!r})),"
        f" pathlib.Path({str(tmp_path / 'taken')!r}), env=os.environ)\nexcept CctermError as error:\n    print(error)\n"
    )
    words = [*bound_by_permissions(), sys.executable, "-c", program]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == "closed cannot be read: Permission denied; chmod u+r it, or let .gitignore name it"


def test_files_of_ccterm_itself_are_left_out(copy: Path, tmp_path: Path) -> None:
    own = StateDir(copy / "state").prepare()
    taken = take(find_repository(str(copy), os.environ, tmp_path), own, tmp_path / "taken", env=os.environ)
    assert set(files_at(taken.clean, taken.base)) == set(FILES)


def test_a_second_snapshot_at_the_same_time_is_refused(snapshot: Take, copy: Path, tmp_path: Path, state: StateDir) -> None:
    from ccterm.workspace.repository import working_copy_lock

    with working_copy_lock(state, copy), pytest.raises(CctermError, match="another ccterm process is using"):
        snapshot()


@pytest.mark.parametrize("filter_spec", ["blob:none", "tree:0", "blob:limit=1"])
def test_a_partial_clone_has_what_was_fetched_of_its_history(tmp_path: Path, state: StateDir, filter_spec: str) -> None:
    source = make_repository(tmp_path / "source", FILES)
    commit_files(source, {"README.md": "second\n"})
    for name in ("allowFilter", "allowAnySHA1InWant"):
        git(source, "config", f"uploadpack.{name}", "true")
    git(tmp_path, "clone", "--quiet", f"--filter={filter_spec}", f"file://{source}", "partial")
    found = find_repository(str(tmp_path / "partial"), os.environ, tmp_path)
    taken = take(found, state, tmp_path / "first", env=os.environ)
    assert files_at(taken.clean, taken.base)["README.md"] == b"second\n"
    assert "partial clone" in taken.notes[0]
    commit_files(tmp_path / "partial", {"new": "new\n"})
    (tmp_path / "partial/README.md").write_text("third\n")
    found = find_repository(str(tmp_path / "partial"), os.environ, tmp_path)
    again = take(found, state, tmp_path / "second", env=os.environ)
    assert files_at(again.clean, again.base).keys() == FILES.keys() | {"new"}
    assert git(again.clean, "log", "--format=%s", again.base).count("\n") == 3


def lfs_file(copy: Path, size: int) -> bytes:
    """Commit the pointer to a file that git-lfs has put in place; return the pointer."""
    content = b"x" * size
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (hashlib.sha256(content).hexdigest().encode(), size)
    commit_files(copy, {"big.bin": pointer})
    (copy / "big.bin").write_bytes(content)
    return pointer


def test_a_large_file_of_lfs_is_its_pointer_in_the_snapshot(snapshot: Take, copy: Path) -> None:
    pointer = lfs_file(copy, 5000)
    for _ in range(2):  # the second one from the manifest of the first
        taken = snapshot(max_file=1000)
        assert files_at(taken.clean, taken.base)["big.bin"] == pointer
        assert taken.notes == ("too large for a snapshot, so that the agent has only their LFS pointers: big.bin",)


def test_a_large_file_that_git_tracks_has_a_remedy_that_works(snapshot: Take, copy: Path) -> None:
    lfs_file(copy, 5000)
    (copy / "big.bin").write_bytes(b"changed" * 1000)
    (copy / ".gitignore").write_text("big.bin\n")
    with pytest.raises(StepError) as refused:
        snapshot(max_file=1000)
    assert refused.value.fix == "raise policy.max_file_mb to 1"


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".ssh/id_ed25519", "x"),
        (".ssh/work", KEY),
        (".claude/.credentials.json", "{}"),
        (".netrc", "machine x"),
        (".config/gh/hosts.yml", "x"),
        (".git-credentials", "x"),
        (".aws/credentials", "x"),
        ("deploy/server.key", KEY),
        (".npmrc", "//registry.npmjs.org/:_authToken=x\n"),
    ],
)
def test_a_login_that_git_does_not_ignore_is_refused_unless_it_is_tracked_ignored_or_allowed(
    snapshot: Take, copy: Path, path: str, text: str
) -> None:
    file = copy / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    with pytest.raises(StepError, match="logins or private keys that git does not ignore") as caught:
        snapshot()
    assert path in caught.value.message
    assert f"--allow-path {path}" in caught.value.fix
    taken = snapshot(allowed=lambda name: name == path)
    assert path in files_at(taken.clean, taken.base)
    commit_files(copy, {".gitignore": f"/{path}\n"})
    taken = snapshot()
    assert path not in files_at(taken.clean, taken.base)
    git(copy, "add", "-f", path)
    taken = snapshot()
    assert path in files_at(taken.clean, taken.base)


@pytest.mark.parametrize(
    ("path", "text"), [("ca.pem", "-----BEGIN CERTIFICATE-----\n"), (".npmrc", "fund=false\n"), (".ssh/config", "Host x\n")]
)
def test_a_file_without_a_key_in_it_comes_along(snapshot: Take, copy: Path, path: str, text: str) -> None:
    (copy / path).parent.mkdir(exist_ok=True)
    (copy / path).write_text(text)
    taken = snapshot()
    assert path in files_at(taken.clean, taken.base)
