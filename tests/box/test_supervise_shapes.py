"""No process of an agent outlives it, whatever its shape."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.box.boxed import Running
from tests.box.conftest import Supervise
from tests.box.shapes import SHAPES
from tests.support.waiting import LIMIT, wait_until

PROGRAM = Path(__file__).with_name("shapes.py")


class Life:
    """The reading end of a pipe that every process of the agent holds open."""

    def __init__(self, tree: Path) -> None:
        os.mkfifo(tree / "life")
        self._end = os.open(tree / "life", os.O_RDONLY | os.O_NONBLOCK)

    def over(self) -> bool:
        try:
            return os.read(self._end, 1) == b""
        except BlockingIOError:
            return False


def by_kill(run: Running) -> None:
    run.order("kill")
    assert run.report()["stopped_by"] == "now"


def by_stop(run: Running) -> None:
    run.order("stop")
    assert run.report()["stopped_by"] == "asked"


def by_itself(run: Running) -> None:
    assert run.report()["exit"] == 0


def by_life_line(run: Running) -> None:
    run.cut_parent_watch()
    assert run.process.wait(LIMIT) == -9


def check_all_die(supervise: Supervise, box: Path, shape: str, end: Callable[[Running], None]) -> None:
    life = Life(box / "tree")
    stay = "leave" if end is by_itself else "stay"
    with supervise("", argv=[sys.executable, str(PROGRAM), shape, stay], termination_seconds=[0.3, 0.3, 2.0]) as run:
        run.until_said("ready")
        end(run)
        wait_until(life.over)


@pytest.mark.first_is_fast
@pytest.mark.parametrize("shape", SHAPES)
def test_no_process_outlives_a_kill(supervise: Supervise, box: Path, shape: str) -> None:
    check_all_die(supervise, box, shape, by_kill)


@pytest.mark.parametrize("end", [by_stop, by_itself, by_life_line])
def test_nor_any_other_end(supervise: Supervise, box: Path, end: Callable[[Running], None]) -> None:
    check_all_die(supervise, box, "env_cleared", end)


@pytest.mark.slow
@pytest.mark.parametrize("end", [by_kill, by_stop, by_itself, by_life_line])
@pytest.mark.parametrize("shape", SHAPES)
def test_none_in_many_rounds(
    supervise: Supervise, box: Path, shape: str, end: Callable[[Running], None], rounds: Callable[[int], int]
) -> None:
    for _ in range(rounds(12)):
        check_all_die(supervise, box, shape, end)
        (box / "tree" / "life").unlink()
        (box / "control.sock").unlink()
