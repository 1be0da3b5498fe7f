"""How the scripted agent asks before it runs a command: as the real CLI does, with a control request, where it was told that somebody answers."""

from collections.abc import Mapping
from typing import Any

from ccterm.box import fresh_uuid
from ccterm.box.scripted.stdin import StdinReader
from ccterm.box.scripted.stream import Stream

_UNASKED = "Claude requested permissions to use Bash, but you haven't granted it yet."


class PermissionPrompt:
    """Asks for permissions. asks: whether somebody answers; else all is denied, unless the stream says that nothing is."""

    def __init__(self, stream: Stream, stdin: StdinReader, *, asks: bool) -> None:
        self._stream, self._stdin, self._asks = stream, stdin, asks
        self._always = stream.permission == "bypassPermissions"

    def refusal(self, call: str, given: Mapping[str, object]) -> str | None:
        """Ask for a call of Bash. Returns why it is refused, or None when it may run or the turn is interrupted."""
        if self._always:
            return None
        if not self._asks:
            self._stream.emit(
                {"type": "system", "subtype": "permission_denied", "tool_name": "Bash", "tool_use_id": call, "message": _UNASKED}
            )
            return self._refused(call, given, _UNASKED)
        answer = self._ask(call, given)
        if answer.get("behavior") == "allow" or self._stdin.stopped:
            self._always = "updatedPermissions" in answer
            return None
        return self._refused(call, given, str(answer.get("message", "Tool permission stream closed before response received")))

    def _ask(self, call: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        key, command = fresh_uuid(), str(given["command"])
        rule = {"toolName": "Bash", "ruleContent": f"{command.split(maxsplit=1)[0]} *"}
        request = {
            "subtype": "can_use_tool",
            "tool_name": "Bash",
            "display_name": "Bash",
            "input": given,
            "permission_suggestions": [{"type": "addRules", "rules": [rule], "behavior": "allow", "destination": "localSettings"}],
            "decision_reason": "This command requires approval",
            "decision_reason_type": "other",
            "tool_use_id": call,
        }
        self._stream.emit({"type": "control_request", "request_id": key, "request": request})
        while key not in self._stdin.answers and not self._stdin.stopped and not self._stdin.closed:
            self._stdin.listen(60)
        return self._stdin.answers.pop(key, {})

    def _refused(self, call: str, given: Mapping[str, object], why: str) -> str:
        self._stream.denials.append({"tool_name": "Bash", "tool_use_id": call, "tool_input": given})
        return why
