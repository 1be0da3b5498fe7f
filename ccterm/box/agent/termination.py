"""Stops an agent in steps: interrupt, then SIGINT, SIGTERM, and SIGKILL for its whole process tree."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from ccterm.box.process import tree

SECONDS = (4.0, 3.0, 2.0)
"""Time from interrupt to SIGTERM (SIGINT comes halfway), from there to SIGKILL, and for the whole tree to disappear."""


class TerminationSequence:
    """Stops one child. `advance` is to be called at `next_moment`."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", interrupt: Callable[[], None], mark: str, seconds: Sequence[float] = SECONDS
    ) -> None:
        self._process, self._mark, self._seconds = process, mark, seconds
        asking, terminating, killing = seconds
        # both at once would be quicker, but a busy Claude CLI then sometimes exits without the result that has the costs
        self._polite: list[tuple[float, Callable[[], None]]] = [
            (asking / 2, interrupt),
            (asking / 2, lambda: self._signal(signal.SIGINT)),
        ]
        self._firm: list[tuple[float, Callable[[], None]]] = [(terminating, self._terminate), (killing, self.kill)]
        self._steps: list[tuple[float, Callable[[], None]]] = []
        self.next_moment: float | None = None
        self.spent = False
        """Whether everything was tried; what is still alive cannot be killed."""

    @property
    def begun(self) -> bool:
        """Whether the stop is under way."""
        return self.next_moment is not None or self.spent

    def begin(self, *, politely: bool = True) -> None:
        """Begin, unless begun before. Not politely: skip what could make a finished agent go on."""
        if not self.begun:
            self._steps = [*self._polite, *self._firm] if politely else self._firm
            self.next_moment = time.monotonic()
            self.advance()

    def advance(self) -> None:
        """Take the next step if it is due."""
        if self.next_moment is None or self.spent or time.monotonic() < self.next_moment:
            return
        seconds, step = self._steps.pop(0)
        self.next_moment += seconds
        step()

    def kill(self) -> None:
        """Kill the whole tree now."""
        self._signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._seconds[-1])
        tree.kill(self._mark, self._seconds[-1])
        self.spent = True

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
