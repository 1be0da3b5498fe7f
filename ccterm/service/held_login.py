"""One login as the daemon has a gateway hold it: where the next one comes from, and which runs use it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ccterm.credentials.login import Login
from ccterm.events import Notice, NoticeLevel
from ccterm.gateway.client import GatewayEvents, GatewayLogin, GitReading, RunPass
from ccterm.models import RunId
from ccterm.pipeline.gateway_access import GatewayListener
from ccterm.service.credential_gate import AgentLogin, PendingCall


class LoginHolder(Protocol):
    """What is asked of a gateway; `Gateway` says more."""

    async def admit(
        self, run: RunId, login_key: str, login: GatewayLogin, *, base_url: str | None, max_tokens: int | None, git: GitReading | None
    ) -> RunPass:
        """Open a socket for a run."""
        ...

    async def renew(self, login_key: str, login: GatewayLogin) -> None:
        """Take another login, and send again what is held."""
        ...

    async def try_again(self, login_key: str) -> None:
        """Send again what is held, with the same login."""
        ...

    async def give_up(self, login_key: str) -> None:
        """Pass on the refusals that are held."""
        ...

    async def dismiss(self, run: RunId) -> None:
        """Make the pass of a run void."""
        ...


MakeGateway = Callable[[Mapping[str, str], GatewayEvents], AbstractAsyncContextManager[LoginHolder]]


@dataclass(eq=False)
class HeldLogin:
    """One login that a gateway holds.

    source: finds it, and the next one. refused: identities of those that the API refused. waiting: since when requests wait, or None.
    proved: when the API was last asked about it, or None.
    """

    key: str
    source: AgentLogin
    gateway: LoginHolder
    login: Login
    runs: dict[RunId, GatewayListener] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    waiting: datetime | None = None
    proved: datetime | None = None
    timer: PendingCall | None = None
    looking: "asyncio.Task[None] | None" = None

    def tell(self, text: str, level: NoticeLevel = "warn") -> None:
        """Tell the users of all its runs."""
        for listener in self.runs.values():
            listener.notice(Notice(level=level, text=text))

    @property
    def refusal(self) -> str:
        """What its users are told when it was refused."""
        number = len(self.runs)
        waiting = "this run waits" if number == 1 else f"{number} runs wait"
        how = "submit something with another one" if self.login.kind == "env" else "run claude once, or ccterm auth setup"
        return f"the Claude login was refused; {waiting} for the next one: {how}"

    def stop(self) -> None:
        """Look no more."""
        for pending in (self.timer, self.looking):
            if pending:
                pending.cancel()
