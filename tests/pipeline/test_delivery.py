"""A task becomes a pushed branch; whatever happens instead, the work is kept and the record is right."""

import asyncio
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.draft import DraftFields
from ccterm.errors import StepError, UsageError
from ccterm.events import Finished, Notice, Pushed, Queued, StepFinished
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from tests.support.core import EDIT, draft, script
from tests.support.git import add_commit, files_at, git, install_hook, tip

AUTHOR = "Claude Agent <agent@commandcenter.ai>"


async def carried_out(service: Service, *drafts: object) -> list[Run]:
    queued = await service.submit(drafts)  # type: ignore[arg-type]  # drafts, passed one by one
    return [await service.wait(run.id) for run in queued]


async def test_the_work_is_one_commit_on_a_new_branch_of_the_remote(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote))
    assert run.state is State.SUCCEEDED, run.summary
    assert run.pushed is not None
    assert tip(remote, "agent/x") == run.pushed.sha == run.commit
    assert files_at(remote, "agent/x")["new.txt"] == b"new\n"
    assert git(remote, "rev-parse", "agent/x^") == tip(remote, "main") == run.base_sha
    assert git(remote, "log", "-1", "--format=%an <%ae>|%cn <%ce>", "agent/x") == f"{AUTHOR}|{AUTHOR}"
    with pytest.raises(UsageError, match="already delivered"):
        await service.push(run.id)


async def test_the_message_is_subject_summary_and_trailers(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote, message="Add a file", model="m1"))
    message = git(remote, "log", "-1", "--format=%B", "agent/x")
    assert message == f"Add a file\n\nAdded new.txt.\n\nCcterm-Run: {run.id}\nCcterm-Model: m1"


async def test_the_subject_is_the_agents_own_last_one(service: Service, remote: Path) -> None:
    task = script({"write": "n", "text": "n\n"}, {"commit": "Add n for good"}, {"say": "Done."})
    await carried_out(service, draft(remote, task=task))
    assert git(remote, "log", "-1", "--format=%s", "agent/x") == "Add n for good"
    assert git(remote, "rev-list", "--count", "main..agent/x") == "1"


async def test_a_second_run_continues_from_the_tip_and_is_too_late_to_steer_afterwards(service: Service, remote: Path) -> None:
    [first] = await carried_out(service, draft(remote))
    [second] = await carried_out(service, draft(remote, task=script({"append": "new.txt", "text": "more\n"})))
    assert second.base_sha == first.commit
    assert files_at(remote, "agent/x")["new.txt"] == b"new\nmore\n"
    with pytest.raises(UsageError, match=f"ccterm continue {second.ref}"):
        await service.steer(second.id, "too late")


async def test_runs_on_one_branch_wait_for_each_other(service: Service, remote: Path) -> None:
    one, two = await service.submit([draft(remote), draft(remote, task=script({"append": "new.txt", "text": "more\n"}))])
    events = [event async for event in service.follow(two.id)]
    held = [event for event in events if event.kind == "held"]
    assert [event.reason for event in held] == [f"branch busy ({one.label})"]
    assert files_at(remote, "agent/x")["new.txt"] == b"new\nmore\n"


@pytest.mark.parametrize("count", [4, pytest.param(8, marks=pytest.mark.slow)])
async def test_runs_at_once_deliver_a_branch_each(service: Service, remote: Path, count: int) -> None:
    fields: list[DraftFields] = [
        {"task": EDIT, "repo": str(remote), "branch": f"agent/{n}", "agent": "scripted", "execution_mode": "local"} for n in range(count)
    ]
    runs = await service.run_parallel(fields, max_concurrent=count)
    assert {run.state for run in runs} == {State.SUCCEEDED}
    assert all(run.pushed and run.pushed.sha == tip(remote, f"agent/{n}") for n, run in enumerate(runs))


