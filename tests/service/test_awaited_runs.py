"""Runs that a caller of the Python API waits for, in the process that carries them out and in another one."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from signal import SIG_DFL, SIGINT, SIGTERM, Signals
from signal import signal as set_handler
from typing import Any, Unpack

import pytest

import ccterm
from ccterm import AgentService, Cause, Draft, DraftDefaults, DraftFields, Event, Run, Service, State
from ccterm.errors import UnknownRun, UsageError
from ccterm.events import Waiting
from tests.conftest import MakeRemote
from tests.support.core import EDIT, script
from tests.support.git import git, make_repository

HANGS = script({"write": "half.txt", "text": "half\n"}, {"say": "under way"}, {"sleep": 60})


@pytest.fixture(params=["here", pytest.param("daemon", marks=pytest.mark.slow)])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Service]:
    """The service of the process that carries runs out, and one that is attached to it."""
    async with AsyncExitStack() as stack:
        for _ in range(2 if request.param == "daemon" else 1):
            opened = await stack.enter_async_context(AgentService.open(tmp_path / "state"))
        yield opened
        await opened.cancel_all(now=True)


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"README.md": "hello\n"})


def fields(where: Path, what: str = EDIT, **more: Unpack[DraftDefaults]) -> DraftFields:
    return {"task": what, "repo": str(where), "agent": "scripted", "execution_mode": "local", **more}


async def under_way(service: Service) -> Run:
    """Return the newest run once its agent works."""

    async def works() -> bool:
        found = await service.runs()
        return bool(found) and "said" in [event.kind async for event in service.follow(found[-1].id, live=False)]

    while not await works():  # noqa: ASYNC110 - another process may write the transcript
        await asyncio.sleep(0.02)
    return await service.find("last")


async def test_the_mission_s_call_ends_in_a_pushed_branch(service: Service, remote: Path) -> None:
    run = await service.run(task=EDIT, execution_mode="local", branch="feature/my-task", repo=str(remote), agent="scripted")
    assert run.pushed is not None, run.summary
    assert git(remote, "rev-parse", "feature/my-task") == run.pushed.sha


async def test_a_failed_run_is_returned(service: Service, remote: Path) -> None:
    run = await service.run(**fields(remote, script({"fail": "server_error"}), branch="agent/x"))
    assert (run.state, run.cause) == (State.FAILED, Cause.AGENT)
    assert run.action


async def test_a_cancelled_caller_cancels_its_run_and_the_work_is_kept(service: Service, remote: Path) -> None:
    asked = asyncio.ensure_future(service.run(**fields(remote, HANGS, branch="agent/x")))
    run = await under_way(service)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    ended = await service.find(run.id)
    assert ended.state is State.CANCELLED
    assert ended.salvage is not None


async def test_a_timeout_cancels_all_runs_of_a_call(service: Service, remote: Path) -> None:
    tasks = [fields(remote, HANGS, branch=f"agent/{name}") for name in "ab"]

    async def end_when_there_are_two(limit: asyncio.Timeout) -> None:
        while len(await service.runs()) < 2:  # noqa: ASYNC110 - another process may submit them
            await asyncio.sleep(0.02)
        limit.reschedule(0)

    async def run() -> None:
        async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
            group.create_task(end_when_there_are_two(limit))
            await service.run_parallel(tasks)

    with pytest.raises(TimeoutError):
        await run()
    assert {run.state for run in await service.runs()} == {State.CANCELLED}


async def test_a_detached_run_goes_on_without_its_caller(service: Service, remote: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    waits = script({"say": "up"}, {"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}, {"write": "new", "text": "x\n"})
    asked = asyncio.ensure_future(service.run(detach=True, **fields(remote, waits, branch="agent/x")))
    run = await under_way(service)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    go.touch()
    assert (await service.wait(run.id)).state is State.SUCCEEDED


async def test_runs_are_yielded_as_they_end_with_how_many_have(service: Service, remote: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    slow = script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}, {"say": "ok"})
    tasks = [fields(remote, slow, branch="agent/slow"), fields(remote, EDIT, branch="agent/quick")]
    kinds: dict[str | None, list[str]] = {"agent/slow": [], "agent/quick": []}

    def note(run: Run, event: Event) -> None:
        kinds[run.task.branch].append(event.kind)

    seen = []
    async for run, done, total in service.as_completed(tasks, on_event=note):
        seen.append((run.task.branch, run.state.final, done, total))
        go.touch()
    assert seen == [("agent/quick", True, 1, 2), ("agent/slow", True, 2, 2)]
    assert all((each[0], each[-1]) == ("queued", "finished") for each in kinds.values())


async def test_leaving_the_loop_early_cancels_the_others(service: Service, remote: Path) -> None:
    tasks = [fields(remote, HANGS, branch="agent/slow"), fields(remote, EDIT, branch="agent/quick")]
    async with aclosing(service.as_completed(tasks)) as ended:
        async for completed in ended:
            assert completed.run.task.branch == "agent/quick"
            break
    assert [run.state for run in await service.runs()] == [State.CANCELLED, State.SUCCEEDED]


async def test_an_error_of_the_caller_s_own_cancels_the_runs_too(service: Service, remote: Path) -> None:
    def fail(run: Run, event: Event) -> None:
        if event.kind == "said":
            raise LookupError("not found")

    with pytest.raises(LookupError, match="not found"):
        await service.run(on_event=fail, **fields(remote, HANGS, branch="agent/x"))
    assert (await service.find("last")).state is State.CANCELLED


async def test_tasks_share_defaults_and_keep_what_they_say_themselves(service: Service, remote: Path) -> None:
    own = Draft(task=EDIT, branch="agent/b", model="haiku")
    one, two = await service.run_parallel(
        [{"task": EDIT, "branch": "agent/a"}, own],
        execution_mode="local",
        repo=str(remote),
        agent="scripted",
        model="sonnet",
        max_concurrent=1,
    )
    assert [(run.task.branch, run.task.model, run.state) for run in (one, two)] == [
        ("agent/a", "sonnet", State.SUCCEEDED),
        ("agent/b", "haiku", State.SUCCEEDED),
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"task": " "}, "task is empty"),
        ({"execution_mode": "docker"}, "execution_mode has an unknown value; give 'local' or 'dagger'"),
        ({"brunch": "x"}, "unknown key brunch; did you mean branch?"),
        ({"branch": "a b"}, "branch is refused"),
        ({"branch": "agent/x", "apply": False}, "leave out apply, or branch"),
    ],
)
async def test_what_does_not_fit_is_a_usage_error_in_the_caller_s_words(wrong: dict[str, Any], words: str, tmp_path: Path) -> None:
    async with AgentService.open(tmp_path / "state") as service:
        with pytest.raises(UsageError, match=words):
            await service.run(**{**fields(tmp_path), **wrong})
        with pytest.raises(UsageError, match="max_concurrent is 0"):
            await service.run_parallel([fields(tmp_path)], max_concurrent=0)
        assert await service.runs() == []


async def test_without_a_branch_the_changes_come_into_the_working_copy(service: Service, tmp_path: Path) -> None:
    copy = make_repository(tmp_path / "copy", {"README.md": "hello\n"})
    kept = await service.run(**fields(copy, apply=False))
    assert (kept.awaits_apply, (copy / "new.txt").exists()) == (True, False)
    await service.apply(kept.id)
    assert (copy / "new.txt").read_text() == "new\n"
    run = await service.run(**fields(copy, script({"write": "more.txt", "text": "more\n"})))
    assert (run.synced is not None, (copy / "more.txt").read_text()) == (True, "more\n")
    refused = await service.run(**fields(copy, script({"write": ".github/workflows/ci.yml", "text": "on: push\n"})))
    assert (refused.cause, (copy / ".github").exists()) == (Cause.POLICY, False)


async def test_every_name_of_a_run_is_taken_by_every_verb(service: Service, remote: Path) -> None:
    run = await service.run(**fields(remote, branch="agent/x"))
    assert run.number is not None
    for name in (run.id, run.number, str(run.number), "agent/x", "last", run.id[:20]):
        assert (await service.find(name)).id == run.id
        assert (await service.wait(name)).id == run.id
        assert [event.kind async for event in service.follow(name)][-1] == "finished"
        assert b"new.txt" in (await service.patch(name) or b"")
        assert (await service.review(name)).reviewed
        with pytest.raises(UsageError, match="has ended already"):
            await service.cancel(name)
    with pytest.raises(UnknownRun):
        await service.steer("agent/nothing", "hello")


async def test_a_waiting_event_says_whether_the_wait_begins(service: Service, remote: Path) -> None:
    [run] = await service.submit([Draft(**fields(remote, script({"say": "done"}), branch="agent/x", hold=True))])
    seen: list[bool] = []
    async for event in service.follow(run.id):
        if isinstance(event, Waiting):
            seen.append(event.begins)
            if event.begins:
                await service.release(run.id)
    assert seen == [True, False]


async def test_a_script_runs_a_task_without_a_loop(remote: Path, tmp_path: Path) -> None:
    run = await asyncio.to_thread(lambda: ccterm.run(state_dir=str(tmp_path / "state"), **fields(remote, branch="agent/x")))
    assert run.state is State.SUCCEEDED
    with pytest.raises(UsageError, match="await the run of a service"):
        ccterm.run(task="x")


@pytest.mark.slow
@pytest.mark.parametrize("signal", [SIGINT, SIGTERM])
async def test_a_script_that_is_interrupted_takes_its_run_along_and_keeps_the_work(signal: Signals, remote: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    given = fields(remote, HANGS, branch="agent/x")
    program = f"import ccterm; ccterm.run(state_dir={str(state)!r}, **{given!r})"
    heard = partial(set_handler, SIGINT, SIG_DFL)  # where the tests run in the background, it is ignored
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.DEVNULL, preexec_fn=heard)
    try:
        transcript = ""
        while '"kind":"said"' not in transcript:
            transcript = "".join(path.read_text() for path in state.glob("runs/*/transcript.ndjson"))
            await asyncio.sleep(0.05)
        process.send_signal(signal)
        async with asyncio.timeout(30):
            assert await process.wait() != 0
    finally:
        if process.returncode is None:
            process.kill()
    async with AgentService.open(state) as service:
        run = await service.find("last")
        if run.cause is Cause.LOST:  # the signal killed the script at once: the next one keeps what there was
            run = await service.wait(run.id)
        assert (run.state.final, run.salvage is not None) == (True, True), run.summary
        if signal is SIGINT:
            assert run.state is State.CANCELLED
