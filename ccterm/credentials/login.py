"""A Claude login as a value, and the one strict parser of the documents in which the Claude CLI keeps its logins."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError

from ccterm.git.bounded_json import read_json
from ccterm.output.forms import PART
from ccterm.output.own_text import remember
from ccterm.values import Value

TOKEN_NAME = "CLAUDE_CODE_OAUTH_TOKEN"
API_KEY_NAME = "ANTHROPIC_API_KEY"
INFERENCE = "user:inference"
"""The scope without which the CLI counts as not logged in."""
LARGEST = 64 * 1024
NAME_OF_FILE = "the Claude login file"
"""What a secret out of one is called where it is masked."""
MARGIN = timedelta(minutes=5)
"""By how much a login that a run gets must outlive the run: clocks differ, and a last request takes its time."""
LEAST = timedelta(minutes=10)
"""What must be left of a login for a run to start with it."""
_MILLISECONDS_FROM = 10**11
_LATEST = 10**14
_TOKEN = r"[!#-\[\]-~]{1,8192}"
"""Printable ASCII without quotes, backslashes and spaces: what can be written into JSON, a header and a variable as it is."""
_PLAIN = frozenset({"scopes", "scope", "subscriptionType", "rateLimitTier", "serverName", "serverUrl", "clientId"})
"""Names of fields that hold no secret. Every other text in a login file may be one: the CLI also keeps the logins of MCP servers there."""
_SCOPE = re.compile(r"[A-Za-z0-9:._/-]{1,100}")
LoginKind = Literal["env", "setup-token", "access-token", "api-key", "own", "provider"]


class Login(Value):
    """The Claude login of a run.

    kind: "own" = the agent uses the user's own HOME and login, which only local runs can; "provider" = another cloud serves the models, and
    `variables` and `secret_variables` are the login. In both cases `value` is None. source: where it came from, for people. expires_at: None =
    not known. secrets: every value read from login files, to be masked wherever it appears.
    """

    kind: LoginKind
    source: str
    value: SecretStr | None = None
    expires_at: datetime | None = None
    scopes: tuple[str, ...] | None = None
    secrets: tuple[SecretStr, ...] = ()
    variables: Mapping[str, str] = {}
    secret_variables: Mapping[str, SecretStr] = {}

    @property
    def variable(self) -> str:
        """The environment variable in which the Claude CLI gets the value."""
        return API_KEY_NAME if self.kind == "api-key" else TOKEN_NAME

    @property
    def named_secrets(self) -> tuple[tuple[str, SecretStr], ...]:
        """Every value that must never appear in any output, under a name that may be shown."""
        own = (("the Claude login", self.value),) if self.value else ()
        return (*own, *self.secret_variables.items(), *((NAME_OF_FILE, secret) for secret in self.secrets))

    def time_for_run(self, now: datetime) -> timedelta | None:
        """Return for how long a run may go that gets this value; None = for any time: it does not end, or the CLI renews it by itself."""
        return None if self.value is None or self.expires_at is None else self.expires_at - now - MARGIN

    def too_short(self, now: datetime) -> bool:
        """Whether it ends too soon for any run."""
        remaining = self.remaining(now) if self.value else None
        return remaining is not None and remaining < LEAST

    def remaining(self, now: datetime) -> timedelta | None:
        """Return for how long it is still valid; None = not known."""
        return None if self.expires_at is None else self.expires_at - now

    def __repr__(self) -> str:
        return f"<credential kind={self.kind} exp={self.expires_at.isoformat() if self.expires_at else 'unknown'}>"

    __str__ = __repr__


class StoredLogin(Value):
    """What one place holds of a login.

    problem: why it cannot be used, as a clause after "the Claude login in WHERE"; "" = it can, unless it has expired. renewable: whether
    there is a refresh token, by which the CLI renews it. expires_ms: milliseconds since 1970; None = not said. secrets: every value that may
    be secret, also where the login itself is malformed.
    """

    where: str
    problem: str = ""
    token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    expires_ms: int | None = None
    scopes: tuple[str, ...] = ()
    subscription: str | None = None
    secrets: tuple[SecretStr, ...] = ()

    @property
    def renewable(self) -> bool:
        """Whether the Claude CLI can renew it."""
        return bool(self.refresh_token and self.refresh_token.get_secret_value())

    @property
    def expires_at(self) -> datetime | None:
        """When it ends."""
        return None if self.expires_ms is None else datetime.fromtimestamp(self.expires_ms / 1000, UTC)

    def trouble(self, now: datetime) -> str:
        """Return why it cannot be used now, or ""."""
        if self.problem or self.expires_at is None or self.expires_at > now:
            return self.problem
        return f"expired {self.expires_at.astimezone():%a %H:%M}"


class _OAuth(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    access: SecretStr = Field(alias="accessToken")
    refresh: SecretStr | None = Field(None, alias="refreshToken")
    expires: int | None = Field(None, alias="expiresAt", ge=0, lt=_LATEST)
    scopes: tuple[str, ...] | None = None
    subscription: str | None = Field(None, alias="subscriptionType", pattern=r"^[A-Za-z0-9_.-]{1,64}$")


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    oauth: _OAuth = Field(alias="claudeAiOauth")


def parse_login(data: bytes, where: str) -> StoredLogin:
    """Read the document that the CLI keeps of a login; whatever is wrong with it becomes its `problem`, which never shows a value."""
    if len(data) > LARGEST:
        return StoredLogin(where=where, problem="is larger than 64 KiB")
    secrets = _secrets(data)
    remember((NAME_OF_FILE, secret.get_secret_value()) for secret in secrets)
    try:
        oauth = _Document.model_validate_json(data).oauth
    except ValidationError:
        return StoredLogin(where=where, problem="is malformed", secrets=secrets)
    expires = oauth.expires
    if expires is not None and expires < _MILLISECONDS_FROM:
        expires *= 1000  # the CLI has written seconds, too
    return StoredLogin(
        where=where,
        problem=_problem(oauth),
        token=oauth.access,
        refresh_token=oauth.refresh,
        expires_ms=expires,
        scopes=oauth.scopes or (),
        subscription=oauth.subscription,
        secrets=secrets,
    )


def _secrets(data: bytes) -> tuple[SecretStr, ...]:
    try:
        return tuple(map(SecretStr, dict.fromkeys(_texts(read_json(data)))))
    except ValueError:
        return ()


def _texts(value: JsonValue) -> Iterator[str]:
    match value:
        case str() if len(value) >= PART and not value.startswith("https://"):
            yield value
        case list():
            for part in value:
                yield from _texts(part)
        case dict():
            for name, part in value.items():
                if name not in _PLAIN:
                    yield from _texts(part)


def _problem(oauth: _OAuth) -> str:
    token = oauth.access.get_secret_value()
    if not token or oauth.expires == 0:
        return "was logged out by a failed refresh"
    if not re.fullmatch(_TOKEN, token) or not all(_SCOPE.fullmatch(scope) for scope in oauth.scopes or ()):
        return "is malformed"
    return "" if INFERENCE in (oauth.scopes or ()) else f"lacks the scope {INFERENCE}"


def home(env: Mapping[str, str]) -> Path:
    """Return the user's HOME; a path that does not exist if it is not set."""
    return Path(env.get("HOME") or "/nonexistent")
