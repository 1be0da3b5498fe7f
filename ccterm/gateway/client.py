"""The daemon's side of the gateway: tells its process which runs and logins there are, and everything again when it had to be started anew."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

from pydantic import SecretStr

from ccterm.errors import DaemonError, StateError
from ccterm.gateway.launcher import GatewayProcess, RestartPauses
from ccterm.gateway.orders import (
    LINE_BYTES,
    AdmitOrder,
    CertificateOrder,
    GatewayReport,
    LimitWindow,
    LimitWindows,
    LoginOrder,
    Order,
    RunNumbers,
)
from ccterm.models import RunId
from ccterm.state_dir import private_directory
from ccterm.tls import CERTIFICATE_VARIABLES

if TYPE_CHECKING:
    from ccterm.gateway.certificates import CertificateAuthority

__all__ = [
    "Gateway",
    "GatewayEvents",
    "GatewayLogin",
    "GitReading",
    "LimitWindow",
    "LimitWindows",
    "RunNumbers",
    "RunPass",
    "way_out_variables",
]

ADMIT_SECONDS = 20.0
"""Longest time that an admission takes, with the start of the process."""
DISMISS_SECONDS = 2.0
"""Longest wait for a run's last numbers."""
_LEAF_AGE = timedelta(days=1)
"""A run that is admitted gets a certificate that is younger, so that it lasts for weeks."""
_SOCKET_BYTES = 103
"""Longest path of a socket, on every system."""
_log = logging.getLogger(__name__)


class GatewayLogin(NamedTuple):
    """A login as the API takes it: the header, and its value without "Bearer "."""

    header: Literal["authorization", "x-api-key"]
    value: SecretStr


class GitReading(NamedTuple):
    """Repositories that a run may read by git, with the login for each."""

    repositories: Mapping[str, SecretStr]
    """HOST/PATH, without .git, to the value of the Authorization header."""
    authorities: Mapping[str, str]
    """HOST to the certificates, as PEM text, that are believed there besides the usual ones."""


class RunPass(NamedTuple):
    """What the box of a run gets instead of a login. It is void once the run is dismissed."""

    socket: Path
    """Leads to the gateway; valid for this run's pass alone."""
    token: SecretStr
    """Takes the place of the login's value."""
    ca: str
    """PEM of what signs the gateway's certificate, for the API's name only."""


class GatewayEvents(Protocol):
    """What the gateway tells. Each is called in the event loop and must return at once."""

    def refused(self, login: str) -> None:
        """The API answered 401 to the login of this key: requests are held until `renew` or `give_up`, at most 9 minutes. Told once."""

    def used(self, run: RunId, numbers: RunNumbers) -> None:
        """What the run has used in all, at most twice a second."""

    def waits(self, run: RunId, *, waits: bool) -> None:
        """A request of the run is held, since its login was refused; or none is any more. A process that dies does not say so: see `restarted`."""

    def unreachable(self, run: RunId, why: str) -> None:
        """Something that the run's box asked cannot be reached. Once for each reason; the box is not told it."""

    def limits(self, login: str, windows: LimitWindows) -> None:
        """The API said something new of the login's usage windows."""

    def restarted(self, run: RunId) -> None:
        """The process died and there is another one: what the run had asked the first is answered no more. Tunnels may not say so."""

    def over_budget(self, run: RunId) -> None:
        """A request came after the run's tokens were spent. It was refused, which ends the agent at once."""


