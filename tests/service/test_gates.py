"""Each gate's reason, and its signal."""

from collections.abc import Callable

import pytest

from ccterm.models import BatchId, ExecutionMode, RunId
from ccterm.service.gates import BusyGate, CapacityGate, ExecutorGate, QueueEntry, UnderWay


class Engine:
    """What a gate sees of an executor."""

    def __init__(self) -> None:
        self.gone = ""
        self.room: int | None = None
        self.changed: Callable[[], None] = lambda: None

    def trouble(self) -> str:
        return self.gone

    def capacity(self) -> int | None:
        return self.room

    def watch(self, changed: Callable[[], None]) -> None:
        self.changed = changed


def entry(
    run: str, *, key: tuple[str, str] = ("host/repo", "x"), mode: ExecutionMode = ExecutionMode.DAGGER, at_once: int | None = None
) -> QueueEntry:
    return QueueEntry(RunId(run), BatchId("b"), key, mode, at_once)


@pytest.fixture
def under_way() -> UnderWay:
    return UnderWay()


def test_a_busy_branch_names_the_run_that_has_it(under_way: UnderWay) -> None:
    gate, first = BusyGate(under_way), entry("1")
    under_way.add(first)
    assert gate.reason(entry("2")) == "branch busy (run 1)"
    assert gate.reason(entry("2", key=("host/repo", "y"))) == ""
    under_way.remove(first)
    assert gate.reason(entry("2")) == ""


def test_a_busy_working_copy_is_reported_as_such(under_way: UnderWay) -> None:
    under_way.add(entry("1", key=("/copy", "")))
    assert BusyGate(under_way).reason(entry("2", key=("/copy", ""))) == "working copy busy (run 1)"


@pytest.mark.parametrize(
    ("under", "own", "limit", "free"),
    [
        pytest.param(1, None, 2, True, id="a slot of the pool"),
        pytest.param(2, None, 2, False, id="the pool is full"),
        pytest.param(2, 3, 2, True, id="a batch with more than the pool"),
        pytest.param(1, 1, 2, False, id="a batch with fewer than the pool"),
    ],
)
def test_a_run_waits_for_a_free_slot(under_way: UnderWay, under: int, own: int | None, limit: int, free: bool) -> None:
    for number in range(under):
        under_way.add(entry(str(number), key=("host/repo", str(number)), at_once=own))
    assert CapacityGate(under_way, limit).reason(entry("new", at_once=own)) == ("" if free else "waiting for a free slot")


def test_a_wide_batch_makes_room_for_others_while_it_is_under_way(under_way: UnderWay) -> None:
    gate, wide = CapacityGate(under_way, 1), entry("1", at_once=3)
    under_way.add(wide)
    assert gate.reason(entry("2")) == ""
    under_way.remove(wide)
    under_way.add(entry("1"))
    assert gate.reason(entry("2")) == "waiting for a free slot"


def test_runs_of_an_engine_that_is_away_wait_and_those_of_other_modes_do_not(under_way: UnderWay) -> None:
    engine = Engine()
    engine.gone = "the Dagger engine is gone"
    gate = ExecutorGate(under_way, ExecutionMode.DAGGER, engine)
    assert gate.reason(entry("1")) == "the Dagger engine is gone"
    assert gate.reason(entry("1", mode=ExecutionMode.LOCAL)) == ""


def test_a_full_engine_holds_the_next_run_and_counts_its_own_alone(under_way: UnderWay) -> None:
    engine = Engine()
    engine.room = 1
    gate = ExecutorGate(under_way, ExecutionMode.DAGGER, engine)
    under_way.add(entry("local", key=("/copy", ""), mode=ExecutionMode.LOCAL))
    assert gate.reason(entry("1")) == ""
    under_way.add(entry("1"))
    assert gate.reason(entry("2")) == "the engine has no room for another run"


def test_an_executors_signal_is_passed_on(under_way: UnderWay) -> None:
    engine, heard = Engine(), list[str]()
    ExecutorGate(under_way, ExecutionMode.DAGGER, engine).watch(lambda: heard.append("changed"))
    engine.changed()
    assert heard == ["changed"]
