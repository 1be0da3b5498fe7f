"""The text on the screen and what the service was asked to do, and waiting for both."""

import asyncio
from collections.abc import Callable

from textual._context import visible_screen_stack
from textual.app import App
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from ccterm.models import Run
from ccterm.tui.app import CctermApp
from ccterm.tui.widgets.field import Field
from tests.support.waiting import until
from tests.tui.fake_service import FakeService

LIMIT = 90.0
PAUSE = 0.06
"""Rendering the screen as text costs more than most of what is waited for."""


def screen_text(app: App[None]) -> str:
    """Return the screen as text, with what is below a dialog: what is rendered here is what will be painted."""
    visible_screen_stack.set(app._background_screens)
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def wait_for_text(pilot: Pilot[None], *texts: str) -> None:
    """Wait until all these texts are on the screen, wherever their lines are broken."""
    await _wait(pilot, lambda screen: all(_contains(screen, text) for text in texts))


async def wait_until_gone(pilot: Pilot[None], *texts: str) -> None:
    """Wait until none of these texts is on the screen."""
    await _wait(pilot, lambda screen: not any(_contains(screen, text) for text in texts))


def _contains(screen: str, text: str) -> bool:
    return text in screen or text in " ".join(screen.split())


async def _wait(pilot: Pilot[None], right: Callable[[str], bool]) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            while not right(screen_text(pilot.app)):  # noqa: ASYNC110 - Textual has no event for what was painted
                await asyncio.sleep(PAUSE)
    except TimeoutError as error:
        error.add_note(screen_text(pilot.app))
        raise


async def wait_for_call(service: FakeService, *call: str) -> None:
    """Wait until the service was asked to do this."""
    await until(lambda: call in service.calls)


def field_of(pilot: Pilot[None], name: str) -> Field:
    """Return a field of the form that is on the screen."""
    return pilot.app.screen.query_one(f"#{name}", Field)


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Type a text as fast as a terminal passes on what is pasted, and wait until all of it has come: after each key would take seconds."""
    for letter in text:
        pilot.app.post_message(
            Key({" ": "space", "\n": "enter"}.get(letter) or _character_to_key(letter), "\r" if letter == "\n" else letter)
        )
    await pilot.pause()
    taken = asyncio.Event()
    pilot.app.call_later(taken.set)
    await taken.wait()
    if isinstance(pilot.app, CctermApp):
        await until(lambda: as_ccterm(pilot).keys.idle)


def as_ccterm(pilot: Pilot[None]) -> CctermApp:
    """Return the app by its own type."""
    assert isinstance(pilot.app, CctermApp)
    return pilot.app


async def settle(pilot: Pilot[None]) -> None:
    """Let the app handle and paint everything that is pending."""
    await pilot.pause()
    await asyncio.sleep(0)
    await pilot.pause()


async def all_told(pilot: Pilot[None], service: FakeService, run: Run) -> None:
    """Wait until nothing more of a run that has ended will be told by itself."""
    app, recorded = as_ccterm(pilot), await service.find(run.id)
    await until(lambda: app.runs[run.id].run is recorded and not app._changed)
    await settle(pilot)
