"""Which runs get a pane, at every size."""

import pytest

from ccterm.causes import Cause
from ccterm.models import ExecutionMode, Run, RunId, State, Task
from ccterm.tui.layout import Grid, arrange, capacity, grid
from ccterm.tui.run_filter import matches
from ccterm.tui.run_view import RunView
from tests.tui.fake_service import NOON

RUNNING, QUEUED, DONE, FAILED = State.RUNNING, State.QUEUED, State.SUCCEEDED, State.FAILED
ROOM = (120, 22)


def view(number: int, state: State = RUNNING, **more: object) -> RunView:
    task = Task(prompt="Fix it", repo="/r", branch=f"b/{number}", execution_mode=ExecutionMode.LOCAL, model="sonnet")
    given = {"id": RunId(f"R{number}"), "task": task, "created": NOON, "state": state, "cause": Cause.AUTH if state is FAILED else None}
    return RunView(Run.model_validate(given | more))


def panes(
    views: list[RunView], *, focused: int = 0, pinned: tuple[int, ...] = (), shown: tuple[int, ...] = (), size: tuple[int, int] = ROOM
) -> list[str]:
    found = arrange(
        views, size=size, focused=RunId(f"R{focused}"), pinned=[RunId(f"R{n}") for n in pinned], shown=[RunId(f"R{n}") for n in shown]
    )
    assert sorted([*found.panes, *found.listed, *found.done]) == sorted(one.run.id for one in views)
    return [run.removeprefix("R") for run in found.panes]


@pytest.mark.parametrize(
    ("size", "fits"),
    [((80, 15), (1, 1)), ((120, 22), (2, 2)), ((160, 33), (2, 2)), ((200, 35), (3, 2)), ((260, 70), (3, 3)), ((20, 3), (1, 1))],
)
def test_as_many_panes_as_fit(size: tuple[int, int], fits: tuple[int, int]) -> None:
    assert capacity(*size) == fits


@pytest.mark.parametrize(
    ("count", "laid"),
    [(0, Grid(1, 1)), (1, Grid(1, 1)), (2, Grid(2, 1)), (3, Grid(3, 1)), (4, Grid(2, 2)), (5, Grid(3, 2, tall=True)), (6, Grid(3, 2))],
)
def test_panes_are_spread_evenly(count: int, laid: Grid) -> None:
    assert grid(count, 3, 2) == laid


def test_running_ones_have_panes_and_quiet_ones_are_folded() -> None:
    views = [view(0), view(1, DONE), view(2), view(3, QUEUED), view(4, DONE), view(5)]
    assert panes(views) == ["0", "2", "5"]


def test_quiet_ones_have_panes_too_while_there_is_room_for_all() -> None:
    assert panes([view(0), view(1, DONE), view(2, QUEUED)]) == ["0", "2", "1"]


def test_waiting_and_failed_runs_come_before_running_ones() -> None:
    views = [*(view(n) for n in range(6)), view(6, FAILED), view(7, waiting_until=NOON)]
    assert panes(views) == ["7", "6", "0", "1"]


def test_runs_that_need_attention_take_at_most_half_of_the_panes() -> None:
    views = [*(view(n) for n in range(3)), *(view(n, FAILED) for n in range(3, 8))]
    assert panes(views) == ["3", "4", "0", "1"]
    assert panes(views, focused=5) == ["3", "5", "0", "1"]


def test_panes_that_no_running_one_needs_go_to_more_that_need_attention() -> None:
    assert panes([view(0), *(view(n, FAILED) for n in range(1, 9))]) == ["1", "2", "3", "0"]


def test_lines_are_in_order_and_those_that_are_done_share_one() -> None:
    views = [view(0, DONE), view(1, QUEUED), view(2, DONE), view(3), view(4, FAILED), view(5, waiting_until=NOON)]
    found = arrange(views, size=(80, 15), focused=RunId("R3"), pinned=(), shown=())
    assert found.panes == ("R3",)
    assert found.listed == ("R5", "R4", "R1")
    assert found.done == ("R0", "R2")


def test_a_single_run_that_is_done_has_its_own_line() -> None:
    found = arrange([view(0), view(1, DONE)], size=(80, 15), focused=RunId("R0"), pinned=(), shown=())
    assert (found.listed, found.done) == (("R1",), ())


def test_a_reviewed_failure_is_quiet() -> None:
    assert panes([*(view(n) for n in range(5)), view(5, FAILED, reviewed=True)]) == ["0", "1", "2", "3"]


def test_a_run_that_has_a_pane_keeps_it() -> None:
    assert panes([view(n) for n in range(8)], focused=7, shown=(4, 5, 6, 7)) == ["4", "5", "6", "7"]


def test_focused_and_pinned_runs_always_have_panes() -> None:
    views = [*(view(n) for n in range(6)), view(6, DONE), view(7, QUEUED)]
    assert panes(views, focused=6, pinned=(7,)) == ["0", "1", "7", "6"]


def test_without_room_for_two_the_focused_one_is_shown() -> None:
    assert panes([view(n) for n in range(5)], focused=3, size=(80, 15)) == ["3"]


def test_when_all_are_quiet_one_still_has_a_pane() -> None:
    assert panes([view(n, DONE) for n in range(9)], focused=99) == ["0"]


@pytest.mark.parametrize(
    ("words", "held"),
    [
        ("", True),
        ("b/3", True),
        ("FIX failed", True),
        ("auth sonnet", True),
        ("waiting", False),
        ("b/4", False),
        ("state:fail", True),
        ("state:running", False),
        ("repo:/R b/3", True),
        ("repo:shop", False),
        ("batch:12", True),
        ("batch:#12", True),
        ("batch:1", False),
    ],
)
def test_the_filter_matches_words_and_fields(words: str, held: bool) -> None:
    run = view(3, FAILED)
    run.batch = "#12"
    assert matches(run, words.split()) is held
