"""The system's keyring (macOS Keychain, Secret Service, KWallet) with a bound on time: each question is a process that can be ended."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol

from pydantic import SecretStr

from ccterm.credentials.login import LARGEST
from ccterm.errors import NoKeyring, PreflightError
from ccterm.processes import PIPE_BYTES, run_command
from ccterm.values import Value

SERVICE = "ccterm"
"""The service under which ccterm keeps its own items."""
SECONDS = 5.0
_SILENT_SECONDS = 60.0
_CHILD = Path(__file__).with_name("keyring_child.py")
_NONE = frozenset({"keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"})
Action = Literal["get", "set", "delete"]


class KeyringItem(Value):
    """Where in a keyring a secret is."""

    service: str = SERVICE
    name: str


class Keyring(Protocol):
    """Where secrets of the user are kept. All methods block for some seconds at most, and raise PreflightError with the fix.

    NoKeyring = this machine has none, or this session cannot use it.
    """

    def get(self, item: KeyringItem, env: Mapping[str, str]) -> SecretStr | None:
        """Return an item's value, or None."""
        ...

    def set(self, item: KeyringItem, value: SecretStr, env: Mapping[str, str]) -> None:
        """Store a value."""
        ...

    def delete(self, item: KeyringItem, env: Mapping[str, str]) -> bool:
        """Remove an item. Returns whether there was one."""
        ...


class SystemKeyring:
    """The keyring that the `keyring` library finds. One that did not answer is not asked again for a minute."""

    def __init__(self, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._silent_until = 0.0

    def get(self, item: KeyringItem, env: Mapping[str, str]) -> SecretStr | None:
        """Return an item's value, or None."""
        answer = self._ask("get", item, env)
        return SecretStr(answer.value) if answer.state == "ok" and answer.value else None

    def set(self, item: KeyringItem, value: SecretStr, env: Mapping[str, str]) -> None:
        """Store a value."""
        self._silent_until = 0.0  # the user waits for this one
        self._ask("set", item, env, value.get_secret_value())

    def delete(self, item: KeyringItem, env: Mapping[str, str]) -> bool:
        """Remove an item. Returns whether there was one."""
        return self._ask("delete", item, env).state == "ok"

    def _ask(self, action: Action, item: KeyringItem, env: Mapping[str, str], value: str = "") -> "_Answer":
        if env.get("PYTHON_KEYRING_BACKEND") in _NONE:
            raise _no_keyring()
        if self._clock() < self._silent_until:
            raise _silent()
        answer = self._run(action, json.dumps({**item.model_dump(), "value": value}).encode(), env)
        match answer.state:
            case "absent":
                raise _no_keyring()
            case "locked":
                raise PreflightError("the keyring is locked", "unlock it (log in to the desktop, or start its daemon), then try again")
            case "failed":
                raise PreflightError(f"the keyring failed ({answer.value})", "python -m keyring --list-backends shows what there is")
        return answer

    def _run(self, action: Action, question: bytes, env: Mapping[str, str]) -> "_Answer":
        if len(question) > PIPE_BYTES:
            raise PreflightError("the value is too large for a keyring", "keyrings hold some kilobytes")
        isolation = "-I" if sys.flags.isolated else "-P"
        try:
            done = run_command([sys.executable, isolation, _CHILD, action], env=env, seconds=self._seconds, limit=LARGEST, stdin=question)
            return _Answer.model_validate_json(done.output)
        except TimeoutError:
            self._silent_until = self._clock() + _SILENT_SECONDS
            raise _silent() from None
        except (OSError, ValueError) as error:  # among them an answer that is none, whose text may hold the value
            raise PreflightError(
                f"the keyring cannot be asked ({type(error).__name__})", "python -m keyring --list-backends shows what there is"
            ) from None


class MemoryKeyring:
    """A keyring that forgets everything with its process; for tests, and whoever wants no other."""

    def __init__(self, refusal: PreflightError | None = None) -> None:
        self.values: dict[KeyringItem, SecretStr] = {}
        self.asked = 0
        self._refusal = refusal

    def get(self, item: KeyringItem, env: Mapping[str, str]) -> SecretStr | None:  # noqa: ARG002 - the seam's
        """Return an item's value, or None."""
        self._ask()
        return self.values.get(item)

    def set(self, item: KeyringItem, value: SecretStr, env: Mapping[str, str]) -> None:  # noqa: ARG002 - the seam's
        """Store a value."""
        self._ask()
        self.values[item] = value

    def delete(self, item: KeyringItem, env: Mapping[str, str]) -> bool:  # noqa: ARG002 - the seam's
        """Remove an item. Returns whether there was one."""
        self._ask()
        return self.values.pop(item, None) is not None

    def _ask(self) -> None:
        self.asked += 1
        if self._refusal:
            raise self._refusal


class _Answer(Value):
    state: Literal["ok", "missing", "absent", "locked", "failed"]
    value: str | None = None


def _no_keyring() -> NoKeyring:
    return NoKeyring("there is no keyring", "a Secret Service such as gnome-keyring would be one; without it secrets are kept in files")


def _silent() -> PreflightError:
    return PreflightError("the keyring does not answer", "look for a dialog that asks for its password, unlock it, then try again")
