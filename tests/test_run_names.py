"""What a user may type for a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.errors import UnknownRun
from ccterm.models import Run, RunId, Task, new_id, now
from ccterm.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "ccterm.db")
    yield opened
    opened.close()


def make(id: str = "", *, branch: str = "feature", before: Run | None = None) -> Run:
    run = RunId(id or new_id())
    task = Task(prompt="p", repo="/repo", remote="https://example.com/r", branch=branch)
    return Run(id=run, task=task, created=now(), attempts=(*(before.attempts if before else ()), run))


def test_runs_are_numbered_in_the_order_of_their_submission(store: Store) -> None:
    first, second = make("02"), make("01")
    assert [store.save(run) for run in (first, second, first)] == [1, 2, 1]
    assert [(run.number, run.label, run.ref) for run in store.list()] == [(1, "#1", "1"), (2, "#2", "2")]


@pytest.mark.parametrize("name", ["2", "#2"])
def test_digits_are_a_number(store: Store, name: str) -> None:
    for run in (make("22", branch="2"), make("01"), make("02")):
        store.save(run)
    assert store.find(name).id == "01"


def test_digits_that_are_no_number_may_be_a_branch(store: Store) -> None:
    store.save(make(branch="2026"))
    assert store.find("2026").number == 1


def test_a_leading_zero_begins_an_id(store: Store) -> None:
    for id in ("02", "01"):
        store.save(make(id))
    assert store.find("01").number == 2


def test_a_branch_means_its_run(store: Store) -> None:
    for run in (make(branch="fix/a"), make(branch="fix/ab")):
        store.save(run)
    assert store.find("fix/a").number == 1


def test_a_branch_on_which_runs_went_on_from_one_another_means_the_last(store: Store) -> None:
    first = make(branch="fix/a")
    for run in (first, make(branch="fix/b"), make(branch="fix/a", before=first)):
        store.save(run)
    assert store.find("fix/a").number == 3


def test_a_branch_of_several_tasks_is_refused_with_their_numbers(store: Store) -> None:
    for _ in range(2):
        store.save(make(branch="fix/a"))
    with pytest.raises(UnknownRun, match=r"^fix/a may mean #2 \(fix/a\), #1 \(fix/a\); type the number of one$"):
        store.find("fix/a")


@pytest.mark.parametrize("name", ["01ABCD", "01abcd", "01ABC"])
def test_a_run_is_found_by_a_prefix(store: Store, name: str) -> None:
    for id in ("01ABCD", "01ABDD", "02"):
        store.save(make(id))
    assert store.find(name).id == "01ABCD"


def test_a_complete_id_wins_over_a_longer_one(store: Store) -> None:
    for id in ("01AB", "01ABC", "01ABCD"):
        store.save(make(id))
    assert store.find("01AB").id == "01AB"


def test_last_is_the_run_submitted_last(store: Store) -> None:
    first, second = make("01ZZ"), make("01AA")
    for run in (first, second, first):
        store.save(run)
    assert store.find("last").id == second.id


@pytest.mark.parametrize("name", ["02", "", "%", "_", "01ABC'", "01 ABC", "*", "ünknown"])
def test_a_name_without_a_run_is_unknown(store: Store, name: str) -> None:
    store.save(make("01ABC"))
    with pytest.raises(UnknownRun, match="there is no run"):
        store.find(name)


def test_there_is_no_last_run_at_first(store: Store) -> None:
    with pytest.raises(UnknownRun, match="there is no run yet"):
        store.find("last")


def test_an_ambiguous_prefix_lists_the_candidates(store: Store) -> None:
    for id in ("01A", "01B", "02C"):
        store.save(make(id, branch=f"feature/{id}"))
    with pytest.raises(UnknownRun) as caught:
        store.find("01")
    assert caught.value.message == "01 may mean #2 (feature/01B), #1 (feature/01A)"
    assert caught.value.fix == "type the number of one"


def test_a_very_ambiguous_prefix_lists_the_newest_candidates(store: Store) -> None:
    for number in range(9):
        store.save(make(f"01{number}"))
    with pytest.raises(UnknownRun, match=r"^01 may mean #9 .*, #8 .*, #7 .*, #6 .*, #5 \(feature\), …;"):
        store.find("01")
