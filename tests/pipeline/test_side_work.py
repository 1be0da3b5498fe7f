"""What an agent left beside its tree is kept, told, and found again, in both modes."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from ccterm import render
from ccterm.draft import Draft
from ccterm.events import SideKept
from ccterm.models import Run, State
from ccterm.pipeline.run_control import RunControl
from ccterm.record import Recorder
from ccterm.service.protocol import Service
from ccterm.state_dir import StateDir
from ccterm.transcript import Transcript
from tests.pipeline.parts import pipeline, recorder_of, task
from tests.support.core import Action, ccterm_here, draft, local, script
from tests.support.git import branches, commit_files, files_at, git, make_repository, tip
from tests.support.stepping import Stepped

BRANCH = "git checkout -q -b my-fix; echo precious > one.txt; git add .; git commit -qm one; echo x > two.txt; git add .; git commit -qm two; git checkout -q -"
STASH = "echo precious > one.txt; git stash -q -u"
WORKTREE = "git worktree add -q .claude/worktrees/a -b side; echo precious > .claude/worktrees/a/one.txt"
DONE: Action = {"write": "done.txt", "text": "done\n"}


async def ended(service: Service, given: Draft) -> Run:
    [run] = await service.submit([given])
    return await service.wait(run.id)


def for_copy(copy: Path, task: str, **fields: object) -> Draft:
    return Draft.model_validate({"prompt": task, "repo": str(copy), "agent": "scripted", "mode": "local", **fields})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Make a working copy with an edit that is not committed."""
    tree = make_repository(tmp_path / "copy", {"README.md": "hello\n"})
    (tree / "README.md").write_text("hello\nmine\n")
    return tree


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("orders", "words", "name"),
    [
        (BRANCH, "2 commits kept on side branches", "heads/my-fix"),
        (STASH, "1 stash kept", "stash/0"),
        (WORKTREE, "uncommitted changes of 1 worktree kept", "worktrees/a/changes"),
    ],
    ids=["branch", "stash", "worktree"],
)
async def test_a_run_with_nothing_in_its_tree_says_what_is_kept_beside_it(
    service: Service, state_dir: Path, remote: Path, tmp_path: Path, orders: str, words: str, name: str
) -> None:
    run = await ended(service, draft(remote, task=script({"bash": orders})))
    assert (run.state, run.reason, run.pushed, tip(remote, "agent/x")) == (State.SUCCEEDED, "nothing_to_push", None, None)
    assert (run.summary, render.outcome(run)) == (f"nothing to push, {words}", f"nothing to push, {words}")
    assert run.action.startswith(f"ccterm fetch {run.ref} ")
    assert any(line.startswith("beside") and words in line for line in render.run_facts(run))
    assert not StateDir(state_dir).boxes(run.id).exists()
    assert b"+precious" in (await service.patch(run.id) or b"")
    git(tmp_path, "clone", "--quiet", str(remote), "clone")
    ref = await service.fetch(run.id, tmp_path / "clone")
    assert ref == f"refs/ccterm/side/{run.id}/{name}"
    source = f"{ref}^3" if name.startswith("stash") else ref
    assert files_at(tmp_path / "clone", source)["one.txt"] == b"precious\n"
    assert [event.refs for event in [event async for event in service.follow(run.id)] if isinstance(event, SideKept)] == [run.side]
    cleaned = await service.clean(run.id)
    assert (cleaned.salvage, cleaned.side) == (None, ())


async def test_what_is_beside_a_pushed_commit_is_kept_and_not_pushed(
    service: Service, state_dir: Path, remote: Path, tmp_path: Path
) -> None:
    run = await ended(service, draft(remote, task=script({"bash": BRANCH}, DONE)))
    assert render.outcome(run) == f"pushed {str(run.commit)[:8]}, verified, 2 commits kept on side branches"
    assert branches(remote).keys() == {"main", "agent/x"}
    assert files_at(remote, "agent/x").keys() == {"README.md", "src/a.py", "done.txt"}
    assert not StateDir(state_dir).boxes(run.id).exists()
    git(tmp_path, "clone", "--quiet", str(remote), "clone")
    for name, value in (("event", "reference-transaction"), ("command", f"touch {tmp_path}/ran")):  # a hook, from git 2.54 on
        git(tmp_path / "clone", "config", f"hook.own.{name}", value)
    assert await service.fetch(run.id, tmp_path / "clone") == f"refs/ccterm/{run.id}"
    assert not (tmp_path / "ran").exists()
    assert files_at(tmp_path / "clone", f"refs/ccterm/side/{run.id}/heads/my-fix")["one.txt"] == b"precious\n"
    assert b"precious" not in (await service.patch(run.id) or b"")


@pytest.mark.first_is_fast
@pytest.mark.parametrize("more", [[DONE], []], ids=["beside changes", "alone"])
@pytest.mark.parametrize("yes", [True, False], ids=["applied", "waiting"])
async def test_a_testing_run_keeps_it_for_the_working_copy(service: Service, copy: Path, more: list[Action], yes: bool) -> None:
    run = await ended(service, for_copy(copy, script({"bash": BRANCH}, *more), yes=yes))
    assert (run.state, [ref.name for ref in run.side]) == (State.SUCCEEDED, ["heads/my-fix"]), run.summary
    assert (copy / "done.txt").exists() is (yes and bool(more))
    assert not (copy / "one.txt").exists()
    ref = await service.fetch(run.id, copy)
    assert files_at(copy, ref).keys() >= {"one.txt", "two.txt"}
    assert files_at(copy, ref)["README.md"] == b"hello\nmine\n"
    assert branches(copy).keys() == {"main"}
    patch = await service.patch(run.id) or b""
    assert (b"+done" in patch, b"+precious" in patch) == (bool(more), not more)


