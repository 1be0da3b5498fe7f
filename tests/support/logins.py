"""A login that is looked for and asked about, with a clock that only the test moves."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from ccterm.credentials.login import Login
from ccterm.credentials.login_probe import Proof

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def token(value: str, *, minutes: float | None = None, kind: str = "access-token") -> Login:
    """Return a login of that value, which ends so long after noon."""
    ends = NOON + timedelta(minutes=minutes) if minutes is not None else None
    return Login.model_validate({"kind": kind, "source": "the file", "value": SecretStr(value), "expires_at": ends})


@dataclass
class DueCall:
    """A call that is due at some time."""

    at: datetime
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Take it back."""
        self.cancelled = True


@dataclass
class LoginWorld:
    """The login that can be found, the API, and the clock. looks, requests: how often the first two were asked."""

    login: Login | Exception = field(default_factory=lambda: token("old"))
    accepts: bool = False
    at: datetime = NOON
    looks: int = 0
    requests: int = 0
    calls: list[DueCall] = field(default_factory=list)

    @abstractmethod
    async def quiet(self) -> None:
        """Return once nothing is being looked for."""

    def later(self, seconds: float, call: Callable[[], None]) -> DueCall:
        """Have something called in so many seconds of this clock."""
        self.calls.append(DueCall(self.at + timedelta(seconds=seconds), call))
        return self.calls[-1]

    def look(self, anew: bool) -> Login:
        """Find the login, as an AgentLogin asks for it."""
        assert anew == (self.looks > 0)
        self.looks += 1
        if isinstance(self.login, Exception):
            raise self.login
        return self.login

    async def prove(self, _: Login) -> Proof:
        """Ask the API about a login."""
        self.requests += 1
        return Proof(valid=self.accepts, sentence="")

    async def pass_time(self, **by: float) -> None:
        """Move the clock, and make the calls that are due by then."""
        end = self.at + timedelta(**by)
        await self.quiet()
        while due := sorted((call for call in self.calls if not call.cancelled and call.at <= end), key=lambda call: call.at):
            self.calls.remove(due[0])
            self.at = max(self.at, due[0].at)
            due[0].call()
            await self.quiet()
        self.at = end
