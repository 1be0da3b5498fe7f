"""The clean git directory and the agent's tree."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.box.gitbox import AUTHORIZATION, TOKEN, GitBox
from tests.box.programs import wrap_git
from tests.conftest import MakeRemote
from tests.servers.git_http import GitServer, Kind
from tests.support import git as support


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    """Return a remote with three commits on main, a tag and another branch."""
    remote = make_remote({"README.md": "# Example\n", "src/main.py": "print(1)\n"})
    support.git(remote, "tag", "v1", "main")
    support.add_commit(remote, {"src/main.py": "print(2)\n"})
    support.add_commit(remote, {"other": "x\n"}, branch="other")
    support.add_commit(remote, {"src/main.py": "print(3)\n"})
    return remote


@pytest.fixture
def box(tmp_path: Path, remote: Path) -> GitBox:
    return GitBox(tmp_path / "box", remote)


def commits(directory: Path) -> int:
    return int(support.git(directory, "rev-list", "--count", "HEAD"))


def test_the_tree_is_the_base_on_the_branch_with_its_history(box: GitBox) -> None:
    box.start()
    assert support.git(box.tree, "status", "--porcelain=v2", "--branch").splitlines()[:2] == [
        f"# branch.oid {box.base}",
        "# branch.head agent/work",
    ]
    assert (box.tree / "src/main.py").read_text() == "print(3)\n"
    assert commits(box.tree) == 3


def test_the_tree_knows_tags_but_no_remote(box: GitBox) -> None:
    box.start()
    assert support.git(box.tree, "describe", "--tags").startswith("v1-2-g")
    assert support.git(box.tree, "remote") == ""


def remote_branches(tree: Path) -> list[str]:
    return support.git(tree, "for-each-ref", "--format=%(refname)", "refs/remotes").splitlines()


@pytest.mark.parametrize("mirror", ["../mirror", None])
def test_the_tree_knows_the_remotes_branches_as_a_clone_does(box: GitBox, remote: Path, mirror: str | None) -> None:
    support.git(remote, "tag", "-a", "v2", "-m", "Two", "main")
    support.git(remote, "branch", "-m", "main", "trunk")
    support.git(remote, "symbolic-ref", "HEAD", "refs/heads/trunk")
    support.git(remote, "branch", box.branch, "v1")
    box.start(mirror=mirror)
    assert remote_branches(box.tree) == [f"refs/remotes/origin/{name}" for name in ("HEAD", "agent/work", "other", "trunk")]
    assert support.branches(box.tree) == {"agent/work": box.base, "trunk": support.tip(remote, "trunk")}
    assert support.git(box.tree, "rev-parse", "origin", "v2^{}") == f"{support.tip(remote, 'trunk')}\n{support.tip(remote, 'trunk')}"
    support.git(box.tree, "merge", "--quiet", "trunk")
    assert support.git(box.tree, "fsck") == ""


def test_a_default_branch_that_moved_is_fetched_although_the_base_is_there(box: GitBox, remote: Path, tmp_path: Path) -> None:
    support.git(remote, "branch", box.branch, "other")
    box.start()
    newest = support.add_commit(remote, {"src/main.py": "print(4)\n"})
    second = GitBox(tmp_path / "second", remote).start()
    assert second.base == box.base
    assert support.git(second.tree, "rev-parse", "main", "origin/main") == f"{newest}\n{newest}"


@pytest.mark.parametrize("default", ["agent", "agent/work/more", "agent/work"])
def test_a_default_branch_whose_name_collides_with_the_runs_is_known_as_the_remotes_only(box: GitBox, remote: Path, default: str) -> None:
    support.git(remote, "branch", "-m", "main", default)
    support.git(remote, "symbolic-ref", "HEAD", f"refs/heads/{default}")
    box.resolve(branch="elsewhere")
    assert box.checkout()["ok"]
    assert support.branches(box.tree) == {"agent/work": box.base}
    assert f"refs/remotes/origin/{default}" in remote_branches(box.tree)


def test_the_address_of_the_remote_is_stored_nowhere(box: GitBox) -> None:
    box.start()
    files = [path for place in (box.tree, box.clean) for path in place.rglob("*") if path.is_file()]
    assert [path for path in files if box.remote.encode() in path.read_bytes()] == []


def test_an_agent_can_commit_in_its_tree_at_once(box: GitBox) -> None:
    box.start()
    (box.tree / "new").write_text("x")
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    subprocess.run(["git", "add", "new"], cwd=box.tree, env=env, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "own"], cwd=box.tree, env=env, check=True)
    assert support.git(box.tree, "log", "-1", "--format=%s %P") == f"own {box.base}"


def test_the_clean_directory_has_no_hooks_no_remote_and_no_alternates(box: GitBox) -> None:
    box.start()
    assert (
        sorted(path.name for path in box.clean.iterdir()) == ["HEAD", "config", "objects", "refs"] or (box.clean / "packed-refs").exists()
    )
    assert not (box.clean / "hooks").exists()
    assert "remote" not in (box.clean / "config").read_text()
    assert not (box.clean / "objects/info/alternates").exists()
    support.git(box.clean, "fsck", "--strict")


def test_no_file_is_shared_between_mirror_clean_and_tree(box: GitBox) -> None:
    box.start()
    places = [box.directory.parent / "mirror", box.clean, box.tree]
    assert {path.stat().st_nlink for place in places for path in place.rglob("*") if path.is_file()} == {1}


def test_a_tag_as_base(box: GitBox) -> None:
    found = box.resolve(base="v1")
    assert box.checkout(ref=found["ref"])["ok"]
    assert (box.tree / "src/main.py").read_text() == "print(1)\n"
    assert commits(box.tree) == 1


def test_an_existing_branch_is_checked_out_at_its_tip(tmp_path: Path, remote: Path) -> None:
    box = GitBox(tmp_path / "box", remote, branch="other").start()
    assert box.base == support.tip(remote, "other")
    assert (box.tree / "other").exists()


def test_an_empty_repository_leads_to_an_unborn_branch(tmp_path: Path) -> None:
    box = GitBox(tmp_path / "box", support.make_bare(tmp_path / "empty.git")).start()
    assert support.git(box.tree, "symbolic-ref", "HEAD") == "refs/heads/agent/work"
    assert support.git(box.tree, "status", "--porcelain") == ""


def test_a_commit_on_no_branch_is_fetched_by_its_id(tmp_path: Path, remote: Path) -> None:
    lost = support.tip(remote, "other")
    support.git(remote, "branch", "-D", "other")
    box = GitBox(tmp_path / "box", remote)
    box.base = lost
    assert box.checkout()["ok"]
    assert support.git(box.tree, "rev-parse", "HEAD") == lost


def test_a_commit_that_the_remote_lacks_is_reported_as_moved(box: GitBox) -> None:
    box.base = "1" * 40
    report = box.checkout()
    assert (report["ok"], report["reason"]) == (False, "moved")


def test_a_missing_remote_is_not_found(tmp_path: Path) -> None:
    box = GitBox(tmp_path / "box", tmp_path / "nothing.git")
    box.base = "1" * 40
    assert box.checkout()["reason"] == "not_found"


def test_without_a_mirror_everything_comes_from_the_remote(tmp_path: Path, remote: Path) -> None:
    box = GitBox(tmp_path / "box", remote, mirror=None).start()
    assert commits(box.tree) == 3
    assert not (tmp_path / "mirror").exists()


def test_executable_bits_and_links_arrive(tmp_path: Path) -> None:
    source = support.make_repository(tmp_path / "source", {"run": "#!/bin/sh\n", "plain": "x"})
    (source / "run").chmod(0o755)
    (source / "link").symlink_to("plain")
    support.commit_files(source, {})
    box = GitBox(tmp_path / "box", source).start()
    assert (box.tree / "run").stat().st_mode & stat.S_IXUSR
    assert (box.tree / "link").readlink() == Path("plain")


@pytest.mark.parametrize(
    ("option", "length"),
    [
        ("--object-format=sha256", 64),
        pytest.param("--ref-format=reftable", 40, marks=pytest.mark.skipif(not support.has_reftable(), reason="this git has no reftable")),
    ],
)
def test_a_repository_in_a_newer_format_works(tmp_path: Path, option: str, length: int) -> None:
    remote = tmp_path / "remote.git"
    remote.mkdir()
    support.git(remote, "init", "--quiet", "--bare", option, "--initial-branch=main", ".")
    support.add_commit(remote, {"a": "1\n"})
    box = GitBox(tmp_path / "box", remote).start()
    (box.tree / "a").write_text("2\n")
    commit = box.new_commit()
    assert len(commit) == length
    assert box.push(commit)["verified"]


def test_a_shallow_checkout_has_only_the_last_commits(tmp_path: Path, remote: Path) -> None:
    box = GitBox(tmp_path / "box", remote).start(depth=2)
    assert commits(box.tree) == 2
    assert not (tmp_path / "mirror").exists()


def test_a_shallow_checkout_can_be_committed_and_pushed(tmp_path: Path, remote: Path) -> None:
    box = GitBox(tmp_path / "box", remote).start(depth=1)
    (box.tree / "new").write_text("x\n")
    commit = box.new_commit()
    assert box.push(commit)["verified"]
    assert support.git(remote, "rev-list", "--count", commit) == "4"


def test_a_partial_checkout_never_needs_the_network_again(tmp_path: Path, remote: Path) -> None:
    support.git(remote, "config", "uploadpack.allowFilter", "true")
    box = GitBox(tmp_path / "box", remote).start(filter="blob:none")
    hidden = remote.rename(tmp_path / "hidden.git")
    missing = support.git(box.tree, "rev-list", "--objects", "--missing=print", "HEAD")
    assert missing.count("\n?") == 2  # the older versions of main.py
    (box.tree / "new").write_text("x\n")
    commit = box.new_commit()
    hidden.rename(remote)
    assert box.push(commit)["verified"]
    assert "promisor" not in (box.clean / "config").read_text() + (box.tree / ".git/config").read_text()


def test_a_partial_checkout_without_trees_is_filled(tmp_path: Path, remote: Path) -> None:
    support.git(remote, "config", "uploadpack.allowFilter", "true")
    box = GitBox(tmp_path / "box", remote).start(filter="tree:0")
    remote.rename(tmp_path / "hidden.git")
    (box.tree / "src/main.py").write_text("print(4)\n")
    assert box.committed_files() == {"README.md": b"# Example\n", "src/main.py": b"print(4)\n"}


def test_a_remote_that_cannot_filter_is_noted(tmp_path: Path, remote: Path) -> None:
    box = GitBox(tmp_path / "box", remote)
    box.resolve()
    report = box.checkout(filter="blob:none")
    assert report["ok"]
    assert "does not filter" in report["notes"][0]


def test_the_token_gives_access_and_is_stored_nowhere(tmp_path: Path, remote: Path) -> None:
    with GitServer(tmp_path, token=TOKEN) as server:
        box = GitBox(tmp_path / "box", server.url("remote.git"))
        box.env["CCTERM_GIT_HEADER"] = AUTHORIZATION
        box.start()
        assert {request.login for request in server.requests if request.kind is Kind.FETCH} == {("x-access-token", TOKEN)}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    secrets = (TOKEN.encode(), AUTHORIZATION.split(" ")[2].encode())
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []


def test_lfs_without_git_lfs_is_a_note(box: GitBox) -> None:
    if shutil.which("git-lfs"):
        pytest.skip("git-lfs is installed here")
    box.resolve()
    report = box.checkout(lfs=True)
    assert report["ok"]
    assert "git-lfs is not installed" in report["notes"][0]


def test_lfs_files_are_put_in_place(tmp_path: Path, box: GitBox) -> None:
    lfs = wrap_git(tmp_path / "bin", 'exec $git "$@"').joinpath("git-lfs")
    lfs.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/lfs-calls\n[ "$1" = checkout ] && echo real > README.md\nexit 0\n')
    lfs.chmod(0o755)
    box.env["PATH"] = f"{lfs.parent}:{os.environ['PATH']}"
    box.resolve()
    assert box.checkout(lfs=True) == {"ok": True, "notes": [], "fetched": True}
    assert (box.tree / "README.md").read_text() == "real\n"
    assert (tmp_path / "lfs-calls").read_text() == f"fetch origin {box.base}\ncheckout\n"


@pytest.mark.first_is_fast
@pytest.mark.parametrize("name", ["remote", "remote.git"])
def test_lfs_gets_the_token_for_the_endpoint_of_this_repository_alone(tmp_path: Path, remote: Path, name: str) -> None:
    remote.rename(tmp_path / name)
    lfs = wrap_git(tmp_path / "bin", 'exec $git "$@"').joinpath("git-lfs")
    asks = 'git config --get-urlmatch http.extraHeader "$1"'
    lines = [
        "ask() { " + asks + "; }",
        "url=$(git config lfs.url)",
        f'(echo "$url"; ask "$url"; ask "${{url%/remote*}}/other") > {tmp_path}/seen',
        "exit 0",
    ]
    lfs.write_text("\n".join(["#!/bin/sh", *lines]))
    lfs.chmod(0o755)
    with GitServer(tmp_path, token=TOKEN) as server:
        box = GitBox(tmp_path / "box", server.url(name))
        box.env |= {"PATH": f"{lfs.parent}:{os.environ['PATH']}", "CCTERM_GIT_HEADER": AUTHORIZATION}
        box.resolve()
        assert box.checkout(lfs=True)["ok"]
        assert (tmp_path / "seen").read_text().splitlines() == [f"{server.url('remote.git')}/info/lfs", AUTHORIZATION]


def test_a_full_disk_has_its_own_reason(tmp_path: Path, box: GitBox) -> None:
    full = wrap_git(
        tmp_path / "full",
        'case "$*" in *" fetch "*) echo "fatal: write error: No space left on device" >&2; exit 128;; esac\nexec $git "$@"',
    )
    box.env["PATH"] = f"{full}:{os.environ['PATH']}"
    box.resolve()
    assert box.checkout()["reason"] == "disk"
