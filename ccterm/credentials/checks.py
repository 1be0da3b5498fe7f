"""Preflight questions about logins, tokens and secrets. No part of a value is shown."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from ccterm.credentials.api_address import require_listening
from ccterm.credentials.claude import NO_LOGIN, Logins, looked_up_as
from ccterm.credentials.keyring_client import Keyring
from ccterm.credentials.login import API_KEY_NAME, Login, home
from ccterm.credentials.login_sources import EXPORTED, LOG_IN, OWN, RENEW, LoginSource, read_login
from ccterm.credentials.setup_token import VALID, WARN_AFTER
from ccterm.credentials.sources import resolve_source, source_name
from ccterm.errors import PreflightError, SettingsError
from ccterm.models import CheckResult, ExecutionMode
from ccterm.output.forms import SHORTEST
from ccterm.settings import Settings
from ccterm.settings.model import SecretSettings
from ccterm.values import LoginPlace

Status = Literal["pass", "warn", "fail"]
_REPLACE = "ccterm auth setup stores another one"


class Named(Protocol):
    """A check, as far as an answer to it needs it."""

    name: str
    group: str


def answer(check: Named, status: Status, text: str, fix: str = "") -> CheckResult:
    """Return the result of a check."""
    return CheckResult(name=check.name, group=check.group, status=status, text=text, fix=fix)


class ApiCheck:
    """Something listens at the API's address on this machine."""

    name, group = "api", "claude"

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    async def run(self) -> CheckResult:
        """Connect."""
        try:
            await require_listening(self._base_url)
        except PreflightError as error:
            return answer(self, "fail", error.message, error.fix)
        return answer(self, "pass", f"something listens at {self._base_url}, the address of the Claude API")


class LoginCheck:
    """There is a Claude login that runs can use: the one that `login_for` gives them. No request is made. place: where it is; may block."""

    name, group = "login", "claude"

    def __init__(
        self,
        execution_mode: ExecutionMode,
        environ: Mapping[str, str],
        logins: Logins,
        place: Callable[[], LoginPlace] = lambda: "secret",
    ) -> None:
        self._execution_mode, self._environ, self._logins, self._place = execution_mode, environ, logins, place

    async def run(self) -> CheckResult:
        """Ask which login runs would use; of the user's own, look at what the CLI keeps of it."""
        place = await asyncio.to_thread(self._place)
        mode = looked_up_as(self._execution_mode, self._environ, place)
        try:
            login = await asyncio.to_thread(self._logins.login_for, mode, self._environ, anew=True)
            if login.kind != "own":
                return self._of_run(login, place)
            sources = await asyncio.to_thread(self._logins.survey, mode, self._environ)
        except (PreflightError, SettingsError) as error:
            return answer(self, "fail", error.message, error.fix)
        chosen = next((source for source in sources if source.chosen), None)
        if chosen is None:
            return answer(self, "fail", *NO_LOGIN)
        return self._of_user(chosen)

    def _of_run(self, login: Login, place: LoginPlace) -> CheckResult:
        of_variable = login.kind in ("env", "api-key", "provider")
        text = f"{login.source} is set" if of_variable else f"a Claude login: {login.source}{left(login.expires_at)}"
        if login.too_short(datetime.now(UTC)):
            then = "runs that outlive it wait for another" if place == "gateway" else "runs are held until there is another"
            return answer(self, "warn", f"{text}: {then}", RENEW)
        if login.kind == "setup-token" and login.expires_at and login.expires_at - datetime.now(UTC) <= VALID - WARN_AFTER:
            return answer(self, "warn", text, _REPLACE)
        if login.kind == "access-token":
            return answer(self, "pass", f"{text}; a setup-token would last a year (ccterm auth setup)")
        return answer(self, "pass", text)

    def _of_user(self, own: LoginSource) -> CheckResult:
        match own.level:
            case "usable":
                return answer(self, "pass", f"a login in {own.name}{left(own.expires_at)}")
            case "renewable":  # the CLI renews it by itself
                text = f"the login in {own.name} {own.state} and will be renewed"
                return answer(self, "warn", text, f"before many agents start: {RENEW}")
            case "missing":
                key = f"; {API_KEY_NAME} is set but not used, because it would bill the API" if self._environ.get(API_KEY_NAME) else ""
                return answer(self, "fail", f"no Claude login{key}", LOG_IN)
            case _:
                return answer(self, "fail", own.state if own.name == OWN else f"the login in {own.name} {own.state}", LOG_IN)


class ExportCheck:
    """The copy of the login that `ccterm auth export` makes is there and valid, or nothing needs it."""

    name, group = "export", "claude"

    def __init__(self, environ: Mapping[str, str], logins: Logins) -> None:
        self._environ, self._logins = environ, logins

    async def run(self) -> CheckResult:
        """Look at the copy, and at what runs in containers use."""
        path = home(self._environ) / EXPORTED
        copy = await asyncio.to_thread(read_login, path)
        trouble = copy.trouble(datetime.now(UTC)) if copy else "does not exist"
        if copy and not trouble:
            return answer(self, "pass", f"the exported login in {path}{left(copy.expires_at)}")
        try:
            login = await asyncio.to_thread(self._logins.login_for, ExecutionMode.DAGGER, self._environ)
        except (PreflightError, SettingsError):
            fix = "ccterm auth export, once you are logged in"
            return answer(self, "warn", f"the exported login {path} {trouble}", fix)
        text = f"the exported login {path} {trouble}; it is not needed: runs use {login.source}"
        return answer(self, "pass", text)


class SecretCheck:
    """One [secrets] table of the settings has its secret."""

    group = "secrets"

    def __init__(self, name: str, secret: SecretSettings, environ: Mapping[str, str], keyring: Keyring) -> None:
        self.name = f"secret {name}"
        self._variable, self._secret, self._environ, self._keyring = name, secret, environ, keyring

    async def run(self) -> CheckResult:
        """Ask its source."""
        source, steps = self._secret.source, ", ".join(self._secret.steps)
        text = f"{self._variable} from {source_name(source)}, for {steps or 'no step'}"
        try:
            found = await asyncio.to_thread(resolve_source, source, self._environ, keyring=self._keyring)
        except SettingsError as error:
            return answer(self, "fail", f"{text}: {error.message}", error.fix)
        if len(found.get_secret_value().strip()) < SHORTEST:
            text = f"{text}: resolved, but too short to be masked where a program prints it"
            return answer(self, "warn", text, f"use one of at least {SHORTEST} characters")
        return answer(self, "pass", f"{text}: resolved")


def secret_checks(settings: Settings, environ: Mapping[str, str], logins: Logins) -> list[SecretCheck]:
    """Return one question for each [secrets] table."""
    return [SecretCheck(name, secret, environ, logins.keyring) for name, secret in settings.secrets.items()]


def left(expires: datetime | None) -> str:
    """Return for how long something is still valid, as the end of a sentence."""
    if expires is None:
        return ""
    remaining = expires - datetime.now(UTC)
    if remaining > timedelta(days=2):
        return f", valid for {remaining.days} days"
    hours = remaining.total_seconds() / 3600
    return f", valid for {hours:.0f} h" if hours >= 1 else ", valid for less than an hour"