async def test_no_change_is_a_success_with_nothing_to_push(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote, task=script({"say": "All is well already."})))
    assert (run.state, run.reason, run.pushed) == (State.SUCCEEDED, "nothing_to_push", None)
    assert tip(remote, "agent/x") is None


async def test_the_first_event_is_queued_and_the_last_is_finished(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote))
    events = [event async for event in service.follow(run.id)]
    assert isinstance(events[0], Queued)
    assert isinstance(events[-1], Finished)
    assert [event.seq for event in events] == list(range(len(events)))
    steps = [event.step for event in events if isinstance(event, StepFinished)]
    assert steps == ["resolve", "checkout", "agent", "commit", "policy", "push"]
    assert any(isinstance(event, Pushed) and event.verified for event in events)


async def test_the_default_branch_is_refused(service: Service, remote: Path) -> None:
    before = tip(remote, "main")
    [run] = await carried_out(service, draft(remote, "main"))
    assert (run.cause, run.reason) == (Cause.POLICY, "default_branch")
    assert tip(remote, "main") == before


async def test_the_default_branch_is_pushed_to_when_the_user_allows_it(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote, "main", allow_default_branch=True))
    assert run.state is State.SUCCEEDED, run.summary
    assert "new.txt" in files_at(remote, "main")


async def test_an_empty_repository_gets_its_first_commit(service: Service, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    [run] = await carried_out(service, draft(tmp_path / "empty.git", "first"))
    assert run.state is State.SUCCEEDED, run.summary
    assert git(tmp_path / "empty.git", "rev-list", "--count", "first") == "1"


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("fail", "cause"),
    [("auth", Cause.AUTH), ("usage_limit", Cause.USAGE_LIMIT), ("rate_limit", Cause.RATE_LIMITED), ("max_turns", Cause.BUDGET)],
)
async def test_an_agent_that_fails_pushes_nothing_and_its_work_is_kept(service: Service, remote: Path, fail: str, cause: Cause) -> None:
    task = script({"write": "half.txt", "text": "half\n"}, {"fail": fail})
    [run] = await carried_out(service, draft(remote, task=task))
    assert (run.state, run.cause) == (State.FAILED, cause)
    assert tip(remote, "agent/x") is None
    assert run.salvage is not None
    assert b"half.txt" in (Path(run.salvage.directory) / "work.patch").read_bytes()


async def test_a_refused_push_keeps_the_work_and_push_delivers_it(service: Service, remote: Path) -> None:
    install_hook(remote, "pre-receive", "echo not today >&2; exit 1")
    [run] = await carried_out(service, draft(remote))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.PUSH, "hook")
    assert "not today" in run.summary
    (remote / "hooks" / "pre-receive").unlink()
    delivered = await service.push(run.id)
    assert delivered.pushed is not None
    assert tip(remote, "agent/x") == delivered.pushed.sha == run.commit
    assert (await service.find(run.id)).pushed == delivered.pushed


async def test_a_delivery_never_overwrites_newer_commits(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote, task=script({"write": "half.txt", "text": "h\n"}, {"fail": "auth"})))
    rival = add_commit(remote, {"other.txt": "other\n"}, branch="agent/x")
    with pytest.raises(StepError) as caught:
        await service.push(run.id)
    assert (caught.value.cause, caught.value.reason) == (Cause.PUSH, "non_fast_forward")
    assert tip(remote, "agent/x") == rival


async def test_a_retry_runs_the_same_task_and_knows_its_attempts(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote, task=script({"write": "n", "text": "n\n"}, {"fail": "auth"})))
    again = await service.wait((await service.retry(run.id)).id)
    assert again.task == run.task
    assert again.attempts == (run.id, again.id)


async def test_setup_prepares_the_tree_and_verify_judges_the_commit(service: Service, remote: Path) -> None:
    fields = {"setup": "mkdir -p deps && echo ok > deps/lib", "verify": "test -f new.txt && cat deps/lib"}
    [run] = await carried_out(service, draft(remote, **fields))
    assert run.state is State.SUCCEEDED, run.summary
    assert [step.name for step in run.steps] == ["resolve", "checkout", "setup", "agent", "commit", "policy", "verify", "push"]


