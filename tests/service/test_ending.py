"""What is asked for between the last event of a run and the moment when its record is closed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.errors import UsageError
from ccterm.events import Finished
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from ccterm.service.reader import reading
from ccterm.state_dir import StateDir
from ccterm.transcript import EVENTS_FILE, read_events
from tests.conftest import MakeRemote
from tests.support.core import EDIT, draft, script
from tests.support.git import files_at, tip
from tests.support.late import Late
from tests.support.waiting import until

KEPT = script({"write": "kept.txt", "text": "kept\n"}, {"fail": "auth"})
"""A run that fails, whose work is kept."""


def final(run: Run) -> bool:
    return run.state.final


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").prepare()


@pytest.fixture
async def service(state: StateDir) -> AsyncIterator[Service]:
    async with AgentService.open(state.path) as opened:
        yield opened


async def test_whoever_is_told_of_the_end_by_the_files_finds_the_run_ended(
    service: Service, state: StateDir, make_remote: MakeRemote
) -> None:
    late = Late.here("save", final)
    [run] = await service.submit([draft(make_remote(), task=EDIT)])

    async def told() -> State:
        with reading(state) as record:
            async for event in record.follow(run.id):
                if isinstance(event, Finished):
                    return (await record.find(run.id)).state
        raise AssertionError("the end was not told")

    telling = asyncio.ensure_future(told())
    await until(late.waits.is_set)
    assert isinstance(list(read_events(state.run(run.id) / EVENTS_FILE))[-1], Finished)
    await asyncio.wait([telling], timeout=0.2)
    assert not telling.done()
    late.released.set()
    assert await telling is State.SUCCEEDED


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "order", [Service.retry, lambda service, run: service.continue_(run, EDIT), Service.push, Service.clean, Service.review]
)
async def test_an_order_waits_until_the_record_is_closed(
    service: Service, make_remote: MakeRemote, order: Callable[[Service, str], Awaitable[Run]]
) -> None:
    late = Late.here("save", final)
    [queued] = await service.submit([draft(make_remote(), task=KEPT)])
    assert (await service.wait(queued.id)).state is State.FAILED
    await until(late.waits.is_set)
    ordered = asyncio.ensure_future(order(service, queued.id))
    await asyncio.wait([ordered], timeout=0.2)
    assert not ordered.done()
    late.released.set()
    await ordered


async def test_a_run_that_has_just_ended_is_not_stopped(service: Service, make_remote: MakeRemote) -> None:
    late = Late.here("save", final)
    [queued] = await service.submit([draft(make_remote(), task=EDIT)])
    await service.wait(queued.id)
    await until(late.waits.is_set)
    with pytest.raises(UsageError, match="has ended already"):
        await service.cancel(queued.id)
    await service.cancel_all()
    late.released.set()


@pytest.mark.slow
async def test_a_run_that_is_taken_out_of_the_queue_has_ended_for_whoever_waits_for_it(
    service: Service, make_remote: MakeRemote, tmp_path: Path
) -> None:
    go, remote = tmp_path / "go", make_remote()
    late = Late.here("save", final)
    try:
        [first] = await service.submit([draft(remote, task=script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}))])
        [second] = await service.submit([draft(remote, task=EDIT)])
        waiting, cancelling = asyncio.ensure_future(service.wait(second.id)), asyncio.ensure_future(service.cancel(second.id))
        assert (await waiting).state is State.CANCELLED
        with pytest.raises(UsageError, match="has ended already"):
            await service.cancel(second.id)
    finally:
        late.released.set()
        go.touch()
    await cancelling
    assert (await service.wait(first.id)).state is State.SUCCEEDED


async def test_what_is_done_with_an_ended_run_waits_for_the_record_of_the_last_run_on_its_branch(
    service: Service, make_remote: MakeRemote, tmp_path: Path
) -> None:
    remote, go = make_remote(), tmp_path / "go"
    late = Late.here("save", lambda run: run.state is State.SUCCEEDED)
    [kept] = await service.submit([draft(remote, task=KEPT)])
    await service.wait(kept.id)
    [other] = await service.submit([draft(remote, task=script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}))])
    with pytest.raises(UsageError, match=f"{other.label} works on agent/x now"):
        await service.push(kept.id)
    go.touch()
    assert (await service.wait(other.id)).state is State.SUCCEEDED
    await until(late.waits.is_set)
    pushing = asyncio.ensure_future(service.push(kept.id))
    await asyncio.wait([pushing], timeout=0.1)
    assert not pushing.done()
    late.released.set()
    await pushing
    assert files_at(remote, "agent/x")["kept.txt"] == b"kept\n"


@pytest.mark.slow
async def test_what_is_kept_is_not_removed_behind_a_delivery_that_may_fail(service: Service, make_remote: MakeRemote) -> None:
    [queued] = await service.submit([draft(make_remote(), task=KEPT)])
    await service.wait(queued.id)
    late = Late.here("require_deliverable")
    pushing = asyncio.ensure_future(service.push(queued.id))
    await until(late.waits.is_set)
    with pytest.raises(UsageError, match="something else is done with run #1 now"):
        await service.clean(queued.id)
    late.released.set()
    assert (await pushing).pushed is not None


@pytest.mark.slow
async def test_a_review_during_a_delivery_is_not_lost(service: Service, make_remote: MakeRemote) -> None:
    remote = make_remote()
    [queued] = await service.submit([draft(remote, task=KEPT)])
    await service.wait(queued.id)
    late = Late.here("require_deliverable")
    pushing = asyncio.ensure_future(service.push(queued.id))
    await until(late.waits.is_set)
    reviewing = asyncio.ensure_future(service.review(queued.id))
    await asyncio.wait([reviewing], timeout=0.2)
    late.released.set()
    await asyncio.gather(pushing, reviewing)
    known = await service.find(queued.id)
    assert (known.reviewed, known.commit) == (True, tip(remote, "agent/x"))