@pytest.mark.parametrize("filter_spec", ["blob:none", pytest.param("tree:0", marks=pytest.mark.slow)])
async def test_a_partial_clone_keeps_it_too(service: Service, tmp_path: Path, filter_spec: str) -> None:
    source = make_repository(tmp_path / "source", {"README.md": "hello\n", "deep/a": "1\n"})
    commit_files(source, {"deep/a": "2\n"})
    for name in ("allowFilter", "allowAnySHA1InWant"):
        git(source, "config", f"uploadpack.{name}", "true")
    git(tmp_path, "clone", "--quiet", f"--filter={filter_spec}", f"file://{source}", "partial")
    run = await ended(service, for_copy(tmp_path / "partial", script({"bash": BRANCH}, DONE), yes=True))
    assert (run.state, [ref.name for ref in run.side], run.kept_in) == (State.SUCCEEDED, ["heads/my-fix"], None)
    assert (tmp_path / "partial/done.txt").exists()
    assert "one.txt" in files_at(tmp_path / "partial", await service.fetch(run.id, tmp_path / "partial"))


async def test_a_worktree_in_the_tree_refuses_no_run(service: Service, remote: Path, copy: Path) -> None:
    task = script({"bash": WORKTREE}, DONE)
    pushed = await ended(service, draft(remote, task=task))
    applied = await ended(service, for_copy(copy, task, yes=True))
    assert files_at(remote, "agent/x").keys() == {"README.md", "src/a.py", "done.txt"}
    assert (copy / "done.txt").exists()
    assert not (copy / ".claude").exists()
    assert [[ref.name for ref in run.side] for run in (pushed, applied)] == [["worktrees/a/changes"]] * 2


async def test_it_is_kept_when_the_agent_fails(service: Service, remote: Path, tmp_path: Path) -> None:
    run = await ended(service, draft(remote, task=script({"bash": BRANCH}, {"fail": "error"})))
    assert (run.state, run.salvage is not None) == (State.FAILED, True)
    git(tmp_path, "clone", "--quiet", str(remote), "clone")
    assert "one.txt" in files_at(tmp_path / "clone", await service.fetch(run.id, tmp_path / "clone"))


@pytest.mark.first_is_fast
@pytest.mark.parametrize("more", [[DONE], []], ids=["beside a push", "alone"])
async def test_boxes_stay_when_what_is_beside_the_tree_cannot_be_read(
    service: Service, state_dir: Path, remote: Path, more: list[Action]
) -> None:
    damage = "; for f in $(git rev-list --objects my-fix --not HEAD | cut -c1-40); do echo x > .git/objects/${f%??????????????????????????????????????}/${f#??}; done"
    run = await ended(service, draft(remote, task=script({"bash": f"chmod -R u+w .git; {BRANCH}{damage}"}, *more)))
    assert (run.state, bool(run.pushed), run.side) == (State.SUCCEEDED, bool(more), ())
    assert run.kept_in == str(StateDir(state_dir).boxes(run.id))
    assert list(Path(run.kept_in).glob("*/work/.git/refs/heads/my-fix"))
    assert (await service.patch(run.id) is not None) is bool(more)
    assert (await service.find(run.id)).kept_in == run.kept_in
    assert (await service.clean(run.id)).kept_in is None


def test_the_command_line_says_what_is_kept_and_where_it_went(
    remote: Path, tmp_path: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ccterm(*words: str) -> "subprocess.CompletedProcess[str]":
        return ccterm_here(*words, monkeypatch=monkeypatch)

    git(tmp_path, "clone", "--quiet", str(remote), "clone")
    assert "2 commits kept on side branches" in ccterm(*local(remote, "b", script({"bash": BRANCH}))).stdout
    shown = ccterm("show", "last").stdout
    assert ("nothing to push, 2 commits kept on side branches" in shown, "ccterm fetch" in shown) == (True, True)
    diff = ccterm("diff", "last")
    assert ("+precious" in diff.stdout, "ccterm fetch" in diff.stderr) == (True, True)
    fetched = ccterm("fetch", "last", "--repo", str(tmp_path / "clone"))
    assert fetched.stdout.endswith("/heads/my-fix\n")


@pytest.mark.first_is_fast
@pytest.mark.parametrize("damaged", [False, True])
async def test_a_daemon_that_dies_after_the_push_loses_nothing_beside_the_tree(
    state_dir: Path, remote: Path, tmp_path: Path, damaged: bool
) -> None:
    state = StateDir(state_dir).prepare()
    async with pipeline(state, tmp_path, os.environ) as tested:
        recorder = recorder_of(state, task(remote, script({"bash": BRANCH}, DONE)))
        stepped = Stepped(tested.carry_out(recorder, RunControl()), asyncio.CancelledError(), 1, lambda: recorder.run.pushed is not None)
        with pytest.raises(asyncio.CancelledError):
            await stepped
        await recorder.close()
        bundle = state.salvage(recorder.run.id) / "side.bundle"
        if damaged:
            bundle.write_bytes(bundle.read_bytes()[:-1])
        again = Recorder(recorder.run, Transcript(state.run(recorder.run.id), recorder.run.id), None)
        run = await tested.recover(again)
    assert (run.state, [ref.name for ref in run.side]) == (State.SUCCEEDED, ["heads/my-fix"])
    assert (state.boxes(run.id).exists(), run.kept_in is not None) == (damaged, damaged)
