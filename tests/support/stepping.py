"""Steps a coroutine from one await to the next, and fails it at a chosen one."""

from collections.abc import Callable, Coroutine, Generator
from typing import Generic, TypeVar

T = TypeVar("T")


class Stepped(Generic[T]):
    """Awaits a coroutine and throws `error` into it at its `at`-th await after `armed` said yes for the first time.

    thrown: whether it came so far.
    """

    def __init__(self, work: Coroutine[object, None, T], error: BaseException, at: int, armed: Callable[[], bool]) -> None:
        self._work, self._error, self._at, self._armed = work, error, at, armed
        self.thrown = False

    def __await__(self) -> Generator[object, None, T]:
        """Hand every await of the coroutine to the loop, but one."""
        began, seen, waiting = False, 0, self._first()
        while True:
            try:
                future = waiting()
            except StopIteration as stop:
                value: T = stop.value
                return value
            began = began or self._armed()
            seen += began
            if seen == self._at and not self.thrown:
                self.thrown = True
                waiting = self._throwing(self._error)
                continue
            try:
                yield future
                waiting = self._first()
            except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's own business
                waiting = self._throwing(error)

    def _first(self) -> Callable[[], object]:
        return lambda: self._work.send(None)

    def _throwing(self, error: BaseException) -> Callable[[], object]:
        return lambda: self._work.throw(error)
