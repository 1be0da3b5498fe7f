"""Every key of every screen, in every state of a run, does something that one sees, or says why it cannot. The keys come from the app itself."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from textual.binding import ActiveBinding
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from ccterm.events import Held
from ccterm.settings import Settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from tests.support.waiting import until
from tests.tui.fake_service import FakeService
from tests.tui.on_screen import screen_text, settle
from tests.tui.run_events import ask_permission, fail, offer_changes, push, refuse, start_agent, wait_for_input

MOVES = {
    "scroll_rows", "scroll_pages", "scroll_start", "scroll_up", "scroll_down", "scroll_home", "scroll_end", "follow", "page_up", "page_down",
    "cursor_up", "cursor_down", "cursor_previous_sibling", "cursor_next_sibling", "cursor_parent", "cursor_parent_next_sibling", "first", "last",
    "move", "move_page", "move_to", "page", "page_left", "page_right", "scroll_left", "scroll_right", "sideways", "focus_next", "focus_previous",
    "copy_text",
}  # fmt: skip
"""Actions that move through what is shown: it is seen that there is no more of it. And Textual's own key for copying."""
KEPT_FOR_LATER = ("escape", "q", "ctrl+c", "ctrl+q")
"""Keys that lead back and out; a test of their own each."""
STATES: dict[str, Callable[[FakeService], object]] = {
    "none": lambda _: None,
    "queued": lambda service: service.add_run("one"),
    "held": lambda service: service.emit(service.add_run("one").id, Held(reason="branch busy")),
    "running": lambda service: start_agent(service, service.add_run("one")),
    "waiting": lambda service: wait_for_input(service, service.add_run("one")),
    "asking": lambda service: ask_permission(service, start_agent(service, service.add_run("one"))),
    "pushed": lambda service: push(service, service.add_run("one")),
    "refused": lambda service: refuse(service, service.add_run("one")),
    "failed": lambda service: fail(service, service.add_run("one")),
    "offering": offer_changes,
}
SCREENS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # screen: the keys that open it, and the states in which its keys are pressed
    "fleet": ((), tuple(STATES)),
    "run": (("enter",), ("running", "asking", "pushed", "refused")),
    "diff": (("d",), ("running", "pushed")),
    "facts": (("enter", "tab"), ("pushed",)),
    "table": (("t",), ("none", "waiting", "pushed")),
    "history": (("H",), ("none", "pushed")),
    "checks": (("p",), ("none",)),
    "form": (("n",), ("none",)),
}
PLACES = [
    pytest.param(state, keys, id=f"{screen}-{state}", marks=[] if (state, screen) == ("none", "fleet") else [pytest.mark.slow])
    for screen, (keys, states) in SCREENS.items()
    for state in states
]


@asynccontextmanager
async def opened(service: FakeService, keys: tuple[str, ...]) -> AsyncIterator[Pilot[None]]:
    """Run the app and open a screen of it."""
    app = CctermApp.provided_with(Settings.model_validate({"mode": "local"}), memory=Memory(None), checks=False, clock=service.clock)
    await service.settle()
    async with app.run_test(size=(120, 32), notifications=True) as pilot:
        app.connected(service)
        runs = await service.runs()
        await until(lambda: len(app.runs) == len(runs))
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        yield pilot


def action(active: ActiveBinding) -> str:
    return active.binding.action.split("(")[0].rpartition(".")[2]


def keys_of(app: CctermApp) -> Iterator[tuple[str, ActiveBinding]]:
    """Yield the keys that the screen has, whether they can do anything now or not."""
    for key, active in app.screen.active_bindings.items():
        edits = isinstance(active.node, Input | TextArea)
        if action(active) not in MOVES and key not in KEPT_FOR_LATER and not edits:
            yield key, active


def seen(app: CctermApp, service: FakeService) -> tuple[object, ...]:
    """Return all that a key could change for the user."""
    return app.screen, app.focused, screen_text(app), tuple(service.calls), app.clipboard, app.theme, app.runs.last


class Keys:
    """Presses the keys of a screen one after the other, and notes which of them do nothing."""

    def __init__(self) -> None:
        self.idle: list[str] = []
        self._pressed: set[str] = set()

    async def press_all(self, pilot: Pilot[None], service: FakeService) -> bool:
        """Press keys until one has changed what cannot be put back. Returns whether all have been pressed."""
        app = pilot.app
        assert isinstance(app, CctermApp)
        screen, focused, calls = app.screen, app.focused, len(service.calls)
        while len(service.calls) == calls and app.screen is screen and app.focused is focused:
            found = next(((key, active) for key, active in keys_of(app) if key not in self._pressed), None)
            if found is None:
                return True
            self._pressed.add(found[0])
            if not await does_something(pilot, service, found[0]):
                self.idle.append(f"{found[0]}: {type(found[1].node).__name__} {found[1].binding.action}")
            while len(app.screen_stack) > 1 and app.screen is not screen and screen in app.screen_stack:
                app.pop_screen()
                await settle(pilot)
        return False


async def does_something(pilot: Pilot[None], service: FakeService, key: str) -> bool:
    """Press a key. Returns whether the user can see what it did, or why it did nothing."""
    app = pilot.app
    assert isinstance(app, CctermApp)
    app.runs.last = None
    before = seen(app, service)
    await pilot.press(key)
    try:
        await until(lambda: seen(app, service) != before, limit=10)  # which no key of a right screen takes
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(("state", "opening"), PLACES)
async def test_every_key_does_something_or_says_why_not(state: str, opening: tuple[str, ...], tmp_path: Path) -> None:
    keys = Keys()
    for number in count():
        service = FakeService(tmp_path / str(number))
        STATES[state](service)
        async with opened(service, opening) as pilot:
            complete = await keys.press_all(pilot, service)
        await service.close()
        if complete:
            break
    assert keys.idle == []
