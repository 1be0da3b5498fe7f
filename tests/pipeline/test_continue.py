"""A run that has ended goes on: same conversation, same branch or working copy, with the work that was not delivered."""

import json
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.errors import UsageError
from ccterm.events import Notice
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from tests.pipeline.test_delivery import carried_out
from tests.support.core import draft, script
from tests.support.git import add_commit, files_at, git, install_hook, tip

ONE = script({"write": "one.txt", "text": "1\n"}, {"say": "Wrote one."})
TWO = script({"append": "one.txt", "text": "2\n"}, {"say": "Wrote two."})
THREE = script({"append": "one.txt", "text": "3\n"}, {"say": "Wrote three."})
HALF = script({"write": "half.txt", "text": "half\n"}, {"fail": "auth"})


@pytest.fixture
def copy(remote: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(remote), "copy")
    return tmp_path / "copy"


async def going_on(service: Service, run: Run, text: str, **fields: object) -> Run:
    queued = await service.continue_(run.id, text, **fields)  # type: ignore[arg-type]  # as given
    return await service.wait(queued.id)


def prompts(state_dir: Path, run: Run) -> list[str]:
    """Return what the user said in the kept conversation of a run."""
    lines = [json.loads(line) for line in (state_dir / "runs" / run.id / "session.jsonl").read_text().splitlines()]
    said = [line["message"]["content"] for line in lines if line["type"] == "user"]
    return [text for text in said if isinstance(text, str)]


async def test_three_turns_are_three_commits_and_one_conversation(service: Service, remote: Path, state_dir: Path) -> None:
    [first] = await carried_out(service, draft(remote, task=ONE))
    second = await going_on(service, first, TWO)
    third = await going_on(service, second, THREE)
    assert third.state is State.SUCCEEDED, third.summary
    notes = [event.text async for event in service.follow(third.id) if isinstance(event, Notice)]
    assert f"goes on with run {second.label}: Wrote two." in notes
    assert files_at(remote, "agent/x")["one.txt"] == b"1\n2\n3\n"
    assert git(remote, "rev-list", "main..agent/x").split() == [third.commit, second.commit, first.commit]
    assert prompts(state_dir, third) == [ONE, TWO, THREE]
    assert {first.session_id, second.session_id, third.session_id} == {first.session_id}
    assert (third.continues, third.attempts) == (second.id, (first.id, second.id, third.id))
    assert (await service.find(first.id)).reviewed
    assert [run.cost_usd for run in (second, third)] == [pytest.approx(first.cost_usd)] * 2


async def test_work_of_a_failed_turn_goes_along_onto_a_newer_tip(service: Service, remote: Path) -> None:
    [failed] = await carried_out(service, draft(remote, task=HALF))
    add_commit(remote, {"README.md": "hello, all\n"}, branch="agent/x")
    run = await going_on(service, failed, script({"bash": "cat half.txt README.md > both.txt"}, {"say": "Done."}))
    assert run.state is State.SUCCEEDED, run.summary
    files = files_at(remote, "agent/x")
    assert (files["half.txt"], files["both.txt"], files["README.md"]) == (b"half\n", b"half\nhello, all\n", b"hello, all\n")
    assert [step.name for step in run.steps] == ["resolve", "checkout", "merge", "agent", "commit", "policy", "push"]
    assert git(remote, "rev-parse", "agent/x^") == run.base_sha


async def test_with_a_conflict_it_does_not_start_and_goes_on_on_a_branch_of_its_own(service: Service, remote: Path) -> None:
    [failed] = await carried_out(service, draft(remote, task=script({"write": "README.md", "text": "mine\n"}, {"fail": "auth"})))
    add_commit(remote, {"README.md": "theirs\n"}, branch="agent/x")
    run = await going_on(service, failed, ONE)
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CONFLICT, "merge")
    assert "README.md" in run.summary
    assert f"ccterm continue {run.ref} TEXT --branch" in run.action
    assert tip(remote, "agent/x") == run.base_sha
    other = await going_on(service, run, ONE, branch="agent/y")
    assert other.state is State.SUCCEEDED, other.summary
    assert files_at(remote, "agent/y")["README.md"] == b"mine\n"
    assert git(remote, "rev-parse", "agent/y^") == failed.base_sha
    assert other.continues == failed.id


