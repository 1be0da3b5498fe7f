"""How an agent reaches the Claude API without having the login: the gateway on the host has it, and the run's box gets a pass.

A pass is a stand-in token that works on the run's own socket alone, and only while the agent's step lasts.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from ccterm.causes import Cause
from ccterm.credentials.login import Login
from ccterm.errors import DaemonError, StateError, StepError
from ccterm.events import Notice
from ccterm.gateway.client import GitReading, RunNumbers, RunPass
from ccterm.models import RunId
from ccterm.values import UsageWindow

PASS_NAME = "the run's stand-in token"
"""What a pass is called where it is masked."""


class GatewayListener(Protocol):
    """What is told of a run while the gateway serves its agent. Everything is called in the event loop."""

    def notice(self, notice: Notice) -> None:
        """Take note of something that the run's user should know."""

    def mask(self, secrets: Iterable[tuple[str, SecretStr]]) -> None:
        """Mask more secrets, by name, in everything that comes of the run from now on."""

    def used(self, numbers: RunNumbers) -> None:
        """Take note of what the agent has used since it was admitted."""

    def waits(self, *, waits: bool) -> None:
        """Take note whether the agent waits for an answer that there is only once its login is followed by another."""

    def limited(self, windows: Sequence[UsageWindow]) -> None:
        """Take note of how much of its usage limits the agent's login has left."""

    def restarted(self) -> None:
        """Take note that the gateway died and was started again."""

    def over_budget(self) -> None:
        """Take note that the agent has used all the tokens that it may; the gateway answers it no more."""


class Gatekeeper(Protocol):
    """Lets agents use the gateway."""

    def admitted(self, run: RunId, access: "GatewayAccess", listener: GatewayListener) -> AbstractAsyncContextManager[RunPass]:
        """Let the agent of a run use the gateway for the duration of the block. Raises DaemonError and StateError when it cannot be."""
        ...


@dataclass(frozen=True)
class GatewayAccess:
    """What a run asks of the gateway.

    login: the one that it started with; there may be a newer one by the time its agent starts. base_url: the user's own address of the API, as
    this machine reaches it; None = Anthropic's. max_tokens: after how many tokens the agent is answered no more; None = no limit. environ: the
    user's, for proxies and certificates on the way to the API. git: what its agent may read; None = nothing.
    """

    keeper: Gatekeeper
    login: Login
    environ: Mapping[str, str]
    base_url: str | None = None
    max_tokens: int | None = None
    git: GitReading | None = None

    @asynccontextmanager
    async def admitted(self, run: RunId, listener: GatewayListener) -> AsyncIterator[RunPass]:
        """Let the agent of a run use the gateway for the duration of the block, and mask its pass from then on. Raises StepError."""
        async with AsyncExitStack() as stack:
            try:
                run_pass = await stack.enter_async_context(self.keeper.admitted(run, self, listener))
            except (DaemonError, StateError) as error:
                raise StepError(Cause.AGENT, error.message, error.fix, reason="gateway") from error
            listener.mask([(PASS_NAME, run_pass.token)])
            yield run_pass
