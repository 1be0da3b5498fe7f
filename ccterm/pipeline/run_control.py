"""Control over a run while it runs: what a user can ask of it, brought to the step that is running."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Literal, TypeVar

from ccterm.box.protocol import Order
from ccterm.executors.control import Control
from ccterm.values import Decision

T = TypeVar("T")
Ask = Literal["", "stop", "now"]
Stops = Literal["always", "later", "never"]
"""Which orders to stop end a step, apart from `now`: all, only those that come while it runs (an earlier one made it the next step), or none."""


class StoppedEarly(Exception):
    """The user cancelled the run. now: keep nothing."""

    def __init__(self, *, now: bool) -> None:
        super().__init__()
        self.now = now


class RunControl:
    """Takes a user's orders for one run and passes them to its current step.

    `stop` lets the agent's work be committed; `now` kills whatever runs and keeps nothing.
    """

    def __init__(self) -> None:
        self.asked: Ask = ""
        self.record_failed = asyncio.Event()
        """Set when the run can no longer be recorded: it is then stopped as if by the user."""
        self.look: Callable[[], Awaitable[None]] | None = None
        """Brings the patch of what the agent has changed up to date, while one works. Raises StepError."""
        self.looked = asyncio.Event()
        """Set when the supervisor says that a checkpoint which was ordered has been made."""
        self._step: asyncio.Task[object] | None = None
        self._stops: Stops = "never"
        self._control: Control | None = None
        self._said: dict[str, str] = {}
        """The messages without an answer, by their keys."""

    async def guard(self, step: Coroutine[None, None, T], *, stops: Stops = "always", control: Control | None = None) -> T:
        """Run one step so that orders can reach or end it. Raises StoppedEarly if an order ended it or was given before it started.

        stops: which orders end it.
        """
        if self._killed or (self.asked and stops == "always"):
            step.close()
            raise StoppedEarly(now=self._killed)
        task, watch = asyncio.ensure_future(step), asyncio.ensure_future(self._stop_without_record())
        self._step, self._stops, self._control = task, stops, control
        try:
            return await task
        except asyncio.CancelledError:
            await _ended(task)
            current = asyncio.current_task()
            if self.asked and not (current and current.cancelling()):
                raise StoppedEarly(now=self._killed) from None
            raise
        except BaseException:
            await _ended(task)
            raise
        finally:
            watch.cancel()
            self._step, self._control = None, None

    @property
    def _killed(self) -> bool:
        return self.asked == "now"

    async def _stop_without_record(self) -> None:
        await self.record_failed.wait()
        if self._stops == "later":
            self.asked = self.asked or "stop"  # it keeps the work
        else:
            await self.cancel()

    async def cancel(self, *, now: bool = False) -> None:
        """Stop the run: the agent step gracefully, any other step but a push at once; `now` kills whatever runs."""
        if now or self.asked != "now":
            self.asked = "now" if now else "stop"
        if now and self._step:
            self._step.cancel()
        elif self._control:
            await self._control.send({"do": "stop"})
        elif self._stops != "never" and self._step:
            self._step.cancel()

    async def say(self, text: str, key: str) -> bool:
        """Send the agent a message. key: what the answer names it by. Returns False if no agent is listening."""
        self._said[key] = text
        sent = await self._order({"do": "say", "text": text, "request": key})
        if not sent:
            self.answered(key)
        return sent

    def answered(self, key: str) -> None:
        """Note that the supervisor reported what became of a message."""
        self._said.pop(key, None)

    def unanswered(self, key: str) -> bool:
        """Whether a message is still without an answer."""
        return key in self._said

    def take_unanswered(self) -> dict[str, str]:
        """Return the messages without an answer by their keys, and forget them: their agent has ended."""
        unanswered, self._said = self._said, {}
        return unanswered

    async def hold(self) -> bool:
        """Let the agent wait for input when its turn ends; returns as `say` does."""
        return await self._order({"do": "hold"})

    async def release(self) -> bool:
        """Let a waiting agent finish; returns as `say` does."""
        return await self._order({"do": "release"})

    async def decide(self, request: str, decision: Decision, text: str) -> bool:
        """Answer a request for permission; text: what the agent is told with a no. Returns as `say` does."""
        return await self._order({"do": decision, "request": request, "text": text})

    async def stop_agent(self) -> bool:
        """Stop the agent, although the user did not ask for it; returns as `say` does."""
        return await self._order({"do": "stop"})

    async def reconnect(self) -> bool:
        """Have the box close what leads to a gateway that died; returns as `say` does."""
        return await self._order({"do": "reconnect"})

    async def login_awaited(self) -> bool:
        """Tell the box that its agent waits for a login, so that it may be silent; returns as `say` does."""
        return await self._order({"do": "login_awaited"})

    async def login_settled(self) -> bool:
        """Tell the box that its agent waits for a login no more; returns as `say` does."""
        return await self._order({"do": "login_settled"})

    async def order_checkpoint(self) -> bool:
        """Have a checkpoint made now; `looked` says when. Returns as `say` does."""
        self.looked.clear()
        return await self._order({"do": "checkpoint"})

    async def _order(self, order: Order) -> bool:
        return await self._control.send(order) if self._control else False


async def _ended(step: "asyncio.Task[T]") -> None:
    """Stop a step and wait for its end: what its box holds is looked at next. A further cancellation does not hurry it."""
    step.cancel()
    while not step.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([step])
