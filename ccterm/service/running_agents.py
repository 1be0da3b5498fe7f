"""What a user can say to an agent while it works: messages, to wait or not to wait, and answers to its requests for permission."""

import secrets
from collections.abc import Awaitable, Callable

from ccterm.draft import require_message
from ccterm.errors import UsageError
from ccterm.event_lines import KEY_LENGTH, cut
from ccterm.events import HoldChanged, Told
from ccterm.models import Run, RunId, RunRef
from ccterm.pipeline.run_control import RunControl
from ccterm.service.active import Active
from ccterm.service.protocol import Service
from ccterm.values import Decision


class RunningAgents(Service):
    """The part of the service that carries this out in the process of the runs."""

    _active: dict[RunId, Active]

    async def steer(self, run: RunRef, text: str) -> None:
        """Send a message to a running agent."""
        require_message(text)
        run, key = await self._id(run), secrets.token_hex(KEY_LENGTH // 2)
        await self._control(run, lambda control: control.say(text, key))
        active = self._active.get(run)
        if active and active.control.unanswered(key) and not _listens(active.recorder.run):
            active.recorder.emit([Told(text=cut(text, where=""), message=key)])

    async def hold(self, run: RunRef) -> None:
        """Make a running agent wait for input when its turn ends."""
        await self._set_hold(run, RunControl.hold, on=True)

    async def release(self, run: RunRef) -> None:
        """Let a waiting agent finish."""
        await self._set_hold(run, RunControl.release, on=False)

    async def _set_hold(self, run: RunRef, send: Callable[[RunControl], Awaitable[bool]], *, on: bool) -> None:
        run = await self._id(run)
        await self._control(run, send)
        if active := self._active.get(run):
            active.recorder.emit([HoldChanged(on=on)])

    async def decide(self, run: RunRef, request: str, decision: Decision, text: str = "") -> None:
        """Answer an agent that asks for permission."""
        require_message(text, may_be_empty=True)
        known = await self.find(run)
        if not known.state.final and request not in [asked.id for asked in known.permission_requests]:
            raise UsageError(f"run {known.label} no longer asks for that permission", f"ccterm show {known.ref} shows its state")
        await self._control(known.id, lambda control: control.decide(request, decision, text.strip()))

    async def refresh_patch(self, run: RunRef) -> None:
        """Bring the patch of what a running agent has changed up to date."""
        run = await self._id(run)
        active = self._active.get(run)
        if active is None or active.control.look is None:
            known = await self.find(run)
            raise UsageError(f"no agent works on run {known.label} now", f"ccterm show {known.ref} shows its state")
        await active.control.look()

    async def _control(self, run: RunId, send: Callable[[RunControl], Awaitable[bool]]) -> None:
        if run in self._active and await send(self._active[run].control):
            return
        known = await self.find(run)
        if known.state.final:
            raise UsageError(f"run {known.label} has ended already ({known.state})", f"ccterm continue {known.ref} TEXT goes on with it")
        raise UsageError(f"the agent of run {known.label} takes no messages now", f"ccterm show {known.ref} shows its state")


def _listens(run: Run) -> bool:
    """Whether an agent waits for input, and so takes a message up at once."""
    return run.waiting_until is not None and not run.permission_requests
