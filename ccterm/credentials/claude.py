"""Which Claude login a run uses, from where and until when: one answer for checks, submission and the run itself.

A box gets one access token that needs no refresh, never a copy of the user's login: refreshing a copy invalidates the original.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from ccterm.credentials.keyring_client import Keyring, SystemKeyring
from ccterm.credentials.login import TOKEN_NAME, Login
from ccterm.credentials.login_sources import LOG_IN, Candidate, LoginPlaces, LoginSource, login_secrets
from ccterm.credentials.provider import provider_variables, switch_or_none
from ccterm.credentials.setup_token import SetupTokenStore
from ccterm.errors import PreflightError
from ccterm.models import ExecutionMode, now
from ccterm.values import LoginPlace

_SHARED_SECONDS = 2.0
"""For how long one answer serves all who ask: runs that start together."""
_DECISIVE = (TOKEN_NAME, "HOME", "CLAUDE_CONFIG_DIR", "ANTHROPIC_API_KEY", "PATH", "DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND")
NO_LOGIN = ("there is no Claude login for containers", LOG_IN)


class Logins:
    """Answers which login a run uses. Runs that start together share one look at files, keyring and keychain; later ones look again.

    api_key: whether ANTHROPIC_API_KEY may be used where there is nothing else; otherwise it never is, because it bills the API instead of
    the subscription.
    """

    def __init__(
        self,
        keyring: Keyring | None = None,
        *,
        api_key: bool = False,
        platform: str = sys.platform,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = now,
    ) -> None:
        self.keyring = keyring or SystemKeyring()
        self.tokens = SetupTokenStore(self.keyring)
        self._api_key, self._mac = api_key, platform == "darwin"
        self._clock, self._today = clock, today
        self._lock = threading.Lock()
        self._known: dict[tuple[str | None, ...], tuple[float, Login | PreflightError]] = {}

    def login_for(self, execution_mode: ExecutionMode, env: Mapping[str, str], *, anew: bool = False) -> Login:
        """Return the login that a run gets. Blocks for some seconds at most. anew: look again, whatever was found a moment ago.

        Raises PreflightError if there is none, SettingsError for a variable that holds no token. A local run without a token uses the user's
        own HOME and login, whatever is in there.
        """
        key = self.key(execution_mode, env)
        with self._lock:
            since, found = self._known.get(key, (0.0, None))
            if found is None or anew or self._clock() - since >= _SHARED_SECONDS:
                found = self._look(execution_mode, env)
                at = self._clock()
                fresh = {one: known for one, known in self._known.items() if at - known[0] < _SHARED_SECONDS}
                self._known = {**fresh, key: (at, found)}
        if isinstance(found, PreflightError):
            raise PreflightError(found.message, found.fix)
        return found

    def forget(self) -> None:
        """Look again for the next run, whatever was found a moment ago."""
        with self._lock:
            self._known = {}

    def key(self, execution_mode: ExecutionMode, env: Mapping[str, str]) -> tuple[str | None, ...]:
        """Return what decides which login it is: who agree in this get the same. It holds secrets."""
        return (execution_mode, *(env.get(name) for name in _DECISIVE), *sorted(f"{name}={env[name]}" for name in provider_variables(env)))

    def survey(self, execution_mode: ExecutionMode, env: Mapping[str, str]) -> Sequence[LoginSource]:
        """Return every place for a login, in the order in which they count; `chosen` is the one that a run uses. Blocks, raises the same."""
        candidates = list(self._places(env).candidates(execution_mode))
        winner = next((one for one in candidates if one.login), None)
        return [one.source.model_copy(update={"chosen": one is winner}) for one in candidates]

    def _look(self, execution_mode: ExecutionMode, env: Mapping[str, str]) -> Login | PreflightError:
        passed: list[Candidate] = []
        for candidate in self._places(env).candidates(execution_mode):
            if candidate.login:
                return candidate.login.model_copy(update={"secrets": login_secrets(env)})
            passed.append(candidate)
        return _refusal(passed)

    def _places(self, env: Mapping[str, str]) -> LoginPlaces:
        return LoginPlaces(env, self.tokens, mac=self._mac, api_key=self._api_key, at=self._today())


def looked_up_as(execution_mode: ExecutionMode, env: Mapping[str, str], place: LoginPlace) -> ExecutionMode:
    """Return as for which execution mode a login is looked up: the gateway needs a value, as containers do. A provider's stays in the box."""
    return ExecutionMode.DAGGER if place == "gateway" and not switch_or_none(env) else execution_mode


def _refusal(passed: Sequence[Candidate]) -> PreflightError:
    """Say why there is no login: what is wrong with ccterm's own, and with the best of the others."""
    _, own, *others = passed
    reasons = [one for one in (own.refusal, next((one.refusal for one in others if one.refusal), None)) if one]
    messages, fixes = zip(*reasons or [NO_LOGIN], strict=True)
    return PreflightError(", and ".join(messages), "; or ".join(fixes))
