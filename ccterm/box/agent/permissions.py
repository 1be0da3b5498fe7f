"""What the agent's program asks before it uses a tool, and the answers that it gets: each question gets exactly one, or is said to be withdrawn.

The program asks with a `control_request` on stdout (`can_use_tool`) and waits; it takes the answer as a `control_response` on stdin. A question
of which nobody takes notice is refused after a while, and a closed stdin refuses all that are open.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ccterm.box.agent.turns import Notes
from ccterm.box.permission_rules import lasting_rules

NOBODY = "Nobody answered the request for permission. Go on without it if you can, and say at the end what was not possible."
REFUSED = "The user does not allow this. Go on without it if you can, and say at the end what was not possible."


class Asked(NamedTuple):
    """A question without an answer. until: when it is refused, in seconds of the clock."""

    request: Mapping[str, Any]
    until: float


class PermissionRequests:
    """The questions of one agent. send: writes one message to its stdin. seconds: how long a question waits for its answer."""

    def __init__(
        self, send: Callable[[Mapping[str, object]], None], frames: Notes, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send, self._frames, self._seconds, self._clock = send, frames, seconds, clock
        self._open: dict[str, Asked] = {}

    @property
    def waiting(self) -> bool:
        """Whether the agent waits for an answer."""
        return bool(self._open)

    @property
    def next_moment(self) -> float | None:
        """When `expire` should be called next, or None."""
        return min((asked.until for asked in self._open.values()), default=None)

    def hear(self, message: Mapping[str, Any]) -> None:
        """Process one message of the agent."""
        match message:
            case {"type": "control_request", "request_id": str(key), "request": {"subtype": "can_use_tool"} as request}:
                self._open[key] = Asked(request, self._clock() + self._seconds)
                until = round(time.time() + self._seconds, 3)
                self._frames.note("the agent is waiting for permission", what="waiting", until=until)
            case {"type": "control_cancel_request", "request_id": str(key)}:
                self._close(key, "withdrawn")

    def allow(self, key: str, *, always: bool) -> None:
        """Let the agent do what it asked for; always: and the like for the rest of the run. Does nothing for a question that is not open."""
        if asked := self._open.get(key):
            answer: dict[str, object] = {"behavior": "allow", "updatedInput": asked.request.get("input", {})}
            self._answer(key, answer | ({"updatedPermissions": lasting_rules(asked.request)} if always else {}))
            self._close(key, "always" if always else "allowed")

    def deny(self, key: str, text: str) -> None:
        """Refuse it. text: what the agent is told; "" = that the user does not allow it."""
        if key in self._open:
            self._answer(key, {"behavior": "deny", "message": text or REFUSED})
            self._close(key, "denied", text)

    def expire(self) -> None:
        """Refuse what has waited long enough."""
        for key in [key for key, asked in self._open.items() if self._clock() >= asked.until]:
            self._answer(key, {"behavior": "deny", "message": NOBODY})
            self._close(key, "expired")

    def finish(self) -> None:
        """Say of the open questions that nothing came of them."""
        for key in list(self._open):
            self._close(key, "withdrawn")

    def _answer(self, key: str, answer: Mapping[str, object]) -> None:
        self._send({"type": "control_response", "response": {"subtype": "success", "request_id": key, "response": answer}})

    def _close(self, key: str, answer: str, text: str = "") -> None:
        if self._open.pop(key, None):
            self._frames.note(text, what="answered", request=key, answer=answer)
            if not self._open:
                self._frames.note("the agent is no longer waiting", what="waiting")
