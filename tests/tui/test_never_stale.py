"""Whatever happens in whatever order, a screen shows what one shows that is opened only now, on the same service."""

import random
from collections.abc import Callable
from datetime import timedelta
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal

import pytest
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen

from ccterm.events import Finished, Held, Limited, Said, Waiting
from ccterm.models import CheckResult, Run, State
from ccterm.tui.pane import EventPane
from ccterm.tui.screens.preflight import PreflightScreen
from tests.support.waiting import until
from tests.tui.fake_service import FakeService
from tests.tui.fresh_app import app_on, can_be_opened_anew, caught_up, opened_anew, text_at_rest
from tests.tui.on_screen import as_ccterm, screen_text, settle
from tests.tui.run_events import ask_permission, fail, offer_changes, push, refuse, start_agent, wait_for_input

SIZES = [(80, 24), (120, 34), (40, 10), (160, 50), (100, 30)]
KEYS = [
    *("enter", "d", "t", "H", "p", "question_mark", "T", "escape", "escape", "space", "asterisk", "full_stop", "tab", "shift+tab"),
    *("1", "2", "3", "left", "right", "c", "x", "q", "u", "F", "S", "R", "A", "down", "up"),
]
FILTERS = ["feature", "state:failed", "state:running", "nowhere", "state:done", "#3"]


class World:
    """A service, an app on it, and what a dice makes of both."""

    def __init__(self, seed: int, service: FakeService, pilot: Pilot[None]) -> None:
        self.dice, self.service, self.pilot = random.Random(seed), service, pilot
        self.done: list[str] = []
        self._started = 0
        self.resized: set[Screen[Any]] = set()
        """Dialogs that were resized: Textual may keep a frame that is larger than it need be."""

    async def step(self) -> None:
        """Do something."""
        do = self.dice.choices([self.key, self.happen, self.filter, self.resize, self.daemon], [10, 10, 1, 1.5, 0.7])[0]
        await do()

    async def key(self) -> None:
        key = self.dice.choice(KEYS)
        self.done.append(key)
        await self.pilot.press(key)

    async def filter(self) -> None:
        if not hasattr(self.pilot.app.screen, "action_filter"):
            return
        words = self.dice.choice(FILTERS)
        self.done.append(f"filter {words}")
        await self.pilot.press(
            "f",
            *["space" if letter == " " else "colon" if letter == ":" else "number_sign" if letter == "#" else letter for letter in words],
        )
        if self.dice.random() < 0.8:
            await self.pilot.press("enter")

    async def resize(self) -> None:
        size = self.dice.choice(SIZES)
        self.done.append(f"resize {size}")
        self.resized = {screen for screen in self.pilot.app.screen_stack if isinstance(screen, ModalScreen)}
        await self.pilot.resize_terminal(*size)

    async def daemon(self) -> None:
        app = as_ccterm(self.pilot)
        self.done.append(f"daemon lost: {not app.without_daemon}")
        (app.daemon_there if app.without_daemon else app.daemon_lost)()

    async def happen(self) -> None:
        """Let something happen to a run, or to another one."""
        kind = self.dice.choice(["add", "add", "go", "go", "end", "end", "review", "check", "later"])
        await getattr(self, f"_{kind}")()

    def _some(self, which: Callable[[Run], bool]) -> Run | None:
        found = [run for run in self.service.all_runs if which(run)]
        return self.dice.choice(found) if found else None

    async def _add(self) -> None:
        self._started += 1
        run = self.service.add_run(f"feature/{self._started}")
        self.done.append(f"add {run.label}")

    async def _go(self) -> None:
        run = self._some(lambda run: not run.state.final)
        if run is None:
            return await self._add()
        does = self.dice.choice(["start", "say", "wait", "ask", "hold", "limit", "on"])
        self.done.append(f"{does} {run.label}")
        emit = self.service.emit
        match does:
            case "start":
                start_agent(self.service, run)
            case "say":
                emit(run.id, Said(text=f"Word {self.dice.random()}"))
            case "wait":
                wait_for_input(self.service, run)
            case "ask":
                ask_permission(self.service, start_agent(self.service, run), key=f"q{self.dice.random()}")
            case "hold" if run.state is State.QUEUED:
                emit(run.id, Held(reason="branch busy"))
            case "on":
                emit(run.id, Waiting(until=None))
            case "limit":
                at = self.service.clock() + timedelta(hours=1)
                emit(run.id, Limited(limit="five_hour", status="allowed", utilization=self.dice.random(), resets_at=at))
        return None

    async def _end(self) -> None:
        run = self._some(lambda run: not run.state.final)
        if run is None:
            return
        does = self.dice.choice(["push", "fail", "refuse", "cancel", "offer"])
        self.done.append(f"{does} {run.label}")
        match does:
            case "push":
                push(self.service, run)
            case "fail":
                fail(self.service, run)
            case "refuse":
                refuse(self.service, run)
            case "cancel":
                self.service.emit(run.id, Finished(state=State.CANCELLED, summary="cancelled by the user"))
            case "offer":
                offer_changes(self.service)

    async def _review(self) -> None:
        """Review a run in another terminal, or go on with it there."""
        run = self._some(lambda run: run.state.final and not run.reviewed)
        if run is None:
            return
        goes_on = self.dice.random() < 0.5
        self.done.append(f"elsewhere: {'continue' if goes_on else 'review'} {run.label}")
        self.service.change(run.id, reviewed=True)
        if goes_on:
            self._started += 1
            further = self.service.add_run(f"feature/{self._started}")
            self.service.change(further.id, continues=run.id)

    async def _check(self) -> None:
        status: Literal["pass", "fail"] = self.dice.choice(("pass", "fail"))
        self.done.append(f"checks {status}")
        self.service.check_results = [
            CheckResult(name="login", group="claude", status=status, text=f"login {status}", fix="" if status == "pass" else "claude login")
        ]

    async def _later(self) -> None:
        self.done.append("later")
        self.service.clock.forward(minutes=self.dice.choice([1, 70]))


