"""What one run has used so far, and whether it waits: counted from its answers, told at most twice a second, and compared with its budget."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ccterm.gateway.heads import RefusedRequest
from ccterm.gateway.orders import RunNumbers

TOLD_SECONDS = 0.5


class Tally:
    """Adds up one run's numbers. tell: called with the sum, at once and then at most twice a second; tell_spent: once."""

    def __init__(
        self, numbers: RunNumbers, max_tokens: int | None, tell: Callable[[RunNumbers], None], tell_spent: Callable[[], None]
    ) -> None:
        self.numbers = numbers
        self._max_tokens, self._tell, self._tell_spent = max_tokens, tell, tell_spent
        self._spent = False
        self._told = numbers
        self._timer: asyncio.TimerHandle | None = None

    def require_rest(self) -> None:
        """Raise RefusedRequest when the budget is used up, with a status that the CLI does not ask again after."""
        if self._max_tokens is not None and self.numbers.tokens >= self._max_tokens:
            if not self._spent:
                self._spent = True
                self._tell_spent()
            raise RefusedRequest(400, f"this run has spent its budget of {self._max_tokens} tokens")

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


class HeldRequests:
    """Counts the requests of one run that wait for another login. tell: called when the first one begins to wait, and when none does any more."""

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell, self._number = tell, 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one for the duration of the block."""
        self._number += 1
        if self._number == 1:
            self._tell(True)
        try:
            yield
        finally:
            self._number -= 1
            if not self._number:
                self._tell(False)
