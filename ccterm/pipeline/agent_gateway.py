"""What the gateway tells of a run's agent, on its way into the run's record; and the end of an agent that has used up its tokens."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace

from pydantic import SecretStr

from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome
from ccterm.causes import Cause
from ccterm.events import Limited, Notice
from ccterm.gateway.client import RunNumbers
from ccterm.pipeline.context import RunOutput
from ccterm.pipeline.run_control import RunControl
from ccterm.record import Recorder
from ccterm.values import Tokens, UsageWindow


class AgentGateway:
    """Takes what the gateway tells of one agent. parser: of the agent's stream, which knows the results' figures."""

    def __init__(self, parser: StreamParser, output: RunOutput, recorder: Recorder, control: RunControl) -> None:
        self._parser, self._output, self._recorder, self._control = parser, output, recorder, control
        self._windows: dict[str, UsageWindow] = {}
        self._numbers = RunNumbers()
        self._spent = False
        self._ordering: set[asyncio.Task[bool]] = set()

    def notice(self, notice: Notice) -> None:
        """Record something that the run's user should know."""
        self._recorder.emit([notice])

    def mask(self, secrets: Iterable[tuple[str, SecretStr]]) -> None:
        """Mask more secrets, by name, in what comes of the run from now on."""
        self._output.mask(secrets)

    def used(self, numbers: RunNumbers) -> None:
        """Record what the agent has used since it was admitted."""
        self._numbers = numbers
        tokens = Tokens(input=numbers.input, output=numbers.output, cache=numbers.cache)
        self._recorder.emit(self._parser.counted(tokens, requests=numbers.requests, throttled=numbers.limited))

    def waits(self, *, waits: bool) -> None:
        """Have the box not take it for the agent's silence while it waits for a login."""
        self._order(self._control.login_awaited() if waits else self._control.login_settled())

    def limited(self, windows: Sequence[UsageWindow]) -> None:
        """Record the usage windows that changed."""
        self._parser.windows_known = True
        changed = [window for window in windows if self._windows.get(window.limit) != window]
        self._windows |= {window.limit: window for window in changed}
        self._recorder.emit([Limited(**window.model_dump()) for window in changed])

    def restarted(self) -> None:
        """Have the box ask again what the gateway that died had been asked, and held perhaps."""
        self.waits(waits=False)
        self._order(self._control.reconnect())

    def over_budget(self) -> None:
        """Have the agent stopped: it is answered no more."""
        if not self._spent:
            self._spent = True
            self._order(self._control.stop_agent())

    def _order(self, order: Coroutine[None, None, bool]) -> None:
        task = asyncio.get_running_loop().create_task(order, name="order to a box")
        self._ordering.add(task)
        task.add_done_callback(self._ordering.discard)

    async def close(self) -> None:
        """Wait for the orders that are under way."""
        if self._ordering:
            await asyncio.wait(self._ordering)

    def judged(self, outcome: Outcome, max_tokens: int | None) -> Outcome:
        """Return how the agent ended, which is by its budget if it was stopped for that, and neither ended well before nor by its user."""
        if not self._spent or self._control.asked or (outcome.cause is None and not outcome.cancelled):
            return outcome
        words = f"the agent used {self._numbers.tokens:,} tokens of the {max_tokens or 0:,} that it may (max_tokens)"
        return replace(
            outcome, cause=Cause.BUDGET, reason="max_tokens", summary="\n".join(filter(None, (words, outcome.summary))), cancelled=False
        )
