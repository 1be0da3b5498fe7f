"""How much the server takes, from one caller and from all together."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ccterm.api.problems import HttpProblem

CONNECTIONS = 256
STREAMS = 64
REQUESTS_PER_SECOND = 200
"""Of one token; all who have none share as many."""
URL_BYTES = 4 * 1024
HEADER_BYTES = 16 * 1024
BODY_BYTES = 1024 * 1024
JSON_DEPTH = 20
HEADER_SECONDS = 10.0
BODY_SECONDS = 30.0
WAIT_SECONDS = 3600.0
"""Longest ?wait=."""
SLOW_SECONDS = 10.0
"""How long a follower may leave what was sent to it unread."""
HEARTBEAT_SECONDS = 15.0


class RateLimit:
    """Lets so many requests a second through, and as many at once after a pause."""

    def __init__(self, per_second: int) -> None:
        self._most = self._left = float(per_second)
        self._at = time.monotonic()

    def lets_through(self) -> bool:
        """Count a request, and return whether it is one of those that are let through."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._most)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def take(self) -> None:
        """Count a request. Raises HttpProblem 429 when there are too many."""
        if not self.lets_through():
            detail = f"more than {self._most:g} requests a second"
            raise HttpProblem(429, "too-many-requests", detail, "send fewer", headers={"Retry-After": "1"})


class Streams:
    """Counts those who follow events."""

    def __init__(self, most: int = STREAMS) -> None:
        self._most, self._open = most, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one for the block. Raises HttpProblem 429 when there are too many."""
        if self._open >= self._most:
            raise HttpProblem(
                429, "too-many-streams", f"{self._most} event streams are open already", "close one", headers={"Retry-After": "5"}
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
