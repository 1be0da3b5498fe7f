"""What an agent leaves beside its tree: branches, tags, stashes and linked worktrees that hold what the base lacks."""

import os
import shutil
from pathlib import Path

import pytest

from tests.box.gitbox import GitBox, box_on, write
from tests.box.test_worktrees import make_relative
from tests.support import git as support

Side = list[tuple[str, int, bool]]
IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@example.invalid")


@pytest.fixture
def box(tmp_path: Path) -> GitBox:
    """Return a box with a checked-out tree."""
    return box_on(tmp_path, grown=True)


def commit(tree: Path, name: str, content: str = "precious\n") -> str:
    write(tree, name, content)
    support.git(tree, "add", "--all", "--force", name)
    support.git(tree, *IDENTITY, "commit", "--quiet", "--message", f"Add {name}")
    return support.git(tree, "rev-parse", "HEAD")


def on_a_branch(tree: Path, branch: str, *names: str) -> str:
    """Commit on a branch of the agent's own, and go back."""
    support.git(tree, "checkout", "--quiet", "-b", branch)
    sha = [commit(tree, name) for name in names][-1]
    support.git(tree, "checkout", "--quiet", "-")
    return sha


def kept(report: dict[str, object]) -> Side:
    side = report["side"]
    assert isinstance(side, list)
    return [(ref["name"], ref["commits"], ref["changes"]) for ref in side]


def fetched(box: GitBox, tmp_path: Path) -> Path:
    """Return a fresh clone of the remote, with all that the side bundle brings."""
    clone = tmp_path / "clone"
    support.git(tmp_path, "clone", "--quiet", box.remote, str(clone))
    support.git(clone, "fetch", "--quiet", str(box.out / "side.bundle"), "refs/ccterm/side/*:refs/side/*")
    return clone


def test_commits_on_another_branch_are_kept_beside_the_commit(tmp_path: Path, box: GitBox) -> None:
    on_a_branch(box.tree, "my-fix", "one.txt", "two.txt")
    write(box.tree, "tree.txt")
    report = box.commit()
    assert support.files_at(box.clean, report["commit"]).keys() == {".gitmodules", "README.md", "src/main.py", "tree.txt"}
    assert (kept(report), report["unread"]) == ([("heads/my-fix", 2, False)], [])
    assert support.files_at(fetched(box, tmp_path), "refs/side/heads/my-fix").keys() >= {"one.txt", "two.txt"}


def test_they_are_kept_when_nothing_is_in_the_tree(tmp_path: Path, box: GitBox) -> None:
    on_a_branch(box.tree, "my-fix", "one.txt")
    report = box.commit()
    assert (report["commit"], kept(report)) == (None, [("heads/my-fix", 1, False)])
    assert b"+precious" in (box.out / "side.patch").read_bytes()


def test_commits_of_the_agents_own_branch_are_kept_when_the_tree_does_not_hold_them(tmp_path: Path, box: GitBox) -> None:
    commit(box.tree, "work.txt")
    support.git(box.tree, "rm", "--quiet", "work.txt")
    report = box.commit()
    assert (report["commit"], kept(report)) == (None, [("heads/agent/work", 1, False)])
    support.git(box.tree, "checkout", "--quiet", "--detach")
    support.git(box.tree, "branch", "--quiet", "--delete", "--force", "agent/work")
    assert kept(box.commit(out="again")) == [("detached", 1, False)]


def test_what_the_tree_is_the_end_of_is_not_kept_again(box: GitBox) -> None:
    on_a_branch(box.tree, "merged", "one.txt")
    support.git(box.tree, *IDENTITY, "merge", "--quiet", "--no-ff", "--message", "Merge", "merged")
    support.git(box.tree, "branch", "older", "HEAD")
    commit(box.tree, "two.txt")
    report = box.commit()
    assert (report["files"], kept(report), report["unread"]) == (2, [], [])
    assert not (box.out / "side.bundle").exists()