LATEST = 20.0
"""Seconds after which a screen shows what was done elsewhere, at the latest."""


async def same_as_opened_anew(world: World, service: FakeService, pilot: Pilot[None]) -> None:
    """Compare the screen with one that is opened now."""
    while not all(can_be_opened_anew(screen) and screen not in world.resized for screen in pilot.app.screen_stack):
        await pilot.press("escape")
        await settle(pilot)
    await caught_up(pilot, service)
    for screen in pilot.app.screen_stack:
        for pane in screen.query(EventPane):  # where one is in a transcript, and what is searched for there, is the user's own
            pane._close_prompt()
            pane.action_follow()
        if isinstance(screen, PreflightScreen):
            screen.check()  # what was fine is checked again only when the user says so
    async with opened_anew(pilot, service) as other:
        await text_at_rest(other)
        try:
            await until(lambda: screen_text(pilot.app) == screen_text(other.app), limit=LATEST)
        except TimeoutError:
            shown, anew = screen_text(pilot.app).split("\n"), screen_text(other.app).split("\n")
            difference = "\n".join(unified_diff(shown, anew, "shown", "opened now", lineterm="", n=1))
            screens = [type(screen).__name__ for screen in pilot.app.screen_stack]
            pytest.fail(f"{world.done}\n{screens}\n{difference}")


async def play(seed: int, service: FakeService, *, steps: int, compared: float) -> None:
    """Do so many things, and compare the screen at the end, and with this probability after each of them."""
    app = app_on(service)
    async with app.run_test(size=(120, 34)) as pilot:
        app.connected(service)
        await until(lambda: app.runs.known)
        world = World(seed, service, pilot)
        for _ in range(steps):
            await world.step()
            if not app.is_running or not app.screen_stack:
                return
            if world.dice.random() < compared:
                await same_as_opened_anew(world, service, pilot)
        await same_as_opened_anew(world, service, pilot)


async def test_a_screen_shows_what_one_shows_that_is_opened_now(service: FakeService) -> None:
    await play(1, service, steps=12, compared=0)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
async def test_in_many_orders_a_screen_shows_what_one_shows_that_is_opened_now(
    part: int, tmp_path: Path, rounds: Callable[[int], int]
) -> None:
    for number in range(rounds(2)):
        service = FakeService(tmp_path / str(number))
        await play(20 * number + part, service, steps=25, compared=0.15)
        await service.close()