async def test_a_failing_verify_pushes_nothing_and_keeps_the_work(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote, verify="echo red; exit 3"))
    assert (run.state, run.cause) == (State.FAILED, Cause.VERIFY)
    assert tip(remote, "agent/x") is None
    assert run.salvage is not None


async def test_a_failing_setup_starts_no_agent(service: Service, remote: Path) -> None:
    [run] = await carried_out(service, draft(remote, setup="echo broken >&2; exit 7"))
    assert (run.state, run.cause) == (State.FAILED, Cause.SETUP)
    assert "agent" not in [step.name for step in run.steps]


async def test_cancel_keeps_what_the_agent_wrote(service: Service, remote: Path) -> None:
    task = script({"write": "half.txt", "text": "half\n"}, {"say": "written"}, {"sleep": 60})
    [queued] = await service.submit([draft(remote, task=task)])
    async for event in service.follow(queued.id):
        if event.kind == "said" and event.text == "written":
            await service.cancel(queued.id)
    run = await service.find(queued.id)
    assert run.state is State.CANCELLED
    assert run.salvage is not None
    assert run.salvage.commit is not None
    assert tip(remote, "agent/x") is None


async def test_cancel_now_keeps_nothing(service: Service, remote: Path, state_dir: Path) -> None:
    task = script({"write": "half.txt", "text": "half\n"}, {"say": "written"}, {"sleep": 60})
    [queued] = await service.submit([draft(remote, task=task)])
    async for event in service.follow(queued.id):
        if event.kind == "said" and event.text == "written":
            await service.cancel(queued.id, now=True)
    run = await service.find(queued.id)
    assert (run.state, run.salvage) == (State.CANCELLED, None)
    assert not list((state_dir / "salvage").iterdir())


async def test_a_queued_run_is_cancelled_before_it_starts(service: Service, remote: Path) -> None:
    one, two = await service.submit([draft(remote, task=script({"sleep": 60})), draft(remote)])
    await service.cancel(two.id)
    assert (await service.find(two.id)).state is State.CANCELLED
    await service.cancel(one.id, now=True)
    assert (await service.wait(one.id)).state is State.CANCELLED


async def test_a_message_reaches_the_running_agent(service: Service, remote: Path, tmp_path: Path) -> None:
    word = script({"write": "steered.txt", "text": "yes\n"}, {"say": "As you wish."})
    go = tmp_path / "go"
    task = script({"say": "ready"}, {"bash": f"until [ -e {go} ]; do sleep 0.02; done"}, {"say": "done"})
    [queued] = await service.submit([draft(remote, task=task)])
    taken = []
    async for event in service.follow(queued.id):
        if event.kind == "said" and event.text == "ready":
            await service.steer(queued.id, word)
            go.touch()
        if event.kind == "steered":
            taken.append(event.taken)
    assert taken == [True]
    assert "steered.txt" in files_at(remote, "agent/x")


async def test_a_held_agent_waits_for_input(service: Service, remote: Path) -> None:
    [queued] = await service.submit([draft(remote, hold=True)])
    async for event in service.follow(queued.id):
        if event.kind == "waiting" and event.until is not None:
            assert (await service.find(queued.id)).waiting_until is not None
            await service.release(queued.id)
    assert (await service.find(queued.id)).state is State.SUCCEEDED


async def test_limits_stop_the_agent_and_keep_its_work(service: Service, remote: Path) -> None:
    task = script({"write": "half.txt", "text": "half\n"}, {"sleep": 60})
    for timeout in ("1s", "10s"):  # on a busy machine the first one may be over before the agent is up
        [run] = await carried_out(service, draft(remote, task=task, timeout=timeout))
        assert (run.state, run.cause) == (State.FAILED, Cause.TIMEOUT)
        if run.salvage:
            break
    assert run.salvage is not None


