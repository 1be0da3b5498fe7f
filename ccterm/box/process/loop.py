"""The loop in which one thread moves everything between a child and the host: no locks, and no races between orders and output."""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

Want = tuple[int, int, Callable[[], None]]
"""A descriptor, the poll event to wait for, and what to do then."""


class PollSource(Protocol):
    """Something that the loop serves."""

    def wants(self) -> Iterable[Want]:
        """Return what it is waiting for now."""
        ...


def turn(sources: Sequence[PollSource], seconds: float) -> None:
    """Wait until something can be done, at most `seconds`, and do it."""
    poller, actions = select.poll(), {}
    for source in sources:
        for descriptor, event, action in source.wants():
            poller.register(descriptor, event)
            actions[descriptor] = action
    for descriptor, _ in poller.poll(max(0.0, seconds) * 1000):
        actions[descriptor]()


class Signals:
    """Wakes the loop when a child ends, or when a signal asks this program to end."""

    def __init__(self) -> None:
        self.asked = False
        """Whether a signal asked this program to end."""
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def wants(self) -> Iterator[Want]:
        """Wait for the next signal."""
        yield self._read, select.POLLIN, self._drain

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                continue
