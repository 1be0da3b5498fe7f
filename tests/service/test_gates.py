"""Each gate's reason, and its signal."""

from collections.abc import Callable

import pytest

from ccterm.models import BatchId, ExecutionMode, RunId
from ccterm.service.gates import (
    BusyGate,
    CapacityGate,
    DescriptorGate,
    ExecutorGate,
    QueueEntry,
    RepositoryGate,
    RoomGate,
    UnderWay,
    descriptors_for,
)


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
    run: str,
    *,
    key: tuple[str, str] = ("host/repo", "x"),
    at_once: int | None = None,
    engine: Engine | None = None,
    pool: int | None = None,
    on_remote: int | None = None,
) -> QueueEntry:
    return QueueEntry(
        RunId(run),
        BatchId("b"),
        key,
        ExecutionMode.DAGGER,
        at_once=at_once,
        executor=engine,
        pool=pool,
        on_remote=on_remote,
        label=f"#{run}",
    )


@pytest.fixture
def under_way() -> UnderWay:
    return UnderWay()


def test_a_busy_branch_names_the_run_that_has_it(under_way: UnderWay) -> None:
    gate, first = BusyGate(under_way), entry("1")
    under_way.add(first)
    assert gate.reason(entry("2")) == "branch busy (#1)"
    assert gate.reason(entry("2", key=("host/repo", "y"))) == ""
    under_way.remove(first)
    assert gate.reason(entry("2")) == ""


def test_a_busy_working_copy_is_reported_as_such(under_way: UnderWay) -> None:
    under_way.add(entry("1", key=("/copy", "")))
    assert BusyGate(under_way).reason(entry("2", key=("/copy", ""))) == "working copy busy (#1)"


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
    assert CapacityGate(under_way).reason(entry("new", at_once=own, pool=limit)) == ("" if free else "waiting for a free slot")


def test_a_wide_batch_makes_room_for_others_while_it_is_under_way(under_way: UnderWay) -> None:
    gate, wide, next_one = CapacityGate(under_way), entry("1", at_once=3), entry("2", pool=1)
    under_way.add(wide)
    assert gate.reason(next_one) == ""
    under_way.remove(wide)
    under_way.add(entry("1"))
    assert gate.reason(next_one) == "waiting for a free slot"


def test_the_pool_is_as_large_as_whoever_submitted_the_run_has_it(under_way: UnderWay) -> None:
    under_way.add(entry("1", pool=1))
    assert CapacityGate(under_way).reason(entry("2", pool=1)) == "waiting for a free slot"
    assert CapacityGate(under_way).reason(entry("2", pool=2)) == ""


def test_runs_of_an_engine_that_is_away_wait_and_those_elsewhere_do_not() -> None:
    engine = Engine()
    engine.gone = "the Dagger engine is gone"
    gate = ExecutorGate(engine.watch)
    assert gate.reason(entry("1", engine=engine)) == "the Dagger engine is gone"
    assert gate.reason(entry("1", engine=Engine())) == gate.reason(entry("1")) == ""


def test_a_full_engine_makes_the_next_run_wait_and_counts_its_own_alone(under_way: UnderWay) -> None:
    engine = Engine()
    engine.room = 1
    gate = RoomGate(under_way)
    assert gate.reason(entry("1")) == ""
    under_way.add(entry("elsewhere", key=("/copy", ""), engine=Engine()))
    assert gate.reason(entry("1", engine=engine)) == ""
    under_way.add(entry("1", engine=engine))
    assert gate.reason(entry("2", engine=engine)) == "the engine has no room for another run"


def test_an_executors_signal_is_passed_on() -> None:
    engine, heard = Engine(), list[str]()
    ExecutorGate(engine.watch).watch(lambda: heard.append("changed"))
    engine.changed()
    assert heard == ["changed"]


@pytest.mark.parametrize(("limit", "fit"), [pytest.param(20, 1, id="one always goes"), (64, 1), (256, 24), (descriptors_for(40), 40)])
def test_only_as_many_runs_go_at_once_as_there_are_file_descriptors_for(under_way: UnderWay, limit: int, fit: int) -> None:
    gate = DescriptorGate(under_way, limit)
    for number in range(fit):
        assert gate.reason(entry("new")) == ""
        under_way.add(entry(str(number), key=("host/repo", str(number))))
    assert gate.reason(entry("new")).startswith(f"{limit} file descriptors are enough for {fit} run")


def test_a_repository_has_a_limit_of_its_own(under_way: UnderWay) -> None:
    gate = RepositoryGate(under_way)
    first = entry("1", on_remote=1)
    under_way.add(entry("2", key=("host/other", "x")))
    assert gate.reason(first) == ""
    under_way.add(first)
    assert gate.reason(entry("3", key=("host/repo", "y"), on_remote=1)) == "waiting for a free slot of the repository (max_concurrent = 1)"
    assert gate.reason(entry("3", key=("host/other", "y"))) == ""
    under_way.remove(first)
    assert gate.reason(entry("3", key=("host/repo", "y"), on_remote=1)) == ""


def test_runs_that_wait_for_their_turn_are_queued_and_others_are_held() -> None:
    assert [gate.turn for gate in (CapacityGate, DescriptorGate, RepositoryGate, RoomGate)] == [True] * 4
    assert [gate.turn for gate in (BusyGate, ExecutorGate)] == [False] * 2


def test_a_run_that_waits_for_its_user_has_no_slot_and_its_gate_says_so(under_way: UnderWay) -> None:
    first, gate, signals = entry("1", pool=1, at_once=1), CapacityGate(under_way), list[bool]()
    gate.watch(lambda: signals.append(True))
    under_way.add(first)
    under_way.set_idle(first.run, idle=True)
    assert (gate.reason(entry("2", pool=1, at_once=1)), signals) == ("", [True])
    under_way.set_idle(first.run, idle=False)
    assert gate.reason(entry("2", pool=1, at_once=1)) == "waiting for a free slot"
    under_way.set_idle(first.run, idle=True)
    under_way.remove(first)
    assert (under_way.at_work(), len(under_way)) == (0, 0)