async def test_a_working_copy_stands_for_its_origin_and_is_not_touched(service: Service, remote: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(remote), "copy")
    copy = tmp_path / "copy"
    (copy / "local.txt").write_text("mine\n")
    git(copy, "add", "local.txt")
    git(copy, "commit", "--quiet", "-m", "Not pushed")
    before = git(copy, "rev-parse", "HEAD")
    [run] = await carried_out(service, draft(copy))
    assert run.pushed is not None
    assert run.pushed.remote == str(remote)
    notes = [event.text async for event in service.follow(run.id) if isinstance(event, Notice)]
    assert any("1 unpushed commit not included" in note for note in notes)
    assert git(copy, "rev-parse", "HEAD") == before
    assert git(copy, "status", "--porcelain") == ""


async def test_nothing_but_the_record_is_left_behind(service: Service, remote: Path, state_dir: Path) -> None:
    [run] = await carried_out(service, draft(remote))
    left = {path.name for path in (state_dir / "runs" / run.id).iterdir()}
    assert left <= {"transcript.ndjson", "agent.ndjson", "session.jsonl", "environment.json", "work"}
    assert not list((state_dir / "mirrors").iterdir())
    assert await asyncio.to_thread(lambda: not list((state_dir / "salvage").iterdir()))


async def test_a_task_that_adds_a_registered_secret_is_not_pushed(
    remote: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch, isolation: Path
) -> None:
    config = isolation / "config" / "ccterm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[secrets.NPM_TOKEN]\nfrom = "env:NPM_TOKEN"\nsteps = ["setup"]\n')
    monkeypatch.setenv("NPM_TOKEN", "npm-0123456789-abcdef")
    async with AgentService.open(state_dir) as service:
        task = script({"bash": "printf 'npm-%s-abcdef\\n' 0123456789 > leak.txt; cat leak.txt; cp leak.txt $(cat leak.txt)"}, {"say": "."})
        [run] = await carried_out(service, draft(remote, task=task))
        said = [event async for event in service.follow(run.id)]
        patch = await service.patch(run.id)
    assert (run.state, run.cause, run.reason, run.secret_seen) == (State.FAILED, Cause.POLICY, "secret", True)
    assert tip(remote, "agent/x") is None
    assert run.salvage is not None
    assert "npm-0123456789-abcdef" not in "".join(event.model_dump_json() for event in said) + run.model_dump_json()
    assert patch is not None
    assert (patch.count(b"[masked:NPM_TOKEN]"), patch.count(b"npm-0123456789-abcdef")) == (5, 0)  # content twice, a name three times


async def test_a_missing_secret_fails_the_run_before_anything_is_fetched(remote: Path, state_dir: Path, isolation: Path) -> None:
    config = isolation / "config" / "ccterm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[secrets.NPM_TOKEN]\nfrom = "env:NPM_TOKEN"\n')
    async with AgentService.open(state_dir) as service:
        [run] = await carried_out(service, draft(remote))
    assert (run.state, run.cause, run.reason, run.steps) == (State.FAILED, Cause.CHECKOUT, "credentials", ())
    assert "NPM_TOKEN is not set" in run.summary


async def test_a_base_for_a_branch_that_exists_is_refused(service: Service, remote: Path) -> None:
    before = add_commit(remote, {"other.txt": "other\n"}, branch="agent/x")
    [run] = await carried_out(service, draft(remote, base="main"))
    assert (run.cause, run.reason) == (Cause.CHECKOUT, "base")
    assert tip(remote, "agent/x") == before


async def test_a_new_branch_starts_from_the_base_that_was_named(service: Service, remote: Path) -> None:
    base = add_commit(remote, {"other.txt": "other\n"}, branch="develop")
    [run] = await carried_out(service, draft(remote, base="develop"))
    assert run.base_sha == base
    assert set(files_at(remote, "agent/x")) == {"other.txt", "new.txt"}
