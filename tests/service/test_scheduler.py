"""The pool: order, gates, and the limit for agents that start up."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from ccterm.models import BatchId, ExecutionMode, Run, RunId, State, Task, now
from ccterm.service.gates import BusyGate, CapacityGate, Gate, QueueEntry, UnderWay
from ccterm.service.scheduler import Scheduler, StartupLimit


class Floor:
    """Runs that are under way: each one ends when the test says so."""

    def __init__(self) -> None:
        self.started: list[RunId] = []
        self.holds: list[tuple[RunId, str]] = []
        self._ends: dict[RunId, asyncio.Event] = {}

    async def start(self, run: RunId) -> Run:
        self.started.append(run)
        await self._ends.setdefault(run, asyncio.Event()).wait()
        return Run(id=run, task=Task(prompt="p", repo="/r"), state=State.SUCCEEDED, created=now())

    def hold(self, run: RunId, reason: str, turn: bool) -> None:
        self.holds.append((run, reason))

    def end(self, *runs: str) -> None:
        for run in runs:
            self._ends.setdefault(RunId(run), asyncio.Event()).set()


class ToldGate(Gate):
    """Holds the runs that a test names, and notes which runs finished."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.held_once_finished: set[str] = set()
        self.finished: list[RunId] = []
        self._changed: Callable[[], None] = lambda: None

    def reason(self, entry: QueueEntry) -> str:
        return "the engine is gone" if entry.run in self.held else ""

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def run_finished(self, run: Run) -> None:
        self.finished.append(run.id)
        self.held |= self.held_once_finished

    def let_go(self) -> None:
        self.held.clear()
        self._changed()


def entry(run: str, *, batch: str = "b", branch: str | None = None, at_once: int | None = None) -> QueueEntry:
    return QueueEntry(RunId(run), BatchId(batch), ("host/repo", branch or run), ExecutionMode.LOCAL, at_once, pool=2, label=f"#{run}")


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.fixture
def told() -> ToldGate:
    return ToldGate()


@pytest.fixture
async def pool(floor: Floor, told: ToldGate) -> AsyncIterator[Scheduler]:
    under_way = UnderWay()
    gates = [BusyGate(under_way), told, CapacityGate(under_way)]
    async with Scheduler(under_way, gates, start=floor.start, hold=floor.hold).running() as scheduler:
        yield scheduler
        told.held_once_finished.clear()
        told.let_go()
        floor.end("1", "2", "3", "4", "5")
        await scheduler.idle()


async def test_no_more_runs_than_the_limit_are_under_way_and_the_next_says_so(pool: Scheduler, floor: Floor) -> None:
    for run in "123":
        pool.submit(entry(run))
    await settle()
    assert floor.started == ["1", "2"]
    assert floor.holds == [("3", "waiting for a free slot")]


async def test_the_next_run_starts_as_soon_as_one_ends(pool: Scheduler, floor: Floor) -> None:
    for run in "123":
        pool.submit(entry(run))
    await settle()
    floor.end("2")
    await settle()
    assert floor.started == ["1", "2", "3"]


async def test_a_second_run_on_a_branch_is_held_and_says_for_which_run(pool: Scheduler, floor: Floor) -> None:
    pool.submit(entry("1", branch="x"))
    pool.submit(entry("2", branch="x"))
    await settle()
    assert floor.started == ["1"]
    assert floor.holds == [("2", "branch busy (#1)")]


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


async def test_a_reason_is_reported_once_and_a_new_one_again(pool: Scheduler, floor: Floor) -> None:
    for run in "123":
        pool.submit(entry(run, branch="x"))
    await settle()
    floor.end("1")
    await settle()
    assert floor.holds == [("2", "branch busy (#1)"), ("3", "branch busy (#1)"), ("3", "branch busy (#2)")]


async def test_a_batch_may_have_more_at_once_than_the_pool(pool: Scheduler, floor: Floor) -> None:
    for run in "1234":
        pool.submit(entry(run, at_once=4))
    await settle()
    assert floor.started == ["1", "2", "3", "4"]


async def test_a_batch_may_have_fewer_at_once_than_the_pool(pool: Scheduler, floor: Floor) -> None:
    for run in "12":
        pool.submit(entry(run, at_once=1))
    pool.submit(entry("3", batch="other"))
    await settle()
    assert floor.started == ["1", "3"]
    assert floor.holds == [("2", "waiting for a free slot")]


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


async def test_a_branch_is_busy_while_a_delivery_works_on_it(pool: Scheduler, floor: Floor) -> None:
    async with pool.alone(entry("0", branch="x")):
        pool.submit(entry("1", branch="x"))
        await settle()
        assert floor.started == []
    await settle()
    assert floor.started == ["1"]


async def test_a_gates_signal_starts_what_it_held(pool: Scheduler, floor: Floor, told: ToldGate) -> None:
    told.held = {"1"}
    for run in "12":
        pool.submit(entry(run))
    await settle()
    assert (floor.started, floor.holds) == (["2"], [("1", "the engine is gone")])
    told.let_go()
    await settle()
    assert floor.started == ["2", "1"]


async def test_gates_learn_how_a_run_ended_before_the_next_one_is_considered(pool: Scheduler, floor: Floor, told: ToldGate) -> None:
    for run in "123":
        pool.submit(entry(run))
    await settle()
    told.held_once_finished = {"3"}
    floor.end("1")
    await settle()
    assert told.finished == ["1"]
    assert floor.holds[-1] == ("3", "the engine is gone")


async def test_only_so_many_agents_start_up_at_once() -> None:
    limit, up = StartupLimit(1), list[str]()
    async with limit.starting() as started:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:

            async def second() -> None:
                async with limit.starting():
                    up.append("second")

            group.create_task(second())
            await settle()
            assert up == []
            started()
            started()  # saying it twice frees one slot, not two
        assert up == ["second"]
    assert limit.free == 1
