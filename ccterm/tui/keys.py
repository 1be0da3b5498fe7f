"""Keys in order: each reaches the app once all that the one before it caused has been done.

Textual hands a key through the queues of the widgets, and a screen that it opens is made in its own time. Without this, keys that come
faster than that, as over ssh or from a paste without brackets, would go to the screen below.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from textual import events
from textual.app import App, ScreenStackError
from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.widget import Widget

PATIENCE_SECONDS = 2.0
"""How long a key may take before the next one is let through."""
LOOK_SECONDS = 0.01
"""How often it is looked whether what is waited for is still there."""
Typed = events.Key | events.Paste


class Finishing(Protocol):
    """What tells whether it has ended; a worker of Textual's does."""

    @property
    def is_finished(self) -> bool:
        """Whether it has ended."""
        ...


class KeysInOrder:
    """Lets the app have one key after the other."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._waiting: deque[Typed] = deque()
        self._passed: deque[Typed] = deque()
        """Keys whose turn has come, and which the app is about to meet again."""
        self._came = asyncio.Event()
        self._held, self._running = True, False
        self._opening: list[Finishing] = []
        self.any_came = False
        """Whether the user has typed anything yet."""
        self.idle = True
        """Whether all keys that came have had their effects."""

    def take(self, key: Typed) -> bool:
        """Return whether the app is to handle a key now; one that has to wait comes back as a message when its turn has come."""
        if self._passed and self._passed[0] is key:
            self._passed.popleft()
            return True
        self.any_came = True
        if not self._held and (self.idle or not self._running):
            self.idle = False
            self._came.set()
            return True
        self._waiting.append(key)
        return False

    def wait_for(self, worker: Finishing) -> None:
        """Have the keys that follow wait until a worker has ended: it opens or closes a screen on its way."""
        self._opening.append(worker)

    async def run(self) -> None:
        """Let keys through until it is cancelled, first those that came before."""
        self._held, self._running = False, True
        if self._waiting:
            self.idle = False
            self._came.set()
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                await self._settle()
                while self._waiting:
                    self._pass_on()
                    await self._settle()
                self.idle = True
        finally:
            self._running = False

    def _pass_on(self) -> None:
        """Let the next key through, and with it those that only write into the same input."""
        while self._waiting:
            key = self._waiting.popleft()
            self._passed.append(key)
            self._app.post_message(key)
            if not (self._waiting and self._is_text(key) and self._is_text(self._waiting[0])):
                return

    def _is_text(self, key: Typed) -> bool:
        focused = self._app.focused
        return focused is not None and isinstance(key, events.Key) and focused.check_consume_key(key.key, key.character)

    async def _settle(self) -> None:
        """Wait until the key that the app has got has had all its effects: twice in a row nothing was left to do, on the same screen."""
        with suppress(ScreenStackError):  # an app that ends has no screen
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._all_effects()
            except TimeoutError:
                self._opening.clear()

    async def _all_effects(self) -> None:
        before: object = None
        while True:
            place = self._place()
            for pump in self._on_its_way():
                await _caught_up(pump)
            await self._opened()
            if place == before == self._place() and await self._all_mounted():
                return
            before = place

    def _place(self) -> tuple[object, object]:
        return self._app.screen, self._app.screen.focused

    def _on_its_way(self) -> Iterator[DOMNode]:
        """Yield what a key passes: the app, what has the focus, and all that it is in, up to the app again."""
        yield self._app
        yield from (self._app.screen.focused or self._app.screen).ancestors_with_self

    async def _all_mounted(self) -> bool:
        """Return whether all of the screen is there; else give it a moment: what is mounted last may take the focus."""
        mounted = all(widget.is_mounted for widget in self._app.screen.walk_children(Widget))
        if not mounted:
            await asyncio.sleep(LOOK_SECONDS)
        return mounted

    async def _opened(self) -> None:
        while self._opening:
            if self._opening[0].is_finished:
                self._opening.pop(0)
            else:
                await asyncio.sleep(LOOK_SECONDS)


async def _caught_up(pump: MessagePump) -> None:
    """Wait until a widget has handled what it has been sent, or is gone."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    if not pump.call_later(done.set_result, None):
        return
    while not done.done() and pump.is_running and pump.is_attached:
        await asyncio.wait((done,), timeout=LOOK_SECONDS)
