"""What one run has used so far: counted from its answers, told at most twice a second, and compared with its budget."""

import asyncio
from collections.abc import Callable

from ccterm.gateway.orders import RunNumbers

TOLD_SECONDS = 0.5


class Tally:
    """Adds up one run's numbers. tell: called with the sum, at once and then at most twice a second."""

    def __init__(self, numbers: RunNumbers, max_tokens: int | None, tell: Callable[[RunNumbers], None]) -> None:
        self.numbers = numbers
        self._max_tokens, self._tell = max_tokens, tell
        self._told = numbers
        self._timer: asyncio.TimerHandle | None = None

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self._max_tokens is not None and self.numbers.tokens >= self._max_tokens

    @property
    def budget(self) -> int:
        """The budget in tokens; 0 = none."""
        return self._max_tokens or 0

    def add(self, more: RunNumbers) -> None:
        """Count this besides."""
        self.numbers = RunNumbers(*(one + other for one, other in zip(self.numbers, more, strict=True)))
        if self._timer is None:
            self._tell_if_new()

    def flush(self) -> None:
        """Tell what was not told yet, for the last time."""
        if self._timer:
            self._timer.cancel()
        if self.numbers != self._told:
            self._tell(self.numbers)

    def _tell_if_new(self) -> None:
        self._timer = None
        if self.numbers != self._told:
            self._told = self.numbers
            self._tell(self.numbers)
            self._timer = asyncio.get_running_loop().call_later(TOLD_SECONDS, self._tell_if_new)
