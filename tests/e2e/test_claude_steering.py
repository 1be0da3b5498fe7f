"""What a user says to a running run reaches the real CLI, and a run that is stopped leaves its work and nothing else."""

import asyncio

import pytest

from ccterm.errors import UsageError
from ccterm.events import Steered, Waiting
from ccterm.models import State
from tests.e2e.claude import HANGING, Claude
from tests.servers.loopback import Gate
from tests.servers.model_script import bash, say, use, write
from tests.support.git import files_at, tip

pytestmark = pytest.mark.claude
HALF = use(write("half.txt", "half\n"))


async def answers(claude: Claude, run: str) -> list[tuple[str, bool]]:
    """Return what was said to a run, and whether it was taken."""
    found = await claude.service.find(run)
    return [(event.text, event.taken) for event in await claude.events(found.id) if isinstance(event, Steered)]


async def test_a_message_during_a_run_is_taken_and_reaches_the_model(claude: Claude) -> None:
    gate = Gate()
    run = await claude.start(use(write("one.txt", "1\n"), gate=gate), use(write("two.txt", "2\n")), say("Both are there."))
    assert await asyncio.to_thread(gate.reached)
    await claude.service.steer(run, "Also write two.txt")
    gate.open()
    ended = await claude.service.wait(run)
    assert ended.state is State.SUCCEEDED, ended.summary
    assert await answers(claude, run) == [("Also write two.txt", True)]
    assert not claude.api.calls[0].says("Also write two.txt")
    assert any(call.says("Also write two.txt") for call in claude.api.calls)
    assert files_at(claude.remote, "agent/x").keys() >= {"one.txt", "two.txt"}


@pytest.mark.slow
async def test_a_message_during_the_last_answer_gets_a_turn_of_its_own(claude: Claude) -> None:
    gate = Gate()
    run = await claude.start(say("Finished.", gate=gate), use(write("more.txt", "more\n")), say("That too."))
    assert await asyncio.to_thread(gate.reached)
    await claude.service.steer(run, "One more thing")
    gate.open()
    ended = await claude.service.wait(run)
    assert (ended.state, ended.summary) == (State.SUCCEEDED, "That too.")
    assert await answers(claude, run) == [("One more thing", True)]
    assert "more.txt" in files_at(claude.remote, "agent/x")


@pytest.mark.slow
async def test_a_held_run_waits_takes_a_message_and_ends_when_released(claude: Claude) -> None:
    words = ["Go on"]
    run = await claude.start(HALF, say("Half is done."), use(write("whole.txt", "whole\n")), say("All is done."), hold=True)
    async for event in claude.service.follow(run):
        if isinstance(event, Waiting) and event.until:
            assert (await claude.service.find(run)).waiting_until is not None
            await (claude.service.steer(run, words.pop()) if words else claude.service.release(run))
    ended = await claude.service.find(run)
    assert (ended.state, ended.summary) == (State.SUCCEEDED, "All is done.")
    assert await answers(claude, run) == [("Go on", True)]
    assert [bool(event.until) for event in await claude.events(run) if isinstance(event, Waiting)] == [True, False, True, False]
    assert files_at(claude.remote, "agent/x").keys() >= {"half.txt", "whole.txt"}


@pytest.mark.slow
async def test_a_hold_during_a_run_makes_it_wait_at_its_end(claude: Claude) -> None:
    gate = Gate()
    run = await claude.start(say("Done.", gate=gate))
    assert await asyncio.to_thread(gate.reached)
    await claude.service.hold(run)
    gate.open()
    async for event in claude.service.follow(run):
        if isinstance(event, Waiting) and event.until:
            await claude.service.release(run)
    assert (await claude.service.find(run)).state is State.SUCCEEDED
    assert any(isinstance(event, Waiting) for event in await claude.events(run))


@pytest.mark.slow
async def test_a_message_that_comes_too_late_names_continue(claude: Claude) -> None:
    run = await claude.run(say("Done."))
    with pytest.raises(UsageError, match=f"ccterm continue {run.ref}"):
        await claude.service.steer(run.id, "too late")


async def test_a_cancelled_run_leaves_its_work_and_no_process(claude: Claude) -> None:
    run = await claude.start(HALF, HANGING)
    await claude.hangs()
    await claude.service.cancel(run)
    ended = await claude.service.wait(run)
    assert (ended.state, ended.cause) == (State.CANCELLED, None)
    assert claude.processes() == []
    assert tip(claude.remote, "agent/x") is None
    assert ended.salvage is not None
    await claude.service.push(run)
    assert files_at(claude.remote, "agent/x")["half.txt"] == b"half\n"


@pytest.mark.slow
async def test_a_run_cancelled_while_the_model_is_silent_leaves_its_work(claude: Claude) -> None:
    gate = Gate()
    run = await claude.start(HALF, say("never", gate=gate))
    assert await asyncio.to_thread(gate.reached)
    await claude.service.cancel(run)
    ended = await claude.service.wait(run)
    assert ended.state is State.CANCELLED
    assert ended.salvage is not None
    assert ended.salvage.commit == ended.commit
    assert claude.processes() == []


@pytest.mark.slow
async def test_a_run_that_is_killed_leaves_nothing(claude: Claude) -> None:
    daemon = "setsid nohup tail -f /dev/null > /dev/null 2>&1 &"
    run = await claude.start(HALF, use(bash(f"{daemon} tail -f /dev/null")))
    await claude.hangs(2)
    await claude.service.cancel(run, now=True)
    ended = await claude.service.wait(run)
    assert (ended.state, ended.salvage) == (State.CANCELLED, None)
    assert claude.processes() == []
    assert list((claude.state / "salvage").iterdir()) == []
