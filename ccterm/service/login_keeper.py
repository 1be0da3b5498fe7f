"""Keeps the gateway's logins good: when one is refused or ends, the runs that use it wait and go on with the next one.

ccterm never uses a refresh token itself: the next login comes from the user's own CLI, from `ccterm auth`, or with a submission.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

from pydantic import SecretStr

from ccterm.credentials.login import TOKEN_NAME, Login
from ccterm.credentials.login_probe import Proof
from ccterm.events import Notice
from ccterm.gateway.client import GatewayLogin, LimitWindows, RunNumbers, RunPass, way_out_variables
from ccterm.models import RunId, now
from ccterm.pipeline.gateway_access import GatewayAccess, GatewayListener
from ccterm.service.credential_gate import AgentLogin, CredentialGate, Later, call_later, identity
from ccterm.service.held_login import HeldLogin, LoginHolder, MakeGateway
from ccterm.service.usage_gate import UsageGate
from ccterm.values import UsageWindow

LOOK = timedelta(seconds=4)
"""How often it is looked for another login while runs wait for one."""
PATIENCE = timedelta(minutes=9)
"""How long they wait: the Claude CLI gives a request up after ten."""
AHEAD = timedelta(minutes=10)
"""How long before the known end of a login it is looked for the next one."""
AHEAD_LOOK = timedelta(seconds=30)
"""How often."""
PROOF = timedelta(minutes=1)
"""How often, at most, the API is asked whether it takes a refused login after all. A box may bring refusals about."""
IDLE = 4
"""How many gateways stay that no run uses, since they take a moment to start. Each environment has its own."""
_WINDOWS = {"5h": "five_hour", "7d": "seven_day", "7d_opus": "seven_day_opus", "7d_sonnet": "seven_day_sonnet"}
"""The names in the API's headers -> those that the Claude CLI uses."""
_OF_ONE_MODEL = "seven_day_"
"""How windows begin that hold for one model only: runs with others are answered."""
_log = logging.getLogger(__name__)


