"""The gate for usage limits: runs wait while the Claude service answers their login no more, and start when its window begins anew."""

from collections.abc import Callable
from datetime import datetime

from ccterm.credentials.login import Login
from ccterm.models import now
from ccterm.service.credential_gate import Later, PendingCall, call_later, identity
from ccterm.service.gates import Gate, QueueEntry

_LIMITS = {"five_hour": "5-hour limit", "seven_day": "weekly limit"}


class UsageGate(Gate):
    """Holds runs whose login has reached a usage limit, as the gateway was told. clock, later: time, for tests."""

    def __init__(self, *, clock: Callable[[], datetime] = now, later: Later = call_later) -> None:
        self._clock, self._later = clock, later
        self._changed: Callable[[], None] = lambda: None
        self._until: dict[str, tuple[str, datetime]] = {}
        """Identity of a login -> the limit, and when its window begins anew."""
        self._timers: dict[str, PendingCall] = {}

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called when a window begins anew, or the service answers again before that."""
        self._changed = changed

    def reason(self, entry: QueueEntry) -> str:
        """Return which limit is reached, and until when."""
        found = entry.credential.found if entry.credential else None
        limit, until = self._until.get(identity(found), ("", self._clock())) if found else ("", self._clock())
        if until <= self._clock():
            return ""
        return f"the {_LIMITS.get(limit, 'usage limit')} of the Claude login is reached; it resets at {until.astimezone():%a %H:%M}"

    def rejected(self, login: Login, limit: str, until: datetime) -> None:
        """Take note that a login has reached a limit. until: when its window begins anew."""
        key = identity(login)
        if self._until.get(key) != (limit, until):
            self._cancel(key)
            self._until[key] = (limit, until)
            self._timers[key] = self._later(max(0.0, (until - self._clock()).total_seconds()), lambda: self._reset(key))

    def allowed(self, login: Login) -> None:
        """Take note that the service answers a login."""
        if (key := identity(login)) in self._until:
            self._reset(key)

    def close(self) -> None:
        """Cancel all timers."""
        for key in list(self._timers):
            self._cancel(key)

    def _reset(self, key: str) -> None:
        self._cancel(key)
        self._until.pop(key, None)
        self._changed()

    def _cancel(self, key: str) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
