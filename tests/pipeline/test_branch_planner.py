"""Before a run starts it is known what its branch is: new, continued, somebody's, or one that no run may push to."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.models import BranchState
from ccterm.service.protocol import Service
from tests.conftest import Command, MakeRemote
from tests.support.core import documents, draft, local, script
from tests.support.git import branches, git, tip

ONE = script({"write": "new.txt", "text": "new\n"})
WAITS = script({"say": "Which one do you want?"})


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with AgentService.open(tmp_path / "state") as opened:
        yield opened


async def state(service: Service, remote: Path | str, branch: str, *, task: str = "One", base: str | None = None) -> BranchState:
    [found] = await service.branches([draft(remote, branch, task, base=base)])
    assert found
    return found


async def test_names_of_several_tasks_avoid_the_remote_the_runs_and_each_other(service: Service, make_remote: MakeRemote) -> None:
    remote = make_remote()
    git(remote, "branch", "agent/one", "main")
    git(remote, "branch", "agent/one-2/below", "main")
    [pushed] = await service.submit([draft(remote, "agent/two")])
    await service.wait(pushed.id)
    git(remote, "branch", "-D", "agent/two")
    drafts = [draft(remote, "agent/…", task) for task in ("One", "one", "Two", "Three")]
    found = [each for each in await service.branches(drafts) if each]
    assert [(each.branch, each.taken) for each in found] == [
        ("agent/one-3", "agent/one"),
        ("agent/one-4", "agent/one"),
        ("agent/two-2", "agent/two"),
        ("agent/three", ""),
    ]
    assert found[2].last
    assert found[2].last.run == pushed.id
    assert {each.start for each in found} == {"main"}


async def test_a_pattern_becomes_a_new_branch_when_it_is_submitted(service: Service, make_remote: MakeRemote) -> None:
    remote = make_remote()
    for _ in range(2):
        [run] = await service.submit([draft(remote, "agent/…", ONE)])
        await service.wait(run.id)
    assert branches(remote).keys() >= {"agent/script-write-new-txt-text", "agent/script-write-new-txt-text-2"}


async def test_tasks_that_are_submitted_at_the_same_moment_get_branches_of_their_own(service: Service, make_remote: MakeRemote) -> None:
    remote = make_remote()
    submitted = await asyncio.gather(*(service.submit([draft(remote, "agent/…", ONE)]) for _ in range(3)))
    assert len({run.task.branch for [run] in submitted}) == 3
    await service.cancel_all()


async def test_a_branch_of_a_run_says_which_and_when_and_whether_it_is_at_work(service: Service, make_remote: MakeRemote) -> None:
    remote = make_remote()
    assert (await state(service, remote, "agent/x")).tip is None
    [run] = await service.submit([draft(remote, "agent/x")])
    ended = await service.wait(run.id)
    known = await state(service, remote, "agent/x")
    assert known.last
    assert (known.tip, known.changed, known.last.run, known.last.pushed_tip) == (tip(remote, "agent/x"), ended.finished, run.id, True)
    [again] = await service.submit([draft(remote, "agent/x", WAITS, hold=True)])
    busy = (await state(service, remote, "agent/x")).last
    assert busy
    assert (busy.run, busy.active) == (again.id, True)
    await service.cancel(again.id, now=True)


async def test_a_branch_of_somebody_else_was_changed_when_its_commit_was_made(
    service: Service, make_remote: MakeRemote, tmp_path: Path
) -> None:
    remote = make_remote()
    git(remote, "branch", "theirs", "main")
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(remote), str(copy))
    known = await state(service, copy, "theirs")
    assert known.last is None
    assert known.changed == datetime.fromtimestamp(int(git(remote, "show", "-s", "--format=%ct", "main")), UTC)


async def test_what_no_run_could_push_to_is_known_before_it_starts(service: Service, make_remote: MakeRemote) -> None:
    remote = make_remote()
    assert (await state(service, remote, "main")).is_default
    assert "has a branch 'main'" in (await state(service, remote, "main/x")).problem
    assert "no branch or tag 'nowhere'" in (await state(service, remote, "x", base="nowhere")).problem


async def test_a_remote_that_does_not_answer_is_said(service: Service) -> None:
    known = await state(service, "http://127.0.0.1:9/nothing.git", "agent/…", task="One")
    assert known.branch == "agent/one"
    assert known.unknown


async def test_a_draft_without_a_branch_has_none(service: Service, tmp_path: Path) -> None:
    assert await service.branches([draft(tmp_path, None)]) == [None]


def test_the_command_line_names_a_branch_after_the_task(
    command: Command, make_remote: MakeRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))
    remote = make_remote()
    git(remote, "branch", "agent/script-write-new-txt-text", "main")
    done = command(*local(remote, "agent/...", ONE), "--json")
    assert documents(done.stdout)[0]["task"]["branch"] == "agent/script-write-new-txt-text-2"  # type: ignore[index]  # JSON