@pytest.mark.slow
async def test_a_refused_push_is_mended_in_the_next_turn(service: Service, remote: Path) -> None:
    install_hook(remote, "pre-receive", "exit 1")
    [refused] = await carried_out(service, draft(remote, task=ONE))
    assert refused.cause is Cause.PUSH
    (remote / "hooks" / "pre-receive").unlink()
    run = await going_on(service, refused, TWO)
    assert files_at(remote, "agent/x")["one.txt"] == b"1\n2\n"
    assert git(remote, "rev-list", "--count", "main..agent/x") == "1"
    assert (await service.find(refused.id)).salvage == refused.salvage
    assert run.salvage is None


@pytest.mark.slow
async def test_a_fresh_conversation_is_told_what_came_before(service: Service, remote: Path, state_dir: Path) -> None:
    [first] = await carried_out(service, draft(remote, task=ONE))
    (state_dir / "runs" / first.id / "session.jsonl").unlink()
    lost = await going_on(service, first, TWO)
    assert (lost.state, lost.cause, lost.reason) == (State.FAILED, Cause.CHECKOUT, "earlier")
    assert "--fresh" in lost.summary + lost.action
    run = await going_on(service, first, "Now go on", fresh=True)
    assert run.state is State.SUCCEEDED, run.summary
    assert "Wrote one." in run.task.prompt
    assert run.session_id != first.session_id


@pytest.mark.slow
async def test_a_turn_that_failed_is_tried_again_in_the_same_conversation(service: Service, remote: Path, state_dir: Path) -> None:
    [first] = await carried_out(service, draft(remote, task=ONE))
    failed = await going_on(service, first, script({"fail": "auth"}))
    again = await service.wait((await service.retry(failed.id)).id)
    assert (again.continues, again.session_id) == (first.id, first.session_id)
    assert prompts(state_dir, again) == [ONE, failed.task.prompt]


async def test_what_cannot_go_on_is_refused_at_once(service: Service, remote: Path) -> None:
    [running] = await service.submit([draft(remote, task=script({"say": "up"}, {"sleep": 60}))])
    async for event in service.follow(running.id):
        if event.kind == "said":
            break
    with pytest.raises(UsageError, match="ccterm steer"):
        await service.continue_(running.id, "more")
    await service.cancel(running.id, now=True)
    await service.wait(running.id)
    with pytest.raises(UsageError, match="empty"):
        await service.continue_(running.id, " ")


async def test_changes_that_wait_go_along_into_a_new_snapshot(service: Service, copy: Path) -> None:
    given = draft(copy, None, task=script({"write": "one.txt", "text": "1\n"}, {"bash": "rm src/a.py; chmod +x README.md"}, {"say": "ok"}))
    [first] = await carried_out(service, given)
    assert first.awaits_apply
    (copy / "mine.txt").write_text("mine\n")
    second = await going_on(service, first, script({"bash": "cat one.txt mine.txt > both.txt"}, {"say": "ok"}))
    assert second.awaits_apply, second.summary
    assert {(change.path, change.status) for change in await service.pending(second.id)} == {
        ("one.txt", "added"), ("both.txt", "added"), ("src/a.py", "deleted"), ("README.md", "modified"),
    }  # fmt: skip
    await service.apply(second.id)
    assert (copy / "both.txt").read_text() == "1\nmine\n"
    assert (copy / "README.md").stat().st_mode & 0o100
    third = await going_on(service, second, script({"append": "both.txt", "text": "more\n"}, {"say": "ok"}))
    assert [(change.path, change.status) for change in await service.pending(third.id)] == [("both.txt", "modified")]


async def test_a_file_that_changed_since_is_named_and_no_agent_starts(service: Service, copy: Path) -> None:
    [first] = await carried_out(service, draft(copy, None, task=script({"write": "README.md", "text": "theirs\n"}, {"say": "ok"})))
    (copy / "README.md").write_text("mine\n")
    run = await going_on(service, first, ONE)
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CONFLICT, "earlier")
    assert "README.md" in run.summary
    assert (copy / "README.md").read_text() == "mine\n"