def test_each_stash_is_kept_with_its_untracked_files(tmp_path: Path, box: GitBox) -> None:
    for name in ("first.txt", "second.txt"):
        write(box.tree, name, f"precious {name}\n")
        write(box.tree, "README.md", f"changed for {name}\n")
        support.git(box.tree, *IDENTITY, "stash", "--quiet", "--include-untracked")
    report = box.commit()
    assert (report["commit"], kept(report)) == (None, [("stash/0", 0, True), ("stash/1", 0, True)])
    clone = fetched(box, tmp_path)
    assert support.files_at(clone, "refs/side/stash/0")["README.md"] == b"changed for second.txt\n"
    assert support.files_at(clone, "refs/side/stash/1^3") == {"first.txt": b"precious first.txt\n"}
    patch = (box.out / "side.patch").read_bytes()
    assert all(line in patch for line in (b"+precious first.txt", b"+precious second.txt", b"+changed for second.txt"))


@pytest.mark.parametrize("rules", ["", ".claude/worktrees/\n"], ids=["not ignored", "ignored"])
def test_a_worktree_in_the_tree_is_left_out_and_kept(tmp_path: Path, rules: str) -> None:
    box = box_on(tmp_path, files={".gitignore": rules, ".claude/settings.json": "{}\n"}, grown=True)
    worktree = box.tree / ".claude/worktrees/agent-1"
    support.git(box.tree, "worktree", "add", "--quiet", str(worktree), "-b", "side")
    commit(worktree, "done.txt")
    write(worktree, "open.txt", "not committed\n")
    (worktree / "README.md").unlink()
    write(box.tree, "beside.txt")
    report = box.commit()
    assert report["refusals"] == []
    assert support.files_at(box.clean, report["commit"]).keys() == {
        *(".gitignore", ".gitmodules", ".claude/settings.json", "README.md", "src/main.py", "beside.txt")
    }
    assert kept(report) == [("heads/side", 1, False), ("worktrees/agent-1/changes", 0, True)]
    assert report["notes"] == [".claude/worktrees/agent-1 is a worktree of the agent's own and is left out of the commit"]
    files = support.files_at(fetched(box, tmp_path), "refs/side/worktrees/agent-1/changes")
    assert (files["open.txt"], files["done.txt"], "README.md" in files) == (b"not committed\n", b"precious\n", False)


@pytest.mark.parametrize("where", ["tree", "directory"])
def test_a_worktree_with_relative_paths_is_kept(box: GitBox, where: str) -> None:
    worktree = {"tree": box.tree, "directory": box.directory}[where] / "wt"
    support.git(box.tree, "worktree", "add", "--quiet", "--detach", str(worktree))
    write(worktree, "open.txt", "not committed\n")
    make_relative(box.tree, worktree)
    assert kept(box.commit()) == [("worktrees/wt/changes", 0, True)]


def test_a_worktree_is_found_after_the_tree_was_moved(tmp_path: Path, box: GitBox) -> None:
    support.git(box.tree, "worktree", "add", "--quiet", "--detach", str(box.tree / "wt"))
    sha = commit(box.tree / "wt", "done.txt")
    box.directory.rename(tmp_path / "elsewhere")
    moved = GitBox(tmp_path / "elsewhere", box.remote)
    moved.base = box.base
    report = moved.commit()
    assert ([ref["sha"] for ref in report["side"]], kept(report)) == ([sha], [("worktrees/wt/commits", 1, False)])


def test_worktrees_inside_a_worktree_have_their_own_refs(box: GitBox) -> None:
    support.git(box.tree, "worktree", "add", "--quiet", "--detach", str(box.tree / "outer"))
    support.git(box.tree, "worktree", "add", "--quiet", "--detach", str(box.tree / "outer/inner"))
    write(box.tree, "outer/o.txt", "o\n")
    write(box.tree, "outer/inner/i.txt", "i\n")
    report = box.commit()
    assert kept(report) == [("worktrees/inner/changes", 0, True), ("worktrees/outer/changes", 0, True)]


