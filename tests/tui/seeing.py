"""What stands on the screen, and waiting for it."""

import asyncio
from collections.abc import Callable

from textual.app import App
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from ccterm.tui.app import CctermApp
from tests.support.waiting import until
from tests.tui.stage import Stage

LIMIT = 20.0
PAUSE = 0.04
"""Rendering the screen as text costs more than most of what is waited for."""


def text_of(app: App[None]) -> str:
    """Return the screen as text."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def sees(pilot: Pilot[None], *words: str) -> None:
    """Wait until all these words stand on the screen, wherever a line is broken."""
    await _look(pilot, lambda text: all(_stands(word, text) for word in words))


async def sees_no(pilot: Pilot[None], *words: str) -> None:
    """Wait until none of these words stands on the screen."""
    await _look(pilot, lambda text: not any(_stands(word, text) for word in words))


def _stands(words: str, text: str) -> bool:
    return words in text or words in " ".join(text.split())


async def _look(pilot: Pilot[None], right: Callable[[str], bool]) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            while not right(text_of(pilot.app)):  # noqa: ASYNC110 - what is painted has no event of its own
                await asyncio.sleep(PAUSE)
    except TimeoutError as error:
        error.add_note(text_of(pilot.app))
        raise


async def asked(stage: Stage, *order: str) -> None:
    """Wait until the service was given this order."""
    await until(lambda: order in stage.orders, limit=10)


async def typed(pilot: Pilot[None], text: str) -> None:
    """Type a text as fast as a terminal hands on what is pasted into it: waiting after each key would cost seconds."""
    for letter in text:
        pilot.app.post_message(
            Key({" ": "space", "\n": "enter"}.get(letter) or _character_to_key(letter), "\r" if letter == "\n" else letter)
        )
    await pilot.pause()


def the_app(pilot: Pilot[None]) -> CctermApp:
    """Return the app by its own type."""
    assert isinstance(pilot.app, CctermApp)
    return pilot.app


async def breathe(pilot: Pilot[None]) -> None:
    """Let everything that is under way be painted."""
    await pilot.pause()
    await asyncio.sleep(0)
    await pilot.pause()
