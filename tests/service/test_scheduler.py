"""The pool: order, caps, branches that are busy, and the gate for agents that start up."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ccterm.models import BatchId, RunId
from ccterm.service.scheduler import Entry, Scheduler, StartGate


class Floor:
    """Where runs stand while they are under way: each one ends when the test says so."""

    def __init__(self) -> None:
        self.started: list[RunId] = []
        self.holds: list[tuple[RunId, str]] = []
        self._ends: dict[RunId, asyncio.Event] = {}

    async def start(self, run: RunId) -> None:
        self.started.append(run)
        await self._ends.setdefault(run, asyncio.Event()).wait()

    def hold(self, run: RunId, reason: str) -> None:
        self.holds.append((run, reason))

    def end(self, *runs: str) -> None:
        for run in runs:
            self._ends.setdefault(RunId(run), asyncio.Event()).set()


def entry(run: str, *, batch: str = "b", branch: str | None = None) -> Entry:
    return Entry(RunId(run), BatchId(batch), ("host/repo", branch or run))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.fixture
async def pool(floor: Floor) -> AsyncIterator[Scheduler]:
    async with Scheduler(cap=2, start=floor.start, hold=floor.hold).running() as scheduler:
        yield scheduler
        floor.end("1", "2", "3", "4", "5")
        await scheduler.idle()


async def test_no_more_runs_than_the_cap_are_under_way(pool: Scheduler, floor: Floor) -> None:
    for run in "123":
        pool.submit(entry(run))
    await settle()
    assert floor.started == ["1", "2"]


async def test_the_next_run_starts_as_soon_as_one_ends(pool: Scheduler, floor: Floor) -> None:
    for run in "123":
        pool.submit(entry(run))
    await settle()
    floor.end("2")
    await settle()
    assert floor.started == ["1", "2", "3"]


async def test_a_second_run_on_a_branch_is_held_and_says_for_whom(pool: Scheduler, floor: Floor) -> None:
    pool.submit(entry("1", branch="x"))
    pool.submit(entry("2", branch="x"))
    await settle()
    assert floor.started == ["1"]
    assert floor.holds == [(RunId("2"), "branch busy (run 1)")]


async def test_a_held_run_lets_those_behind_it_pass(pool: Scheduler, floor: Floor) -> None:
    pool.submit(entry("1", branch="x"))
    pool.submit(entry("2", branch="x"))
    pool.submit(entry("3"))
    await settle()
    assert floor.started == ["1", "3"]


async def test_a_held_run_starts_when_its_branch_is_free(pool: Scheduler, floor: Floor) -> None:
    pool.submit(entry("1", branch="x"))
    pool.submit(entry("2", branch="x"))
    floor.end("1")
    await settle()
    assert floor.started == ["1", "2"]


async def test_a_batch_may_have_more_at_once_than_the_pool(pool: Scheduler, floor: Floor) -> None:
    for run in "1234":
        pool.submit(entry(run), cap=4)
    await settle()
    assert floor.started == ["1", "2", "3", "4"]


async def test_a_batch_may_have_fewer_at_once_than_the_pool(pool: Scheduler, floor: Floor) -> None:
    for run in "12":
        pool.submit(entry(run), cap=1)
    pool.submit(entry("3", batch="other"))
    await settle()
    assert floor.started == ["1", "3"]


async def test_a_withdrawn_run_never_starts(pool: Scheduler, floor: Floor) -> None:
    for run in "123":
        pool.submit(entry(run))
    assert pool.withdraw(RunId("3"))
    floor.end("1", "2")
    await settle()
    assert floor.started == ["1", "2"]


async def test_a_run_under_way_cannot_be_withdrawn(pool: Scheduler) -> None:
    pool.submit(entry("1"))
    assert not pool.withdraw(RunId("1"))


async def test_a_branch_is_busy_while_something_else_works_on_it(pool: Scheduler, floor: Floor) -> None:
    async with pool.alone(entry("0", branch="x")):
        pool.submit(entry("1", branch="x"))
        await settle()
        assert floor.started == []
    await settle()
    assert floor.started == ["1"]


async def test_the_gate_lets_only_so_many_start_up_at_once() -> None:
    gate, up = StartGate(1), list[str]()
    async with gate.passing() as started:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:

            async def second() -> None:
                async with gate.passing():
                    up.append("second")

            group.create_task(second())
            await settle()
            assert up == []
            started()
            started()  # saying it twice frees one place, not two
        assert up == ["second"]
    assert gate.free == 1


async def test_a_run_is_held_while_its_place_is_in_trouble_and_starts_when_told_to_look_again(floor: Floor) -> None:
    trouble = {"1": "the engine is gone", "2": ""}
    async with Scheduler(cap=2, start=floor.start, hold=floor.hold, trouble=lambda run: trouble[run]).running() as pool:
        for run in "12":
            pool.submit(entry(run))
        await settle()
        assert (floor.started, floor.holds) == (["2"], [("1", "the engine is gone")])
        trouble["1"] = ""
        pool.pump()
        await settle()
        assert floor.started == ["2", "1"]
        floor.end("1", "2")
        await pool.idle()