class LoginKeeper:
    """Admits runs to the gateway and finds the next login when one is refused or ends. clock, later: time, for tests."""

    def __init__(
        self,
        make: MakeGateway,
        credentials: CredentialGate,
        usage: UsageGate,
        *,
        clock: Callable[[], datetime] = now,
        later: Later = call_later,
    ) -> None:
        self._make, self._credentials, self._usage = make, credentials, usage
        self._clock, self._later = clock, later
        self._gateways: dict[tuple[str, ...], tuple[LoginHolder, AsyncExitStack]] = {}
        """With what ends each; the one that was used last is the last."""
        self._held: dict[tuple[LoginHolder, AgentLogin], HeldLogin] = {}
        self._numbers = count(1)

    async def __aenter__(self) -> "LoginKeeper":
        return self

    async def __aexit__(self, *exc: object) -> None:
        for held in self._held.values():
            held.stop()
        async with AsyncExitStack() as stack:
            for _, end in self._gateways.values():
                stack.push_async_exit(end)

    @property
    def looking(self) -> bool:
        """Whether it looks for another login just now."""
        return any(held.looking for held in self._held.values())

    @asynccontextmanager
    async def admitted(self, run: RunId, access: GatewayAccess, listener: GatewayListener) -> AsyncIterator[RunPass]:
        """Let the agent of a run use the gateway for the duration of the block, with the newest login. Raises DaemonError and StateError."""
        held = await self._for(run, access)
        held.runs[run] = listener
        try:
            login = await self._newest(held)
            if len(held.runs) == 1 and not held.waiting:
                held.login = login
            listener.mask(login.named_secrets)
            before = held.login
            run_pass = await held.gateway.admit(
                run, held.key, _for_header(login), base_url=access.base_url, max_tokens=access.max_tokens, git=access.git
            )
            self._take(held, login if held.login is before else held.login, newcomer=run)  # it may have been renewed meanwhile
            if held.waiting:
                listener.notice(Notice(level="warn", text=held.refusal))
            yield run_pass
        finally:
            try:
                await held.gateway.dismiss(run)  # which tells the last numbers
            finally:
                self._release(held, run)
                await self._end_idle()

    def _release(self, held: HeldLogin, run: RunId) -> None:
        del held.runs[run]
        if not held.runs:
            held.stop()
            self._held = {place: each for place, each in self._held.items() if each is not held}

    async def _for(self, run: RunId, access: GatewayAccess) -> HeldLogin:
        gateway = await self._gateway(access.environ)
        source = self._credentials.login_of(run) or AgentLogin(lambda _: access.login, _unproved, through_gateway=True)
        held = self._held.get((gateway, source))
        if held is None:
            held = self._held[gateway, source] = HeldLogin(f"login {next(self._numbers)}", source, gateway, access.login)
        return held

    async def _gateway(self, environ: Mapping[str, str]) -> LoginHolder:
        """Return the gateway for an environment; callers who reach the API in other ways have one of their own."""
        counting = way_out_variables(environ)
        key = tuple(f"{name}={value}" for name, value in counting.items())
        if key in self._gateways:
            self._gateways[key] = self._gateways.pop(key)
        else:
            end = AsyncExitStack()
            self._gateways[key] = await end.enter_async_context(self._make(counting, self)), end
        return self._gateways[key][0]

    async def _end_idle(self) -> None:
        """End the gateways that no run uses, but for the last few: environments may change with each run, as the password of a proxy does."""
        used = {held.gateway for held in self._held.values()}
        idle = [key for key, (gateway, _) in self._gateways.items() if gateway not in used]
        async with AsyncExitStack() as ends:  # all of them, whatever ends one
            for key in idle[:-IDLE]:
                ends.push_async_exit(self._gateways.pop(key)[1])

    async def _newest(self, held: HeldLogin) -> Login:
        """Return the login that a run gets that starts now. Runs that start together share one look."""
        at = self._clock()
        if held.source.looked is None or at - held.source.looked >= LOOK:
            await asyncio.to_thread(held.source.look, at)
        return self._another(held) or held.login

    def _another(self, held: HeldLogin) -> Login | None:
        """Return what its source has found, if that is another login and was not refused either."""
        found = held.source.found
        if found is None or found.value is None or identity(found) in {*held.refused, identity(held.login)}:
            return None
        return found

    def _take(self, held: HeldLogin, login: Login, *, newcomer: RunId | None = None) -> None:
        """Take note that the gateway has this login from now on, which may be the same. newcomer: a run that begins with it."""
        if identity(login) != identity(held.login):
            held.login, held.proved = login, None
            self._go_on(held, f"the run goes on with the next Claude login ({login.source})", newcomer)
        if newcomer:
            self._credentials.leased(newcomer, login)
        self._arrange(held)

    def _go_on(self, held: HeldLogin, text: str, newcomer: RunId | None = None) -> None:
        held.waiting = None
        for run, listener in held.runs.items():
            if run != newcomer:
                listener.mask(held.login.named_secrets)
                self._credentials.leased(run, held.login)
                listener.notice(Notice(level="info", text=text))
        self._credentials.found_another()

    async def _renew(self, held: HeldLogin, login: Login) -> None:
        await held.gateway.renew(held.key, _for_header(login))
        self._take(held, login)

    def refused(self, login: str) -> None:
        """Look for another login, now and every few seconds: the API refused this one, and requests wait."""
        if (held := self._of(login)) is None:
            return
        held.refused.add(identity(held.login))
        self._credentials.refused(held.source, held.login)
        if held.waiting is None:
            held.waiting = self._clock()
            held.tell(held.refusal)
        self._arrange(held, at_once=True)

    def used(self, run: RunId, numbers: RunNumbers) -> None:
        """Pass on what a run has used."""
        if listener := self._listener(run):
            listener.used(numbers)

    def waits(self, run: RunId, *, waits: bool) -> None:
        """Pass on whether a run waits for its next login."""
        if listener := self._listener(run):
            listener.waits(waits=waits)

    def unreachable(self, run: RunId, why: str) -> None:
        """Tell a run's user why its box is not answered."""
        if listener := self._listener(run):
            listener.notice(Notice(level="warn", text=f"the gateway cannot pass on what the agent asks: {why}"))

    def limits(self, login: str, windows: LimitWindows) -> None:
        """Pass on what is left of a login's usage limits; new runs wait when there is nothing."""
        if (held := self._of(login)) is None:
            return
        told = [_window(name, *window) for name, window in windows.windows.items()]
        binding = _WINDOWS.get(windows.binding, windows.binding)
        if windows.status == "rejected" and windows.resets_at and not binding.startswith(_OF_ONE_MODEL):
            self._usage.rejected(held.login, binding, _moment(windows.resets_at))
        elif windows.status.startswith("allowed"):
            self._usage.allowed(held.login)
        for listener in held.runs.values():
            listener.limited(told)

    def restarted(self, run: RunId) -> None:
        """Pass on that the gateway of a run was started again."""
        if listener := self._listener(run):
            listener.restarted()

    def over_budget(self, run: RunId) -> None:
        """Pass on that a run has used all its tokens."""
        if listener := self._listener(run):
            listener.over_budget()

    async def brought(self, value: SecretStr) -> None:
        """Go on with a login that a submission brought, where the refused one came that way."""
        login = Login(kind="env", source=TOKEN_NAME, value=value)
        for held in list(self._held.values()):
            if held.waiting and held.login.kind == "env" and identity(login) not in held.refused:
                await self._renew(held, login)

    async def look_again(self) -> None:
        """Look now whether there is another login for the runs that wait, and again for the next run."""
        for held in list(self._held.values()):
            held.source.looked = None
            if held.waiting or self._ends_soon(held):
                await self._look(held)

    def _of(self, key: str) -> HeldLogin | None:
        return next((held for held in self._held.values() if held.key == key), None)

    def _listener(self, run: RunId) -> GatewayListener | None:
        return next((held.runs[run] for held in self._held.values() if run in held.runs), None)

    def _ends_soon(self, held: HeldLogin) -> bool:
        ends = held.login.expires_at
        return ends is not None and ends - self._clock() <= AHEAD

    def _arrange(self, held: HeldLogin, *, at_once: bool = False) -> None:
        """See to it that it is looked for another login when that may be needed."""
        if held.looking and not held.looking.done():
            return  # which arranges the next look
        if held.timer:
            held.timer.cancel()
        ends, held.timer = held.login.expires_at, None
        if held.runs and (held.waiting or ends):
            seconds = LOOK if held.waiting else AHEAD_LOOK
            if ends and not held.waiting and not self._ends_soon(held):
                seconds = ends - AHEAD - self._clock()
            held.timer = self._later(0.0 if at_once else seconds.total_seconds(), lambda: self._start(held))

    def _start(self, held: HeldLogin) -> None:
        held.timer = None
        held.looking = asyncio.get_running_loop().create_task(self._look(held), name="next login")

    async def _look(self, held: HeldLogin) -> None:
        try:
            await self._find_another(held)
        except Exception:  # noqa: BLE001 - the runs that wait must not wait for good
            _log.exception("next login")
        held.looking = None
        self._arrange(held)

    async def _find_another(self, held: HeldLogin) -> None:
        at = self._clock()
        await asyncio.to_thread(held.source.look, at)
        if login := self._another(held):
            await self._renew(held, login)
        elif held.waiting and at - held.waiting >= PATIENCE:
            held.waiting = None
            held.tell(f"no other Claude login came within {PATIENCE.total_seconds() / 60:.0f} minutes", "error")
            await held.gateway.give_up(held.key)
        elif held.waiting and at >= max(held.waiting + LOOK, held.proved + PROOF if held.proved else held.waiting):
            held.proved, asked = at, held.login
            if (await held.source.prove(asked)).valid and held.login is asked:
                held.refused.discard(identity(asked))
                self._credentials.accepted(asked)
                await held.gateway.try_again(held.key)
                self._go_on(held, "the run goes on: the Claude API takes the login again")


def _window(name: str, status: str, utilization: float | None, resets_at: float | None) -> UsageWindow:
    resets = None if resets_at is None else _moment(resets_at)
    return UsageWindow(limit=_WINDOWS.get(name, name), status=status or "allowed", utilization=utilization, resets_at=resets)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def _unproved(_: Login) -> Proof:
    return Proof(valid=None, sentence="nobody is asked")


def _for_header(login: Login) -> GatewayLogin:
    assert login.value is not None
    return GatewayLogin("x-api-key" if login.kind == "api-key" else "authorization", login.value)
