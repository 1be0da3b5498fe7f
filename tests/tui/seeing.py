"""What stands on the screen, and waiting for it."""

import asyncio

from textual.app import App
from textual.pilot import Pilot

from ccterm.tui.app import CctermApp
from tests.support.waiting import until
from tests.tui.stage import Stage


def text_of(app: App[None]) -> str:
    """Return the screen as text."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def sees(pilot: Pilot[None], *words: str) -> None:
    """Wait until all these words stand on the screen."""
    try:
        await until(lambda: all(word in text_of(pilot.app) for word in words), limit=10)
    except TimeoutError as error:
        error.add_note(text_of(pilot.app))
        raise


async def sees_no(pilot: Pilot[None], *words: str) -> None:
    """Wait until none of these words stands on the screen."""
    await until(lambda: not any(word in text_of(pilot.app) for word in words), limit=10)


async def asked(stage: Stage, *order: str) -> None:
    """Wait until the service was given this order."""
    await until(lambda: order in stage.orders, limit=10)


async def typed(pilot: Pilot[None], text: str) -> None:
    """Type a text."""
    await pilot.press(*("space" if letter == " " else "enter" if letter == "\n" else letter for letter in text))


def the_app(pilot: Pilot[None]) -> CctermApp:
    """Return the app by its own type."""
    assert isinstance(pilot.app, CctermApp)
    return pilot.app


async def breathe(pilot: Pilot[None]) -> None:
    """Let everything that is under way be painted."""
    await pilot.pause()
    await asyncio.sleep(0)
    await pilot.pause()
