"""What is said to an agent while it works: it stands in the record as on its way, then as taken; and a run that waits leaves its slot to others."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.event_lines import TEXT_CAP, cut
from ccterm.events import Event, Held, HoldChanged, PermissionAnswered, PermissionAsked, Steered, Told, Waiting
from ccterm.models import State
from ccterm.service.protocol import Service
from ccterm.service.recovery import undelivered
from tests.conftest import MakeRemote
from tests.support.core import draft, script
from tests.support.waiting import until


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    (tmp_path / "ccterm").mkdir()
    (tmp_path / "ccterm" / "config.toml").write_text('max_concurrent = 1\nwaiting_frees_slot = "1s"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with AgentService.open(tmp_path / "state") as opened:
        yield opened


async def test_a_message_during_a_tool_is_queued_and_then_taken(service: Service, make_remote: MakeRemote, tmp_path: Path) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    task = script({"bash": f"touch {begun}; while [ ! -e {go} ]; do sleep 0.02; done"}, {"say": "done"})
    [run] = await service.submit([draft(make_remote(), task=task)])
    await until(begun.exists)
    await service.steer(run.id, script({"say": "that too"}))
    go.touch()
    await service.wait(run.id)
    said = [event.kind for event in [event async for event in service.follow(run.id)] if isinstance(event, Told | Steered)]
    assert said == ["told", "steered"]


async def test_who_says_something_hears_nothing_of_an_earlier_message(service: Service, make_remote: MakeRemote, tmp_path: Path) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    task = script({"bash": f"touch {begun}; while [ ! -e {go} ]; do sleep 0.02; done"}, {"say": "done"})
    [run] = await service.submit([draft(make_remote(), task=task)])
    await until(begun.exists)
    first, second = script({"say": "first"}), script({"say": "second"})
    await service.steer(run.id, first)
    answer = asyncio.create_task(service.say(run.id, second, seconds=60))
    async for event in service.follow(run.id):
        if isinstance(event, Told) and event.text == second:
            break
    go.touch()
    answered = await answer
    assert answered is not None
    assert (answered.text, answered.taken) == (second, True)
    await service.wait(run.id)


async def test_an_order_to_hold_is_on_record_and_can_be_taken_back(service: Service, make_remote: MakeRemote, tmp_path: Path) -> None:
    go, begun = tmp_path / "go", tmp_path / "begun"
    task = script({"bash": f"touch {begun}; while [ ! -e {go} ]; do sleep 0.02; done"}, {"say": "done"})
    [run] = await service.submit([draft(make_remote(), task=task)])
    await until(begun.exists)
    await service.hold(run.id)
    assert (await service.find(run.id)).holds
    await service.release(run.id)
    assert not (await service.find(run.id)).holds
    go.touch()
    assert (await service.wait(run.id)).state is State.SUCCEEDED
    assert [event.on async for event in service.follow(run.id) if isinstance(event, HoldChanged)] == [True, False]


@pytest.mark.parametrize("waits_for", ["input", "permission"])
async def test_a_run_that_waits_for_its_user_leaves_its_slot_to_the_next(service: Service, make_remote: MakeRemote, waits_for: str) -> None:
    remote = make_remote()
    permission = waits_for == "permission"
    first = draft(remote, branch="first", task=script({"permit": "touch a"} if permission else {"say": "well?"}))
    asking = {"permissions": "ask"} if permission else {"hold": True}
    [waiting] = await service.submit([first.model_copy(update=asking)])
    [second] = await service.submit([draft(remote, branch="second", task=script({"write": "b", "text": "b"}))])
    assert (await service.wait(second.id)).state is State.SUCCEEDED
    queued = [event.reason async for event in service.follow(second.id) if isinstance(event, Held)]
    assert queued[:1] == ["waiting for a free slot"]
    assert (await service.find(waiting.id)).waiting_until is not None
    if permission:
        await service.decide(waiting.id, (await service.find(waiting.id)).permission_requests[0].id, "allow")
    else:
        await service.release(waiting.id)
    assert (await service.wait(waiting.id)).state is State.SUCCEEDED
    kinds = [event.kind async for event in service.follow(waiting.id) if isinstance(event, Waiting | PermissionAsked | PermissionAnswered)]
    assert kinds == (["permission_asked", "waiting", "permission_answered", "waiting"] if permission else ["waiting", "waiting"])


def test_only_messages_of_which_nothing_was_heard_count_as_undelivered() -> None:
    """What came back is cut and masked, each in its own way; those of earlier versions have no keys."""
    long = "x" * (TEXT_CAP + 1)
    events: list[Event] = [
        Told(text=long, message="1"),
        Told(text="the password is hunter2", message="2"),
        Told(text="the same", message="3"),
        Told(text="the same", message="4"),
        Told(text="old"),
        Told(text="old and lost"),
        Steered(text=cut(long), taken=True, message="1"),
        Steered(text="the password is [MASKED]", taken=True, message="2"),
        Steered(text="the same", taken=False, message="4"),
        Steered(text="old", taken=True),
    ]
    assert [told.message or told.text for told in undelivered(events)] == ["3", "old and lost"]