def way_out_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that decide how the API is reached, under their names in upper case."""
    names = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", *CERTIFICATE_VARIABLES)
    return {name: value for name in names if (value := environ.get(name) or environ.get(name.lower()))}


class Gateway:
    """Keeps logins outside of boxes; an async context manager, whose end closes everything. Not to be used from other loops.

    sockets: a private directory for the sockets of runs, with a short path. environ: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, SSL_CERT_FILE,
    SSL_CERT_DIR and NODE_EXTRA_CA_CERTS count on the way to the API, as they do for the Claude CLI. The process starts with the first
    admission. When it dies it is started again with the same authority, sockets, passes and logins, and the CLI's own retries carry runs on.
    """

    def __init__(self, sockets: Path, environ: Mapping[str, str], events: GatewayEvents) -> None:
        self._sockets, self._environ, self._events = sockets, environ, events
        self._logins: dict[str, GatewayLogin] = {}
        self._runs: dict[str, AdmitOrder] = {}
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._process: GatewayProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._authority: CertificateAuthority | None = None
        self._certificate: CertificateOrder | None = None
        self._signed = datetime.min.replace(tzinfo=UTC)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        for order in self._runs.values():
            Path(order["socket"]).unlink(missing_ok=True)
        self._runs.clear()

    @property
    def pid(self) -> int | None:
        """The process that serves the boxes now, if there is one."""
        return self._process.pid if self._process else None

    async def admit(
        self,
        run: RunId,
        login_key: str,
        login: GatewayLogin,
        *,
        base_url: str | None = None,
        max_tokens: int | None = None,
        git: GitReading | None = None,
    ) -> RunPass:
        """Open a socket for a run and return what its box gets.

        login_key: names the login among all of them; runs with the same key share it, what is held for it and its usage windows. A value that
        differs from the one under that key renews it. base_url: where the run's requests go instead of api.anthropic.com; the box then asks
        the proxy itself (ANTHROPIC_BASE_URL), and the path of this address is put before that of each request. max_tokens: input, output and
        cache together; the first request after that is refused. git: what the run may read. Raises DaemonError when the process does not
        start, StateError when the directory cannot be used.
        """
        token = "ccterm-pass-" + secrets.token_hex(32)
        self._runs[run] = AdmitOrder(
            do="admit",
            run=run,
            login=login_key,
            socket=str(self._socket()),
            token=token,
            base_url=base_url,
            max_tokens=max_tokens,
            git={name: login.get_secret_value() for name, login in git.repositories.items()} if git else {},
            git_authorities=git.authorities if git else {},
            numbers=list(RunNumbers()),
        )
        try:
            ca = self._certify()
            await self.renew(login_key, login)
            await self._ask(run, self._runs[run])
        except BaseException:
            await self.dismiss(run)
            raise
        return RunPass(Path(self._runs[run]["socket"]), SecretStr(token), ca)

    async def renew(self, login_key: str, login: GatewayLogin) -> None:
        """Take this login from now on, and send again what is held. Nothing happens when it is in use already, or no run uses it."""
        if self._logins.get(login_key) != login and self._used(login_key):
            self._logins[login_key] = login
            self._say(self._login_order(login_key))

    async def try_again(self, login_key: str) -> None:
        """Send again what is held, with the same login: the API takes it after all."""
        if login_key in self._logins:
            self._say(self._login_order(login_key))

    async def give_up(self, login_key: str) -> None:
        """Pass the held 401s on, and those to come, until the login is renewed or a run is admitted with it."""
        self._say({"do": "give_up", "login": login_key})

    async def dismiss(self, run: RunId) -> None:
        """Make the pass of a run void: its connections are closed and its socket is gone. Nothing happens when it is not admitted.

        Its last numbers are told before this returns.
        """
        if (order := self._runs.pop(run, None)) is None:
            return
        forget = "" if self._used(order["login"]) else order["login"]
        self._logins.pop(forget, None)
        left = self._leaving[run] = asyncio.get_running_loop().create_future()
        try:
            if self._process is not None:
                self._say({"do": "dismiss", "run": run, "forget": forget})
                await asyncio.wait([left], timeout=DISMISS_SECONDS)  # its last numbers come before
        finally:
            del self._leaving[run]
            Path(order["socket"]).unlink(missing_ok=True)

    def _used(self, login_key: str) -> bool:
        return any(order["login"] == login_key for order in self._runs.values())

    def _socket(self) -> Path:
        path = private_directory(self._sockets) / f"{secrets.token_hex(4)}.gw"
        if len(os.fsencode(path)) > _SOCKET_BYTES:
            raise StateError(f"{self._sockets} is too long a path for sockets", "set CCTERM_STATE_DIR to a shorter one")
        return path

    def _certify(self) -> str:
        """Make the authority with the first run, and a certificate when the last one is a day old; returns the authority's PEM."""
        from ccterm.gateway.certificates import CertificateAuthority  # deferred: most daemons never need it, and it costs start-up time

        now = datetime.now(UTC)
        if self._authority is None:
            self._authority = CertificateAuthority()
        if now - self._signed > _LEAF_AGE:
            self._signed = now
            leaf = self._authority.leaf()
            self._certificate = {"do": "certificate", "certificate": leaf.certificate, "key": leaf.key}
            self._say(self._certificate)
        return self._authority.pem

    def _login_order(self, key: str) -> LoginOrder:
        login = self._logins[key]
        return {"do": "login", "login": key, "header": login.header, "value": login.value.get_secret_value()}

    async def _ask(self, run: RunId, order: AdmitOrder) -> None:
        """Have the run admitted, by the process that runs or by the next one."""
        if len(json.dumps(order)) >= LINE_BYTES:
            raise DaemonError("the certificates of the git hosts that the run reads from are too large", "name smaller files as ca")
        answer = self._waiting[run] = asyncio.get_running_loop().create_future()
        if self._supervisor is None or self._supervisor.done():
            self._supervisor = asyncio.ensure_future(self._keep_running())
        self._say(order)
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                why = await answer
        except TimeoutError as error:
            raise DaemonError(
                "the gateway does not start", "the daemon's log may say why; ccterm run --login secret does without it"
            ) from error
        finally:
            del self._waiting[run]
        if why:
            raise DaemonError(f"the gateway cannot admit the run: {why}", "ccterm run --login secret does without it")

    def _say(self, order: Order) -> None:
        if self._process is not None:
            self._process.say(json.dumps(order))

    async def _keep_running(self) -> None:
        """Have a process for as long as this runs."""
        pauses = RestartPauses()
        while True:
            started, defect = time.monotonic(), None
            try:
                async with self._one_process() as process:
                    async for told in process.told():
                        self._take(told)
                why = process.last_words
            except Exception as error:  # noqa: BLE001 - the runs that use it must not be without one for good
                why, defect = str(error), error
            _log.warning("the gateway ended and is started again: %s", why or "it gave no reason", exc_info=defect)
            await asyncio.sleep(pauses.after(time.monotonic() - started))

    @contextlib.asynccontextmanager
    async def _one_process(self) -> AsyncIterator[GatewayProcess]:
        process = await GatewayProcess.start()
        try:
            self._process = process
            self._say({"do": "start", "environ": way_out_variables(self._environ)})
            if self._certificate:
                self._say(self._certificate)
            for key in self._logins:
                self._say(self._login_order(key))
            for order in self._runs.values():
                self._say(order)
            yield process
        finally:
            self._process = None
            await process.end()

    def _take_admission(self, run: RunId, why: str) -> None:
        if answer := self._waiting.get(run):
            if not answer.done():
                answer.set_result(why)
            return
        if why:
            _log.warning("the gateway that was started again cannot admit run %s: %s", run, why)
        self._events.restarted(run)

    def _take(self, told: GatewayReport) -> None:
        run, login = RunId(told.get("run", "")), told.get("login", "")
        match told["told"]:
            case "admitted" | "refused_run":
                self._take_admission(run, told.get("why", ""))
            case "dismissed" if run in self._leaving:
                self._leaving[run].set_result(None)
            case "used" if run in self._runs or run in self._leaving:
                if run in self._runs:
                    self._runs[run]["numbers"] = told["numbers"]
                self._events.used(run, RunNumbers(*told["numbers"]))
            case "waits" if run in self._runs:
                self._events.waits(run, waits=told["waits"])
            case "unreachable" if run in self._runs:
                self._events.unreachable(run, told["why"])
            case "over_budget" if run in self._runs:
                self._events.over_budget(run)
            case "refused" if login in self._logins:
                self._events.refused(login)
            case "limits" if login in self._logins:
                windows = {name: LimitWindow(*window) for name, window in told["windows"].items()}
                self._events.limits(login, LimitWindows(told["status"], told["binding"], told["resets_at"], windows))
            case _:
                pass  # of a run that was dismissed meanwhile
