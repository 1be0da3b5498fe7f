"""A keeper of logins with gateways that remember what they were told, and runs that do."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from ccterm.credentials.login import Login
from ccterm.events import Notice
from ccterm.gateway.client import GatewayEvents, GatewayLogin, GitReading, RunNumbers, RunPass
from ccterm.models import BatchId, ExecutionMode, RunId
from ccterm.pipeline.gateway_access import GatewayAccess
from ccterm.service.credential_gate import AgentLogin, CredentialGate
from ccterm.service.gates import QueueEntry
from ccterm.service.login_keeper import LoginKeeper
from ccterm.service.usage_gate import UsageGate
from ccterm.values import UsageWindow
from tests.support.logins import NOON, LoginWorld
from tests.support.waiting import until


@dataclass(eq=False)
class FakeGateway:
    """A gateway that remembers what it was told."""

    environ: Mapping[str, str]
    events: GatewayEvents
    logins: dict[str, str] = field(default_factory=dict)
    headers: set[str] = field(default_factory=set)
    runs: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def __aenter__(self) -> "FakeGateway":
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.said.append("closed")

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
        await self.renew(login_key, login)
        self.runs[run] = login_key
        return RunPass(Path("/s"), SecretStr(f"pass of {run}"), "PEM")

    async def renew(self, login_key: str, login: GatewayLogin) -> None:
        self.logins[login_key] = login.value.get_secret_value()
        self.headers.add(login.header)

    async def try_again(self, login_key: str) -> None:
        self.said.append(f"try {self.logins[login_key]} again")

    async def give_up(self, login_key: str) -> None:
        self.said.append(f"give up {self.logins[login_key]}")

    async def dismiss(self, run: RunId) -> None:
        self.runs.pop(run, None)


@dataclass
class Listener:
    """What one run was told."""

    notices: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)
    numbers: RunNumbers | None = None
    windows: Sequence[UsageWindow] = ()
    spent: bool = False

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice.text)

    def mask(self, secrets: Iterable[tuple[str, SecretStr]]) -> None:
        self.masked += [value.get_secret_value() for _, value in secrets]

    def used(self, numbers: RunNumbers) -> None:
        self.numbers = numbers

    def waits(self, *, waits: bool) -> None:
        self.notices.append("waits" if waits else "waits no more")

    def limited(self, windows: Sequence[UsageWindow]) -> None:
        self.windows = windows

    def restarted(self) -> None:
        self.notices.append("restarted")

    def over_budget(self) -> None:
        self.spent = True


@dataclass
class World(LoginWorld):
    """A keeper and its gateways."""

    gateways: list[FakeGateway] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.credentials = CredentialGate(clock=lambda: self.at, later=self.later)
        self.usage = UsageGate(clock=lambda: self.at, later=self.later)
        self.keeper = LoginKeeper(self.make, self.credentials, self.usage, clock=lambda: self.at, later=self.later)
        self.source = AgentLogin(self.look, self.prove, through_gateway=True)
        self.source.look(NOON)

    def make(self, environ: Mapping[str, str], events: GatewayEvents) -> FakeGateway:
        """Make a gateway for an environment."""
        self.gateways.append(FakeGateway(environ, events))
        return self.gateways[-1]

    @property
    def gateway(self) -> FakeGateway:
        (only,) = self.gateways
        return only

    @property
    def key(self) -> str:
        (only,) = {*self.gateway.runs.values()}
        return only

    @property
    def login_in_use(self) -> str:
        return self.gateway.logins[self.key]

    def entry(self, run: str) -> QueueEntry:
        return QueueEntry(RunId(run), BatchId("b"), ("host/repo", run), ExecutionMode.DAGGER, credential=self.source)

    async def admit(self, run: str, *, environ: Mapping[str, str] | None = None) -> Listener:
        """Admit a run until the end of the test."""
        assert self.credentials.reason(self.entry(run)) == ""
        listener = Listener()
        assert isinstance(self.login, Login)
        access = GatewayAccess(self.keeper, self.login, environ or {})
        await self.stack.enter_async_context(self.keeper.admitted(RunId(run), access, listener))
        return listener

    async def quiet(self) -> None:
        await until(lambda: not self.keeper.looking and not self.credentials.probing)