def test_a_worktree_outside_the_tree_is_read_where_it_is(tmp_path: Path, box: GitBox) -> None:
    support.git(box.tree, "worktree", "add", "--quiet", "../wt", "-b", "other")
    write(box.directory, "wt/open.txt")
    report = box.commit()
    assert kept(report) == [("worktrees/wt/changes", 0, True)]
    shutil.rmtree(box.directory / "wt")
    report = box.commit(out="again")
    assert (kept(report), report["notes"]) == (
        [],
        [f"the worktree at {box.directory}/wt is not in the tree: only what was committed in it is kept"],
    )


def test_packed_refs_and_packed_objects_are_read(tmp_path: Path, box: GitBox) -> None:
    on_a_branch(box.tree, "my-fix", "one.txt")
    support.git(box.tree, "tag", "--annotate", "--message", "x", "v1", on_a_branch(box.tree, "tagged", "two.txt"))
    support.git(box.tree, "branch", "--quiet", "--delete", "--force", "tagged")
    support.git(box.tree, "gc", "--quiet")
    assert not (box.tree / ".git/refs/heads/my-fix").exists()
    report = box.commit()
    assert kept(report) == [("heads/my-fix", 1, False), ("tags/v1", 1, False)]
    assert support.files_at(fetched(box, tmp_path), "refs/side/tags/v1")["two.txt"] == b"precious\n"


def test_the_remotes_own_refs_are_nothing_of_the_agents(tmp_path: Path) -> None:
    source = support.make_repository(tmp_path / "source", {"a": "1\n"})
    support.git(source, "tag", "v1")
    on_a_branch(source, "release", "r.txt")
    box = GitBox(tmp_path / "box", source).start()
    support.git(box.tree, "branch", "mine", "origin/release")
    support.git(box.tree, "worktree", "add", "--quiet", "wt", "origin/release")
    report = box.commit()
    assert (report["commit"], kept(report), report["unread"]) == (None, [], [])


def test_of_a_snapshot_the_bundle_builds_on_what_the_user_has(tmp_path: Path, box: GitBox) -> None:
    parent = box.base
    write(box.tree, "snapshot.txt", "as it was\n")
    box.base = box.new_commit()
    support.git(box.tree, "fetch", "--quiet", str(box.clean), "refs/ccterm/work")
    support.git(box.tree, "reset", "--quiet", "--hard", "FETCH_HEAD")
    support.git(box.clean, "update-ref", "refs/ccterm/snapshot", str(box.base))
    on_a_branch(box.tree, "my-fix", "one.txt")
    report = box.commit(out="side", snapshot=True)
    assert kept(report) == [("heads/my-fix", 1, False)]
    clone = tmp_path / "clone"
    support.git(tmp_path, "clone", "--quiet", box.remote, str(clone))
    assert support.git(clone, "rev-parse", "HEAD") == parent
    support.git(clone, "fetch", "--quiet", str(box.directory / "side/side.bundle"), "refs/ccterm/side/heads/my-fix")
    assert support.files_at(clone, "FETCH_HEAD").keys() >= {"snapshot.txt", "one.txt"}


@pytest.mark.first_is_fast
@pytest.mark.parametrize("damage", ["cut", "other", "gone", "link"])
def test_a_damaged_object_is_told_and_the_other_branches_are_kept(tmp_path: Path, box: GitBox, damage: str) -> None:
    sha = on_a_branch(box.tree, "broken", "one.txt")
    on_a_branch(box.tree, "whole", "two.txt")
    victim = box.tree / ".git/objects" / sha[:2] / sha[2:]
    content = victim.read_bytes()
    victim.unlink()
    if damage == "cut":
        victim.write_bytes(content[:-8])
    elif damage == "other":
        other = support.git(box.tree, "rev-parse", "whole:two.txt")
        shutil.copy(box.tree / ".git/objects" / other[:2] / other[2:], victim)
    elif damage == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        victim.symlink_to(tmp_path / "elsewhere")
    report = box.commit()
    assert (kept(report), report["unread"]) == (
        [("heads/whole", 1, False)],
        ["refs/heads/broken names an object that is missing or damaged"],
    )


def test_a_commit_whose_files_are_missing_is_not_called_kept(box: GitBox) -> None:
    on_a_branch(box.tree, "broken", "one.txt")
    blob = support.git(box.tree, "rev-parse", "broken:one.txt")
    (box.tree / ".git/objects" / blob[:2] / blob[2:]).unlink()
    report = box.commit()
    assert (kept(report), len(report["unread"])) == ([], 1)
    assert not (box.out / "side.bundle").exists()


