"""The gate for logins: runs wait while theirs is refused, about to end, or lost with a process, and go on with the next one by themselves."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr

from ccterm.causes import Cause
from ccterm.credentials.login import Login
from ccterm.errors import CctermError
from ccterm.models import Run, RunId, now
from ccterm.service.gates import Gate, QueueEntry

if TYPE_CHECKING:  # its caller has it
    from ccterm.credentials.login_probe import Proof

_log = logging.getLogger(__name__)
PROBE = timedelta(minutes=1)
"""How often, at most, it is asked whether a login that was refused or ends is followed by another."""
_LOG_IN = "run claude and type /login, or ccterm auth setup"
_SET = "set another one, and submit something from there"


class AgentLogin:
    """The login that the runs of one environment get. Runs that are submitted together share one, and so one look at files and keyring.

    look: reads it, at a second time anew; blocks; raises CctermError when there is none. prove: asks the API whether it takes a login.
    through_gateway: whether the gateway keeps it, so that a run which outlives it goes on with the next one.
    """

    def __init__(
        self, look: Callable[[bool], Login | None], prove: Callable[[Login], Awaitable["Proof"]], *, through_gateway: bool = False
    ) -> None:
        self._look, self.prove, self.through_gateway = look, prove, through_gateway
        self.found: Login | None = None
        self.trouble = ""
        """Why there is none, as of the last look."""
        self.looked: datetime | None = None
        self._known = False

    def look(self, at: datetime) -> None:
        """Read it. Blocks."""
        try:
            self.found, self.trouble = self._look(self._known), ""
        except CctermError as error:
            self.found, self.trouble = None, str(error)
        finally:
            self.looked, self._known = at, True

    def ends_too_soon(self, at: datetime) -> bool:
        """Whether no run may start with what was found: it ends too soon for it, or has ended where the gateway could take the next one."""
        if self.found is None or not self.through_gateway:
            return self.found is not None and self.found.too_short(at)
        remaining = self.found.remaining(at)
        return remaining is not None and remaining <= timedelta()

    def stale(self, at: datetime) -> bool:
        """Whether what is known of it is too old to tell anything."""
        return self.looked is None or at - self.looked >= PROBE


@dataclass
class RefusedLogin:
    """A credential that Claude refused. at: when that was last seen. trying: the run that is let through to find out whether it still is."""

    at: datetime
    login: AgentLogin
    kind: str
    source: str
    runs: list[RunId] = field(default_factory=list)
    trying: RunId | None = None
    proved: datetime | None = None
    """When the API was asked."""


class PendingCall(Protocol):
    """What a call that is due later can be taken back by."""

    def cancel(self) -> None:
        """Take it back."""


Later = Callable[[float, Callable[[], None]], PendingCall]
"""Calls a function in so many seconds."""


def call_later(seconds: float, call: Callable[[], None]) -> PendingCall:
    """Call a function in so many seconds."""
    return asyncio.get_running_loop().call_later(seconds, call)


class CredentialGate(Gate):
    """Holds runs whose agent would not get a login that lasts. clock, later: time, for tests."""

    def __init__(self, *, clock: Callable[[], datetime] = now, later: Later = call_later) -> None:
        self._clock, self._later = clock, later
        self._changed: Callable[[], None] = lambda: None
        self._logins: dict[RunId, AgentLogin] = {}
        """Of the runs that are queued or under way."""
        self._held: dict[RunId, AgentLogin] = {}
        self._leases: dict[RunId, Login] = {}
        self._refusals: dict[str, RefusedLogin] = {}
        self._renewed: dict[RunId, None] = {}
        self._timer: PendingCall | None = None
        self._probing: asyncio.Task[None] | None = None

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called when another login was found."""
        self._changed = changed

    def reason(self, entry: QueueEntry) -> str:
        """Return what is wrong with the run's login, or ""."""
        login = entry.credential
        if login is None:
            return ""
        self._logins[entry.run] = login
        reason = self._reason(login, entry.run)
        if reason:
            self._held[entry.run] = login
            self._arrange()
        else:
            self._held.pop(entry.run, None)
        return reason

    def _reason(self, login: AgentLogin, run: RunId) -> str:
        if login.found is None:
            return login.trouble
        if (refusal := self._refusals.get(identity(login.found))) and not self._may_try(refusal, login.found, run):
            return f"Claude refused the login ({refusal.source}); {_SET if login.found.kind == 'env' else _LOG_IN}"
        if login.ends_too_soon(self._clock()) and (ends := login.found.expires_at):
            return f"the Claude login ({login.found.source}) ends at {ends.astimezone():%H:%M}; run claude once, or ccterm auth setup"
        return ""

    def _may_try(self, refusal: RefusedLogin, login: Login, run: RunId) -> bool:
        """Whether this run may find out if the login works again: only where nothing else can, and one a minute."""
        if login.value is not None or self._clock() - refusal.at < PROBE or refusal.trying not in (None, run):
            return False
        refusal.trying = run
        return True

    def leased(self, run: RunId, login: Login) -> None:
        """Take note of the login that a run was started with. From any thread."""
        self._leases[run] = login

    def login_of(self, run: RunId) -> AgentLogin | None:
        """Return the login of a run that is queued or under way; None = it needs none."""
        return self._logins.get(run)

    def refused(self, login: AgentLogin, used: Login) -> None:
        """Take note that the API refused a login while runs use it through the gateway: others must not start with it."""
        self._refusals.setdefault(identity(used), RefusedLogin(self._clock(), login, used.kind, used.source)).at = self._clock()

    def found_another(self) -> None:
        """Let go on what can, now that a login was found."""
        for key, refusal in list(self._refusals.items()):
            if refusal.login.found and identity(refusal.login.found) not in self._refusals:
                self._open(key)
        self._held.clear()  # those that still wait say so again
        self._changed()

    def accepted(self, login: Login) -> None:
        """Take note that the API takes a login again."""
        if identity(login) in self._refusals:
            self._open(identity(login))

    def run_finished(self, run: Run) -> None:
        """Take note of a login that was refused, or that works again."""
        login, used = self._logins.pop(run.id, None), self._leases.pop(run.id, None)
        if login is None or used is None:
            return
        key = identity(used)
        known = self._refusals.get(key)
        if run.cause is Cause.AUTH:
            refusal = self._refusals.setdefault(key, RefusedLogin(self._clock(), login, used.kind, used.source))
            refusal.at, refusal.trying = self._clock(), None
            refusal.runs.append(run.id)
            self._arrange()
        elif known and run.turns and (known.trying == run.id or (run.started and run.started > known.at)):
            self._open(key)
        elif known and known.trying == run.id:
            known.trying = None

    def _open(self, key: str) -> None:
        self._renewed |= dict.fromkeys(self._refusals.pop(key).runs)

    def brought(self, value: SecretStr) -> None:
        """Take note of a login that a submission brought: it follows the others that came that way."""
        key = identity(Login(kind="env", source="", value=value))
        for refused in [each for each, refusal in self._refusals.items() if refusal.kind == "env" and each != key]:
            self._open(refused)

    def refuses(self, login: AgentLogin) -> bool:
        """Whether Claude refused what this login is now."""
        return login.found is not None and identity(login.found) in self._refusals

    def renewed(self) -> list[RunId]:
        """Return the runs that ended because their login was refused, once there is another."""
        return list(self._renewed)

    def forget(self, run: RunId) -> None:
        """Take note that a run was started again, reviewed or taken back."""
        for known in (self._renewed, self._logins, self._held):
            known.pop(run, None)
        for refusal in self._refusals.values():
            if run in refusal.runs:
                refusal.runs.remove(run)

    async def look_again(self) -> None:
        """Look now whether there is another login for the runs that wait."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for login in self._watched():
            login.looked = None
        await self._probe(requests=False)

    @property
    def probing(self) -> bool:
        """Whether it looks for another login just now."""
        return self._probing is not None and not self._probing.done()

    def close(self) -> None:
        """Stop looking."""
        for pending in (self._timer, self._probing):
            if pending:
                pending.cancel()

    def _watched(self) -> list[AgentLogin]:
        return list(dict.fromkeys([*self._held.values(), *(refusal.login for refusal in self._refusals.values())]))

    def _arrange(self) -> None:
        """See to it that the logins are looked at again: at once those that were not for a minute, the others when the minute is over."""
        if self._timer or self.probing:
            return
        due = [PROBE - (self._clock() - login.looked) if login.looked else timedelta() for login in self._watched()]
        if due:
            self._timer = self._later(max(0.0, min(due).total_seconds()), self._start)

    def _start(self) -> None:
        self._timer = None
        self._probing = asyncio.get_running_loop().create_task(self._probe(), name="login probe")

    async def _probe(self, *, requests: bool = True) -> None:
        """Look at every login that is due, and let go on what can. requests: also ask the API about refused ones."""
        try:
            await self._look(requests=requests)
        except Exception:  # noqa: BLE001 - the runs that wait must not wait for good
            _log.exception("login probe")
        self.found_another()
        self._probing = None
        self._arrange()

    async def _look(self, *, requests: bool) -> None:
        for login in self._watched():
            if login.stale(self._clock()):
                await asyncio.to_thread(login.look, self._clock())
                if requests:
                    await self._prove(login)

    async def _prove(self, login: AgentLogin) -> None:
        """Ask the API about a refused login for which runs wait: the refusal may have been a passing one."""
        if login.found is None or login.found.value is None or login not in self._held.values():
            return
        key, at = identity(login.found), self._clock()
        refusal = self._refusals.get(key)
        if refusal is None or (refusal.proved and at - refusal.proved < PROBE):
            return
        refusal.proved = at
        if (await login.prove(login.found)).valid and key in self._refusals:
            self._open(key)


def identity(login: Login) -> str:
    """Return what tells a login from others, without telling anything of it. A user's own is known by what is in its files."""
    values = [login.value] if login.value else [*login.secret_variables.values(), *login.secrets]
    text = "\0".join([login.kind if login.value is None else "", *(value.get_secret_value() for value in values)])
    return hashlib.sha256(text.encode()).hexdigest()
