"""Work is never lost: whatever fails after an agent began, it is found again where the record says, and can be delivered from there."""

import asyncio
import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.draft import Draft
from ccterm.errors import StepError, UsageError
from ccterm.events import Notice, StepStarted
from ccterm.models import Run, State, Task
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.run_control import RunControl
from ccterm.proof import uncommitted
from ccterm.record import Recorder
from ccterm.service.protocol import Service
from ccterm.state_dir import StateDir
from ccterm.transcript import EVENTS_FILE, Transcript, read_events
from ccterm.values import Verdict
from tests.pipeline.parts import failed, pipeline, recorder_of, task
from tests.support.core import draft, script
from tests.support.git import files_at, git, make_repository, tip, write_files
from tests.support.slow_git import PATTERN, slow_git
from tests.support.stepping import Stepped

PRECIOUS = script({"write": "precious.txt", "text": "precious\n"}, {"say": "written"})


@pytest.mark.first_is_fast
@pytest.mark.parametrize("verify", [None, "true"])
async def test_a_tree_that_was_kept_is_committed_for_diff_fetch_and_push(
    state_dir: Path, remote: Path, tmp_path: Path, dying_git: str, verify: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await failed(state_dir, dying_git, monkeypatch, draft(remote, task=PRECIOUS, verify=verify))
    async with AgentService.open(state_dir) as service:
        assert b"+precious" in (await service.patch(run.id) or b"")
        known = await service.find(run.id)
        assert (known.kept_in, uncommitted(known)) == (None, False)
        git(tmp_path, "clone", "--quiet", str(remote), "copy")
        ref = await service.fetch(run.id, tmp_path / "copy")
        assert files_at(tmp_path / "copy", ref)["precious.txt"] == b"precious\n"
        pushed = await service.push(run.id)
    assert tip(remote, "agent/x") == pushed.commit
    assert not StateDir(state_dir).boxes(run.id).exists()


async def test_a_tree_that_was_kept_is_pushed_at_once(
    state_dir: Path, remote: Path, dying_git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await failed(state_dir, dying_git, monkeypatch, draft(remote, task=PRECIOUS))
    async with AgentService.open(state_dir) as service:
        await service.push(run.id)
    assert files_at(remote, "agent/x")["precious.txt"] == b"precious\n"


async def test_a_tree_that_was_kept_of_a_testing_run_is_applied(
    state_dir: Path, tmp_path: Path, dying_git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = make_repository(tmp_path / "copy", {"README.md": "hello\n"})
    given = Draft.model_validate({"prompt": PRECIOUS, "repo": str(copy), "agent": "scripted", "mode": "local"})
    run = await failed(state_dir, dying_git, monkeypatch, given)
    async with AgentService.open(state_dir) as service:
        await service.apply(run.id)
    assert (copy / "precious.txt").read_text() == "precious\n"
    assert not StateDir(state_dir).snapshot(run.id).exists()


async def test_a_tree_stays_kept_when_it_still_cannot_be_committed(
    state_dir: Path, remote: Path, dying_git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await failed(state_dir, dying_git, monkeypatch, draft(remote, task=PRECIOUS))
    again = await failed(state_dir, dying_git, monkeypatch, draft(remote, "agent/y", task=PRECIOUS))
    async with AgentService.open(state_dir) as service:
        await service.push(again.id)
        assert uncommitted(await service.find(run.id))
    assert list(StateDir(state_dir).boxes(run.id).glob("*/work/precious.txt"))


async def test_clean_removes_what_is_kept_of_a_run_and_nothing_else(
    state_dir: Path, remote: Path, dying_git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await failed(state_dir, dying_git, monkeypatch, draft(remote, task=PRECIOUS))
    async with AgentService.open(state_dir) as service:
        assert await service.kept_bytes(run.id) > 0
        cleaned = await service.clean(run.id)
        assert (cleaned.kept_in, cleaned.salvage, cleaned.cause) == (None, None, "commit")
        assert not StateDir(state_dir).boxes(run.id).exists()
        assert (await service.find(run.id)).kept_in is None
        with pytest.raises(UsageError, match="nothing is kept"):
            await service.clean(run.id)


class Fault(Exception):
    """Nothing that the code knows."""


async def carried_out_with_a_fault(tested: Pipeline, state: StateDir, place: Path, error: BaseException, at: int) -> tuple[str, bool]:
    """Carry out a run and fail it at its `at`-th await after the agent wrote. Returns where its file is, "" = lost, and whether it came so far.

    place: a bare remote, or the working copy of a testing run that applies by itself.
    """
    copy = (place / ".git").exists()
    given = (
        task(place, PRECIOUS, branch=None, mode="testing", yes=True)
        if copy
        else task(place, PRECIOUS, branch=f"b{at}-{type(error).__name__}")
    )
    recorder = recorder_of(state, given)
    boxes = state.boxes(recorder.run.id)
    stepped = Stepped(tested.carry_out(recorder, RunControl()), error, at, lambda: bool(list(boxes.glob("*/work/precious.txt"))))
    try:
        await stepped
    except type(error):
        await recorder.close()
    return where_the_work_is(recorder.run, state, place), stepped.thrown


ERRORS = (Fault("something"), OSError(28, "No space left on device"), asyncio.CancelledError())


@pytest.mark.parametrize(("error", "at"), [(ERRORS[0], 1), (ERRORS[1], 6), (ERRORS[2], 9)], ids=repr)
async def test_an_exception_after_the_agent_wrote_loses_nothing(
    remote: Path, state: StateDir, sockets: Path, error: BaseException, at: int
) -> None:
    async with pipeline(state, sockets, os.environ) as tested:
        where, thrown = await carried_out_with_a_fault(tested, state, remote, error, at)
    assert (bool(where), thrown) == (True, True)


async def test_an_exception_in_testing_mode_loses_nothing(tmp_path: Path, state: StateDir, sockets: Path) -> None:
    async with pipeline(state, sockets, os.environ) as tested:
        where, thrown = await carried_out_with_a_fault(tested, state, make_repository(tmp_path / "copy", {"a": "a\n"}), ERRORS[1], 12)
    assert (bool(where), thrown) == (True, True)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["branch", "working copy"])
async def test_an_exception_at_any_await_after_the_agent_wrote_loses_nothing(
    remote: Path, tmp_path: Path, state: StateDir, sockets: Path, what: str, rounds: Callable[[int], int]
) -> None:
    lost, at, thrown = list[str](), 0, True
    async with pipeline(state, sockets, os.environ) as tested:
        while thrown:
            at += 1
            for error in ERRORS if rounds(1) > 1 else ERRORS[at % 3 :][:1]:
                name = f"copy-{at}-{type(error).__name__}"
                place = remote if what == "branch" else make_repository(tmp_path / name, {"README.md": "hello\n"})
                where, thrown = await carried_out_with_a_fault(tested, state, place, error, at)
                lost += [] if where else [f"await {at}: {error!r}"]
    print(f"{at - 1} awaits")
    assert not lost
    assert at > 10


async def lost_run(tested: Pipeline, state: StateDir, given: Task) -> Run:
    """Return a run whose pipeline was left once its agent had written."""
    recorder = recorder_of(state, given)
    boxes = state.boxes(recorder.run.id)
    written = Stepped(
        tested.carry_out(recorder, RunControl()), asyncio.CancelledError(), 1, lambda: bool(list(boxes.glob("*/work/precious.txt")))
    )
    with pytest.raises(asyncio.CancelledError):
        await written
    await recorder.close()
    return recorder.run


def reopened(run: Run, state: StateDir) -> Recorder:
    return Recorder(run, Transcript(state.run(run.id), run.id), None)


async def recovered_after_a_fault(tested: Pipeline, state: StateDir, place: Path, error: BaseException, at: int) -> tuple[str, bool]:
    """Fail the recovery of a lost run at its `at`-th await, then recover it again if it has no end; as `carried_out_with_a_fault`."""
    on_branch = not (place / ".git").exists()
    where = {"branch": f"b{at}-{type(error).__name__}"} if on_branch else {"branch": None, "mode": "testing", "yes": True}
    recorder = reopened(await lost_run(tested, state, task(place, PRECIOUS, **where)), state)
    stepped = Stepped(tested.recover(recorder), error, at, lambda: True)
    with suppress(type(error)):
        await stepped
    await recorder.close()
    found = where_the_work_is(recorder.run, state, place)
    if found and not recorder.run.state.final:
        found = where_the_work_is(await tested.recover(reopened(recorder.run, state)), state, place)
    return found, stepped.thrown


@pytest.mark.slow
@pytest.mark.parametrize("what", ["branch", "working copy"])
async def test_an_exception_at_any_await_of_a_recovery_loses_nothing(
    remote: Path, tmp_path: Path, state: StateDir, sockets: Path, what: str, rounds: Callable[[int], int]
) -> None:
    """One of four awaits, unless CCTERM_TEST_ROUNDS wants more."""
    lost, at, thrown, places = list[str](), 0, True, set[str]()
    async with pipeline(state, sockets, os.environ) as tested:
        while thrown:
            at += 1 if rounds(1) > 1 else random.randint(1, 7)
            for error in ERRORS if rounds(1) > 1 else [random.choice(ERRORS)]:
                name = f"copy-{at}-{type(error).__name__}"
                place = remote if what == "branch" else make_repository(tmp_path / name, {"README.md": "hello\n"})
                found, thrown = await recovered_after_a_fault(tested, state, place, error, at)
                places.add(found)
                lost += [] if found else [f"await {at}: {error!r}"]
    print(f"{at - 1} awaits; found in {places}")
    assert not lost
    assert at > 10


@pytest.mark.parametrize("found", ["nothing", "a file"])
async def test_a_conversation_that_is_not_there_keeps_no_work_from_being_kept(
    remote: Path, state: StateDir, sockets: Path, found: str
) -> None:
    async with pipeline(state, sockets, os.environ) as tested:
        left = await lost_run(tested, state, task(remote, PRECIOUS))
        for home in state.boxes(left.id).glob("*-agent/home"):
            shutil.rmtree(home / ".claude", ignore_errors=True)
            if found == "a file":
                (home / ".claude").write_text("x")
        run = await tested.recover(reopened(left, state))
    assert where_the_work_is(run, state, remote) == "salvage"
    told = [event.text for event in read_events(state.run(run.id) / EVENTS_FILE) if isinstance(event, Notice)]
    assert [text for text in told if "conversation" in text] == ([] if found == "nothing" else [told[-1]])


def where_the_work_is(run: Run, state: StateDir, place: Path) -> str:
    """Return where a run's file is found, or ""."""
    if (place / "precious.txt").exists():
        return "applied" if run.synced else ""
    if run.task.branch and tip(place, run.task.branch):
        return "pushed"
    if (patch := state.salvage(run.id) / "work.patch").exists() and b"+precious" in patch.read_bytes():
        return "salvage"
    return "boxes" if list(state.boxes(run.id).glob("*/work/precious.txt")) else ""


SECRET = "s3cr3t-value-of-the-deploy-key"


@pytest.fixture
def settings_with_a_secret(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a secret that comes from the environment, and set it."""
    config = isolation / "config" / "ccterm" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[secrets.DEPLOY_KEY]\nfrom = "env:HOST_KEY"\nsteps = ["setup"]\n')
    monkeypatch.setenv("HOST_KEY", SECRET)


@pytest.mark.first_is_fast
@pytest.mark.usefixtures("settings_with_a_secret")
@pytest.mark.parametrize("holds_it", [False, True], ids=["clean work", "work with the secret"])
async def test_work_is_committed_without_its_secrets_fetched_and_pushed_after_a_scan(
    state_dir: Path, remote: Path, tmp_path: Path, dying_git: str, monkeypatch: pytest.MonkeyPatch, holds_it: bool
) -> None:
    work = script({"write": "precious.txt", "text": f"precious {SECRET if holds_it else ''}\n"}, {"say": "written"})
    run = await failed(state_dir, dying_git, monkeypatch, draft(remote, task=work, setup="true"))
    with monkeypatch.context() as patch:
        patch.delenv("HOST_KEY")
        async with AgentService.open(state_dir) as service:
            assert b"+precious" in (await service.patch(run.id) or b"")
            git(tmp_path, "clone", "--quiet", str(remote), "copy")
            assert files_at(tmp_path / "copy", await service.fetch(run.id, tmp_path / "copy"))["precious.txt"].startswith(b"precious")
            with pytest.raises(StepError, match="DEPLOY_KEY") as refused:
                await service.push(run.id)
            assert (refused.value.cause, refused.value.reason) == ("policy", "unscanned")
            assert [finding.rule for finding in (await judged(service, run)).findings] == ["unscanned"]
    async with AgentService.open(state_dir) as service:
        if holds_it:
            with pytest.raises(StepError, match="the value of DEPLOY_KEY"):
                await service.push(run.id)
        else:
            assert (await service.push(run.id)).pushed
            assert (await judged(service, run)).ok


async def judged(service: Service, run: Run) -> Verdict:
    verdict = (await service.find(run.id)).verdict
    assert verdict
    return verdict


async def test_a_stop_ends_the_commit_step_and_the_tree_stays_kept(
    state_dir: Path, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = script({"write": ".gitignore", "text": f"{PATTERN}\n"}, {"write": "precious.txt", "text": "precious\n"})
    with monkeypatch.context() as patch:
        patch.setenv("PATH", slow_git(tmp_path))
        async with AgentService.open(state_dir) as service:
            [queued] = await service.submit([draft(remote, task=prompt)])
            async for event in service.follow(queued.id):
                if isinstance(event, StepStarted) and event.step == "commit":
                    await service.cancel(queued.id)
            run = await service.find(queued.id)
    assert (run.state, run.kept_in) == (State.CANCELLED, str(StateDir(state_dir).boxes(run.id)))
    async with AgentService.open(state_dir) as service:
        await service.push(run.id)
    assert files_at(remote, "agent/x")["precious.txt"] == b"precious\n"


@pytest.mark.slow
async def test_a_pattern_that_takes_for_ever_fails_the_commit_step_which_keeps_the_tree(
    state_dir: Path, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = script({"write": ".gitignore", "text": f"{PATTERN}\n"}, {"write": "precious.txt", "text": "precious\n"})
    run = await failed(state_dir, slow_git(tmp_path), monkeypatch, draft(remote, task=prompt))
    assert run.reason == "pattern"
    assert f"the pattern '{PATTERN}' in .gitignore takes git longer than 8 s to match" in run.summary
    async with AgentService.open(state_dir) as service:
        await service.push(run.id)
    assert files_at(remote, "agent/x")["precious.txt"] == b"precious\n"


@pytest.mark.slow
async def test_git_ends_in_time_with_the_pattern_that_old_versions_take_for_ever_to_match(
    state_dir: Path, remote: Path, tmp_path: Path
) -> None:
    write_files(
        tmp_path,
        {"make.sh": f"mkdir -p x/{'a/' * 30}; echo x > x/{'a/' * 30}c; echo precious > precious.txt; echo 'x/{'**/' * 14}b' > .gitignore"},
    )
    begin = time.monotonic()
    async with AgentService.open(state_dir) as service:
        [queued] = await service.submit([draft(remote, task=script({"bash": f"sh {tmp_path}/make.sh"}))])
        run = await service.wait(queued.id)
    assert time.monotonic() - begin < 60
    assert run.state is State.SUCCEEDED or (run.reason == "pattern" and uncommitted(run))
