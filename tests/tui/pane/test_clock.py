from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.app import App
from textual.screen import Screen

from ccterm.tui.pane.clock import BEAT, QUIET, ROWS_A_PASS, SHARE, TICK, FrameClock
from tests.support.waiting import until
from tests.tui.pane.slow_terminal import SlowTerminal


class FixedTime:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class FakePane:
    """A pane that has something new when a test says so, and counts how often it is painted."""

    def __init__(self, *, first: bool = False, height: int = 10) -> None:
        self.is_focused = first
        self.height = height
        self.news = False
        self.paints = 0

    def poll(self) -> bool:
        return self.news

    def frame(self) -> str:
        self.paints += 1
        self.news = False
        return ""


Ticking = tuple[FrameClock, Callable[[float], None]]


@asynccontextmanager
async def ticking(*panes: FakePane) -> AsyncIterator[Ticking]:
    """Yield a clock with these panes, and a function that lets time pass with something new for all panes before each tick."""
    time = FixedTime()
    clock = FrameClock(now=time)
    app = App[None]()
    async with app.run_test():
        for pane in panes:
            clock.add(pane, app.screen)
        clock.tick()

        def spend(seconds: float) -> None:
            until = time.seconds + seconds - 1e-6
            while time.seconds < until:
                time.seconds += TICK
                for pane in panes:
                    pane.news = True
                clock.tick()

        yield clock, spend
        for pane in panes:
            clock.remove(pane)


async def test_the_focused_pane_is_painted_thirty_times_a_second_and_the_others_on_a_common_beat() -> None:
    first, other, third = FakePane(first=True), FakePane(), FakePane()
    async with ticking(first, other, third) as (clock, spend):
        spend(2.0)
    assert first.paints == 60
    assert 15 <= other.paints <= 2 / BEAT + 1
    assert other.paints == third.paints
    assert clock.frames == 60


async def test_no_frame_is_painted_without_anything_new() -> None:
    pane = FakePane(first=True)
    async with ticking(pane) as (clock, _):
        for _ in range(50):
            clock.tick()
        assert (clock.frames, pane.paints) == (0, 0)


async def test_a_pane_that_was_quiet_is_painted_at_once() -> None:
    pane, other = FakePane(), FakePane()
    time = FixedTime()
    clock = FrameClock(now=time)
    app = App[None]()

    def tick(*news: FakePane, after: float = TICK) -> tuple[int, int]:
        time.seconds += after
        for each in news:
            each.news = True
        clock.tick()
        return pane.paints, other.paints

    async with app.run_test():
        clock.add(pane, app.screen)
        clock.add(other, app.screen)
        assert tick(other) == (0, 1)
        assert tick(other, after=QUIET + TICK) == (0, 2)
        assert tick(pane) == (1, 2)
        assert tick(other) == (1, 2)
        assert tick(after=BEAT) == (1, 3)
        clock.remove(pane)
        clock.remove(other)


async def test_painting_leaves_most_of_the_event_loops_time_to_others() -> None:
    pane = FakePane(first=True)
    async with ticking(pane) as (clock, spend):
        clock.painted(0.35)
        spend(0.35 / SHARE - 0.35 - TICK)
        assert pane.paints == 0
        spend(2 * TICK)
        assert pane.paints > 0


async def test_panes_take_turns_when_there_are_too_many_rows() -> None:
    panes = [FakePane(height=ROWS_A_PASS // 2) for _ in range(6)]
    async with ticking(*panes) as (_, spend):
        spend(3 * BEAT + 4 * TICK)
    paints = [pane.paints for pane in panes]
    assert min(paints) > 0
    assert max(paints) - min(paints) <= 1


async def test_a_pane_taller_than_one_pass_is_still_painted() -> None:
    pane = FakePane(height=10 * ROWS_A_PASS)
    async with ticking(pane) as (_, spend):
        spend(BEAT + TICK)
    assert pane.paints > 0


async def test_a_pane_on_a_screen_behind_others_waits() -> None:
    pane = FakePane(first=True)
    clock = FrameClock()
    app = App[None]()
    async with app.run_test():
        clock.add(pane, app.screen)
        await app.push_screen(Screen())
        pane.news = True
        clock.tick()
        behind = pane.paints
        await app.pop_screen()
        assert behind == 0
        await until(lambda: bool(pane.paints))  # the clock has a timer of its own
        clock.remove(pane)


@pytest.mark.parametrize("many", [0, 1, 2, 7])
async def test_no_frame_is_made_while_the_terminal_does_not_keep_up(many: int) -> None:
    pane = FakePane(first=True)
    clock = FrameClock()
    app = SlowTerminal(many)
    async with app.run_test():
        clock.add(pane, app.screen)
        pane.news = True
        clock.tick()
        assert (pane.paints, clock.dropped) == ((1, 0) if many <= 1 else (0, 1))
        clock.remove(pane)
