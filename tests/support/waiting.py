"""Waiting for something to happen, with a limit, where a sleep would be a guess."""

import asyncio
import time
from collections.abc import Callable

LIMIT = 90.0
PAUSE = 0.01


def wait_until(happened: Callable[[], object], limit: float = LIMIT) -> None:
    """Block until `happened()` is true. Raises TimeoutError after `limit` seconds."""
    end = time.monotonic() + limit
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"did not happen within {limit:g} s")
        time.sleep(PAUSE)


async def until(happened: Callable[[], object], limit: float = LIMIT) -> None:
    """Let the loop run until `happened()` is true. Raises TimeoutError after `limit` seconds."""
    async with asyncio.timeout(limit):
        while not happened():  # noqa: ASYNC110 - what a test waits for has no event
            await asyncio.sleep(PAUSE)