def test_names_that_git_refuses_get_another_and_fifos_and_loops_stop_nothing(tmp_path: Path, box: GitBox) -> None:
    sha = on_a_branch(box.tree, "my-fix", "one.txt")
    more = [on_a_branch(box.tree, f"b{n}", f"{n}.txt") for n in range(3)]
    heads = box.tree / ".git/refs/heads"
    for name, target in zip(("a..b", "x.lock", "line\nbreak"), more, strict=True):
        (heads / name).write_text(f"{target}\n")
        support.git(box.tree, "branch", "--quiet", "--delete", "--force", f"b{more.index(target)}")
    os.mkfifo(heads / "fifo")
    (heads / "loop").symlink_to(".")
    (heads / "symbolic").write_text("ref: refs/heads/symbolic\n")
    (heads / "odd").write_text("no object\n")
    report = box.commit()
    assert {ref["sha"] for ref in report["side"]} == {sha, *more}
    assert [name for name, _, _ in kept(report) if name.startswith("unnamed/")] == ["unnamed/0", "unnamed/1", "unnamed/3"]
    assert support.files_at(fetched(box, tmp_path), "refs/side/heads/my-fix").keys() >= {"one.txt"}


@pytest.mark.slow
def test_more_branches_than_are_kept_are_told(box: GitBox) -> None:
    stream = "".join(
        f"commit refs/heads/b{n}\ncommitter a <a@example.invalid> 1700000000 +0000\ndata 3\n{n:03}\nfrom {box.base}\n\n" for n in range(201)
    )
    support.git(box.tree, "fast-import", "--quiet", stdin=stream.encode())
    report = box.commit()
    assert (len(kept(report)), report["unread"]) == (200, ["there are 201 branches, more than 200"])


def test_configuration_hooks_and_alternates_of_the_agents_clone_are_not_followed(tmp_path: Path, box: GitBox) -> None:
    on_a_branch(box.tree, "my-fix", "one.txt")
    marker = tmp_path / "it-ran"
    git_directory = box.tree / ".git"
    (git_directory / "hooks").mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-checkout", "update"):
        hook = git_directory / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    with (git_directory / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "touch {marker}"\n\talternateRefsCommand = "touch {marker}"\n')
    elsewhere = support.make_bare(tmp_path / "elsewhere.git")
    support.add_commit(elsewhere, {"secret": "not the agent's\n"})
    (git_directory / "objects/info").mkdir(exist_ok=True)
    (git_directory / "objects/info/alternates").write_text(f"{elsewhere}/objects\n")
    (git_directory / "refs/heads/stolen").write_text(f"{support.tip(elsewhere, 'main')}\n")
    report = box.commit()
    assert (kept(report), report["unread"]) == (
        [("heads/my-fix", 1, False)],
        ["refs/heads/stolen names an object that is missing or damaged"],
    )
    assert not marker.exists()


@pytest.mark.first_is_fast
@pytest.mark.parametrize("narrow", [{"depth": 1}, {"filter": "blob:none"}, {"filter": "tree:0"}], ids=str)
def test_it_is_kept_of_a_clone_without_all_of_the_history(tmp_path: Path, narrow: dict[str, object]) -> None:
    source = support.make_repository(tmp_path / "source", {"a": "1\n", "deep/b": "1\n"})
    support.commit_files(source, {"deep/b": "2\n"})
    for name in ("allowFilter", "allowAnySHA1InWant"):
        support.git(source, "config", f"uploadpack.{name}", "true")
    box = GitBox(tmp_path / "box", f"file://{source}").start(**narrow)
    on_a_branch(box.tree, "my-fix", "one.txt")
    report = box.commit()
    assert (kept(report), report["unread"]) == ([("heads/my-fix", 1, False)], [])
    assert support.files_at(fetched(box, tmp_path), "refs/side/heads/my-fix").keys() == {"a", "deep/b", "one.txt"}
