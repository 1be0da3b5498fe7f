"""Without a branch a run works on a snapshot of the working copy; its changes are applied whole, with the user's permission, or not at all."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import AWAITS_APPLY, Cause
from ccterm.errors import StepError, UsageError
from ccterm.events import Notice, StepFinished, Synced
from ccterm.models import Allowances, Mode, State
from ccterm.render import outcome
from ccterm.service.protocol import Service
from tests.pipeline.copies import ended, for_copy
from tests.support.core import script
from tests.support.git import git, make_repository
from tests.support.traps import Trap
from tests.workspace.trees import digest


def git_state(copy: Path) -> Mapping[bytes, tuple[str, bytes]]:
    return dict(digest(copy / ".git").items())


async def test_the_changes_are_applied_and_nothing_else_is_touched(service: Service, copy: Path) -> None:
    before, its_git = digest(copy), git_state(copy)
    run = await ended(service, for_copy(copy, yes=True))
    assert (run.state, run.task.mode) == (State.SUCCEEDED, Mode.TESTING), run.summary
    assert run.synced is not None
    assert run.synced.files == 3
    assert (copy / "README.md").read_text() == "hello\nmine\nagent\n"
    assert (copy / "lib/new.py").read_text() == "new\n"
    assert not (copy / "src").exists()
    touched = {b"README.md", b"lib", b"lib/new.py", b"src", b"src/a.py"}
    assert {path for path in before.keys() | digest(copy).keys() if before.get(path) != digest(copy).get(path)} == touched
    assert git_state(copy) == its_git


async def test_the_steps_and_the_event(service: Service, copy: Path) -> None:
    run = await ended(service, for_copy(copy, yes=True, verify="test -f lib/new.py", setup="echo ok"))
    events = [event async for event in service.follow(run.id)]
    steps = [event.step for event in events if isinstance(event, StepFinished)]
    assert steps == ["snapshot", "checkout", "setup", "agent", "commit", "policy", "verify", "apply"]
    assert [event.files for event in events if isinstance(event, Synced)] == [3]


async def test_the_agent_sees_the_working_copy_without_its_ignored_files(service: Service, copy: Path) -> None:
    run = await ended(
        service, for_copy(copy, task=script({"bash": "cat README.md staged.txt untracked.txt; ls ignored .env; git status -s"}))
    )
    [said] = [event.text async for event in service.follow(run.id) if event.kind == "tool_returned"]
    assert "hello\nmine\nstaged\nuntracked" in said
    assert "No such file" in said
    assert "??" not in said


async def test_without_permission_the_changes_wait(service: Service, copy: Path) -> None:
    before = digest(copy)
    run = await ended(service, for_copy(copy))
    assert (run.state, run.reason, run.synced) == (State.SUCCEEDED, AWAITS_APPLY, None)
    assert run.action == f"ccterm diff {run.ref}, then ccterm apply {run.ref}"
    assert digest(copy) == before
    applied = await service.apply(run.id)
    assert applied.synced is not None
    assert (copy / "lib/new.py").read_text() == "new\n"
    assert (await service.find(run.id)).synced == applied.synced


@pytest.mark.first_is_fast
@pytest.mark.parametrize("edited", [True, False], ids=["from a snapshot", "from a commit"])
async def test_nothing_is_done_to_another_repository_in_its_place(service: Service, tmp_path: Path, copy: Path, edited: bool) -> None:
    if not edited:
        git(copy, "stash", "--include-untracked")
    waiting = await ended(service, for_copy(copy, task=script({"write": "second.py", "text": "2\n"})))
    applied = await ended(service, for_copy(copy, yes=True))
    (copy / "lib").rename(tmp_path / "lib")
    copy.rename(tmp_path / "moved")
    make_repository(copy, {"README.md": "hello\n"})
    (tmp_path / "lib").rename(copy / "lib")
    before = digest(copy)
    with pytest.raises(UsageError, match="is not the repository that the changes were made in"):
        await service.apply(waiting.id)
    with pytest.raises(UsageError, match="is not the repository that the changes were made in"):
        await service.undo(applied.id)
    assert digest(copy) == before
    (copy / "lib").rename(tmp_path / "moved" / "lib")
    copy.rename(tmp_path / "other")
    (tmp_path / "moved").rename(copy)
    assert (await service.apply(waiting.id)).synced is not None
    await service.undo(applied.id)
    assert not (copy / "lib").exists()


async def test_a_part_is_applied_and_then_the_rest(service: Service, copy: Path) -> None:
    run = await ended(service, for_copy(copy))
    await service.apply(run.id, only=["lib/new.py"])
    assert (copy / "lib/new.py").exists()
    assert (copy / "src/a.py").exists()
    await service.apply(run.id)
    assert not (copy / "src/a.py").exists()


async def test_undo_restores_the_working_copy_and_apply_can_be_repeated(service: Service, copy: Path) -> None:
    before = digest(copy)
    run = await ended(service, for_copy(copy, yes=True))
    after = digest(copy)
    undone = await service.undo(run.id)
    assert undone.synced is not None
    assert undone.synced.undone
    assert digest(copy) == before
    with pytest.raises(UsageError, match="was undone already"):
        await service.undo(run.id)
    await service.apply(run.id)
    assert digest(copy) == after


async def test_what_changed_meanwhile_is_a_conflict_and_the_work_is_kept(service: Service, copy: Path) -> None:
    mine = f"printf mine > {copy / 'README.md'}"
    before = digest(copy)
    run = await ended(service, for_copy(copy, task=script({"append": "README.md", "text": "agent\n"}, {"bash": mine}), yes=True))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CONFLICT, "changed")
    assert "README.md" in run.summary
    assert (copy / "README.md").read_text() == "mine"
    (copy / "README.md").write_text("hello\nmine\n")
    assert digest(copy) == before
    await service.apply(run.id)
    assert (copy / "README.md").read_text() == "hello\nmine\nagent\n"


async def test_a_refused_change_stays_out_until_the_user_allows_it(service: Service, copy: Path) -> None:
    task = script({"write": ".github/workflows/ci.yml", "text": "on: push\n"}, {"write": "CLAUDE.md", "text": "x\n"})
    before = digest(copy)
    run = await ended(service, for_copy(copy, task=task, yes=True))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.POLICY, "protected")
    assert "--allow-path .github/workflows/ci.yml" in run.summary
    assert run.action == f"ccterm diff {run.ref}, then ccterm apply {run.ref} with the flag that the verdict names"
    with pytest.raises(StepError, match=r"CLAUDE\.md"):
        await service.apply(run.id, allow=Allowances(paths=(".github/**",)))
    assert digest(copy) == before
    await service.apply(run.id, allow=Allowances(paths=(".github/**", "CLAUDE.md")))
    assert (copy / ".github/workflows/ci.yml").read_text() == "on: push\n"


async def test_a_flag_of_the_run_allows_it(service: Service, copy: Path) -> None:
    run = await ended(service, for_copy(copy, task=script({"write": "CLAUDE.md", "text": "x\n"}), yes=True, allow_path="CLAUDE.md"))
    assert run.synced is not None, run.summary


@pytest.mark.first_is_fast
@pytest.mark.parametrize("fail", ["auth", "max_turns", "server_error"])
async def test_a_failed_run_never_applies(service: Service, copy: Path, fail: str) -> None:
    before = digest(copy)
    run = await ended(service, for_copy(copy, task=script({"write": "half.txt", "text": "h\n"}, {"fail": fail}), yes=True))
    assert (run.state, run.synced) == (State.FAILED, None)
    assert digest(copy) == before
    assert run.salvage is not None


async def test_a_cancelled_run_never_applies(service: Service, copy: Path) -> None:
    before = digest(copy)
    [queued] = await service.submit(
        [for_copy(copy, task=script({"write": "half.txt", "text": "h\n"}, {"say": "x"}, {"sleep": 60}), yes=True)]
    )
    async for event in service.follow(queued.id):
        if event.kind == "said":
            await service.cancel(queued.id)
    run = await service.find(queued.id)
    assert (run.state, run.synced) == (State.CANCELLED, None)
    assert digest(copy) == before


async def test_a_failing_verify_never_applies(service: Service, copy: Path) -> None:
    before = digest(copy)
    run = await ended(service, for_copy(copy, yes=True, verify="exit 3"))
    assert run.cause is Cause.VERIFY
    assert digest(copy) == before


async def test_the_second_run_on_a_working_copy_waits_and_names_the_first(service: Service, copy: Path) -> None:
    more = script({"append": "README.md", "text": "second\n"})
    one, two = await service.submit([for_copy(copy, yes=True), for_copy(copy, task=more, yes=True)])
    held = [event.reason async for event in service.follow(two.id) if event.kind == "held"]
    assert held == [f"working copy busy ({one.label})"]
    assert (copy / "README.md").read_text() == "hello\nmine\nagent\nsecond\n"


async def test_a_run_for_a_branch_is_not_held_up_by_it(service: Service, copy: Path, remote: Path) -> None:
    git(copy, "remote", "add", "origin", str(remote))
    slow = script({"say": "up"}, {"sleep": 60})
    [testing_run] = await service.submit([for_copy(copy, task=slow)])
    branch = await ended(service, for_copy(copy, task=script({"write": "n", "text": "n\n"}), branch="agent/x"))
    assert branch.state is State.SUCCEEDED, branch.summary
    await service.cancel(testing_run.id, now=True)
    await service.wait(testing_run.id)


async def test_no_change_is_a_success_with_nothing_to_apply(service: Service, copy: Path) -> None:
    run = await ended(service, for_copy(copy, task=script({"say": "fine already"}), yes=True))
    assert (run.state, run.reason, run.synced) == (State.SUCCEEDED, "nothing_to_push", None)


async def test_a_local_agent_that_touches_the_git_directory_is_reported(service: Service, copy: Path) -> None:
    hooks = f"{copy}/.git/hooks"
    evil = f"mkdir -p {hooks} && printf '#!/bin/sh\\n' > {hooks}/pre-commit"
    run = await ended(service, for_copy(copy, task=script({"bash": evil})))
    alarms = [event.text async for event in service.follow(run.id) if isinstance(event, Notice) and event.level == "error"]
    assert any("hooks/pre-commit" in text for text in alarms)


async def test_only_the_record_and_the_work_are_left_behind(service: Service, copy: Path, state_dir: Path) -> None:
    run = await ended(service, for_copy(copy, yes=True))
    left = {path.name for path in (state_dir / "runs" / run.id).iterdir()}
    assert left <= {"transcript.ndjson", "agent.ndjson", "session.jsonl", "environment.json", "work"}
    assert [name for name in os.listdir(copy) if name.startswith(".ccterm")] == []  # noqa: PTH208


async def test_push_and_apply_name_each_other(service: Service, copy: Path, remote: Path) -> None:
    run = await ended(service, for_copy(copy))
    with pytest.raises(UsageError, match=f"ccterm apply {run.ref}"):
        await service.push(run.id)
    for verify, fix in (("true", "ccterm show"), ("false", "ccterm push")):  # nothing is left to push of the first
        on_a_branch = await ended(service, for_copy(remote, branch="agent/x", verify=verify))
        with pytest.raises(UsageError, match=f"{fix} {on_a_branch.ref}"):
            await service.apply(on_a_branch.id)


async def test_a_retry_starts_from_the_current_working_copy(service: Service, copy: Path) -> None:
    run = await ended(service, for_copy(copy, yes=True))
    again = await service.wait((await service.retry(run.id)).id)
    assert (again.state, (copy / "README.md").read_text()) == (State.SUCCEEDED, "hello\nmine\nagent\nagent\n"), again.summary


async def test_a_merge_that_began_while_the_run_waited_fails_it(service: Service, copy: Path) -> None:
    one, two = await service.submit([for_copy(copy, task=script({"bash": f"touch {copy}/.git/MERGE_HEAD"})), for_copy(copy)])
    await service.wait(one.id)
    run = await service.wait(two.id)
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CHECKOUT, "snapshot")
    assert "a merge is in progress" in run.summary


async def test_work_that_destroys_much_is_pushed_to_a_branch_with_warnings(service: Service, tmp_path: Path, make_remote: object) -> None:
    files = {f"f{n}.txt": f"{n}\n" for n in range(40)} | {".github/workflows/ci.yml": "on: push\n", "CLAUDE.md": "x\n"}
    assert callable(make_remote)
    remote = make_remote(files, name="many.git")
    task = script({"bash": "rm f1*.txt f2*.txt f3*.txt; echo y >> .github/workflows/ci.yml; echo y >> CLAUDE.md"}, {"say": "ok"})
    run = await ended(service, for_copy(remote, task=task, branch="agent/x"))
    assert run.pushed is not None, run.summary
    assert run.verdict is not None
    assert run.verdict.ok
    assert [(finding.rule, finding.severity) for finding in run.verdict.findings] == [("deletions", "warn"), ("protected", "warn")]
    assert run.verdict.numbers.deleted == 33


async def test_strict_settings_refuse_it_there_too_and_a_flag_delivers_it(remote: Path, state_dir: Path, isolation: Path) -> None:
    config = isolation / "config" / "ccterm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("[policy]\nstrict = true\n")
    async with AgentService.open(state_dir) as service:
        run = await ended(service, for_copy(remote, task=script({"write": "CLAUDE.md", "text": "x\n"}), branch="agent/x"))
        assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.POLICY, "protected")
        with pytest.raises(StepError, match="--allow-path"):
            await service.push(run.id)
        delivered = await service.push(run.id, allow=Allowances(paths=("CLAUDE.md",)))
    assert delivered.pushed is not None


async def test_a_large_file_of_lfs_is_left_alone_whatever_the_agent_does_to_its_pointer(service: Service, tmp_path: Path) -> None:
    content = bytes(60_000_000)
    oid = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    copy = make_repository(tmp_path / "copy", {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "big.bin": pointer})
    (copy / "big.bin").write_bytes(content)
    run = await ended(service, for_copy(copy, script({"append": "big.bin", "text": "more\n"}, {"write": "new.txt", "text": "x\n"})))
    assert (run.cause, run.reason) == (Cause.POLICY, "lfs")
    await service.apply(run.id)
    assert ((copy / "big.bin").read_bytes() == content, (copy / "new.txt").exists()) == (True, True)


async def test_a_hard_link_to_a_protected_file_is_refused_until_the_user_allows_that(service: Service, copy: Path) -> None:
    (copy / "CLAUDE.md").hardlink_to(copy / "README.md")
    run = await ended(service, for_copy(copy, task=script({"append": "README.md", "text": "agent\n"}), yes=True))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CONFLICT, "linked")
    applied = await service.apply(run.id, allow=Allowances(paths=("CLAUDE.md",)))
    assert (copy / "CLAUDE.md").read_text() == "hello\nmine\nagent\n"
    assert outcome(applied) == "1 file applied; 1 file has other names (hard links), which show the changes too"


async def test_a_foreign_repository_runs_nothing_here(service: Service, copy: Path, tmp_path: Path) -> None:
    """Its git directory came along with it, as from an archive: whatever it configures, only the user's own git may obey."""
    trap = Trap(tmp_path / "trap")
    trap.configure(copy / ".git")
    (copy / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    run = await ended(service, for_copy(copy, yes=True))
    assert (run.state, (copy / "lib/new.py").read_text()) == (State.SUCCEEDED, "new\n"), run.summary
    assert not trap.ran
    git(copy, "status")
    assert trap.ran  # so the traps work
