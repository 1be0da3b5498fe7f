"""The places where a Claude login may be, in the order in which they count, each with what is in it."""

import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import SecretStr

from ccterm.credentials.keychain import WHERE, has_keychain_login, keychain_login
from ccterm.credentials.login import API_KEY_NAME, LARGEST, TOKEN_NAME, Login, StoredLogin, home, parse_login
from ccterm.credentials.provider import provider_login
from ccterm.credentials.setup_token import SetupTokenStore
from ccterm.credentials.sources import one_line
from ccterm.errors import PreflightError
from ccterm.models import ExecutionMode, now
from ccterm.values import Value

LOGIN_FILE = ".credentials.json"
EXPORTED = Path(".claude-container") / LOGIN_FILE
"""Below the user's HOME: an access token exported for containers, without the refresh token."""
SETUP = "ccterm auth setup stores a token that lasts a year"
RENEW = f"run claude once, which renews it for some 8 hours; {SETUP}"
LOG_IN = f"{SETUP}; or run claude and type /login (a container can use that for some 8 hours)"
KEYRING = "ccterm's setup-token"
OWN = "your own login"


class LoginSource(Value):
    """One place for a login. state: what is in it, in words. level: renewable = expired, but the Claude CLI can renew it."""

    name: str
    level: Literal["usable", "renewable", "unusable", "missing"]
    state: str
    expires_at: datetime | None = None
    scopes: tuple[str, ...] | None = None
    chosen: bool = False


class Candidate(NamedTuple):
    """A source, the login that a run would get from it, and what to say when no other source has one."""

    source: LoginSource
    login: Login | None = None
    refusal: tuple[str, str] | None = None


class LoginPlaces:
    """Looks for logins of one environment. Everything blocks, for some seconds at most."""

    def __init__(self, env: Mapping[str, str], tokens: SetupTokenStore, *, mac: bool, api_key: bool, at: datetime | None = None) -> None:
        self._env, self._tokens, self._mac, self._api_key, self._at = env, tokens, mac, api_key, at or now()

    def candidates(self, execution_mode: ExecutionMode) -> Iterator[Candidate]:
        """Yield every source, best first; one is looked at when it is asked for. A cloud provider that the user switched on is the only one.

        Raises SettingsError for a variable that holds no token, PreflightError for a provider that the agent could not use.
        """
        if provider := provider_login(self._env, execution_mode):
            yield Candidate(LoginSource(name=provider.source, level="usable", state="set"), provider)
            return
        yield self._environment()
        yield self._setup_token()
        if execution_mode is ExecutionMode.LOCAL:
            yield self._own()
        else:
            yield from self._stored()
        yield self._key()

    def _environment(self) -> Candidate:
        token = "".join(self._env.get(TOKEN_NAME, "").split())  # tokens pasted over two lines are common
        if not token:
            return Candidate(LoginSource(name=TOKEN_NAME, level="missing", state="not set"))
        value = one_line(SecretStr(token), TOKEN_NAME)
        return Candidate(LoginSource(name=TOKEN_NAME, level="usable", state="set"), Login(kind="env", source=TOKEN_NAME, value=value))

    def _setup_token(self) -> Candidate:
        try:
            found = self._tokens.load(self._env)
        except PreflightError as error:
            return Candidate(LoginSource(name=KEYRING, level="unusable", state=error.message), refusal=(error.message, error.fix))
        if found is None:
            return Candidate(LoginSource(name=KEYRING, level="missing", state="none stored"))
        if found.expires_at <= self._at:
            state = f"ended {found.expires_at.astimezone():%Y-%m-%d}"
            return Candidate(
                LoginSource(name=found.where, level="unusable", state=state, expires_at=found.expires_at),
                refusal=(f"the setup-token in {found.where} {state}", SETUP),
            )
        login = Login(kind="setup-token", source=found.where, value=found.token, expires_at=found.expires_at)
        return Candidate(LoginSource(name=found.where, level="usable", state="stored", expires_at=found.expires_at), login)

    def _own(self) -> Candidate:
        """Return the user's own login, which the Claude CLI looks after itself: whatever is known of it, a run may use it."""
        try:
            stored = own_login(self._env, mac=self._mac)
        except PreflightError as error:
            return Candidate(LoginSource(name=OWN, level="unusable", state=error.message), Login(kind="own", source=OWN))
        if stored is None:
            login = None if self._api_key and self._env.get(API_KEY_NAME) else Login(kind="own", source=OWN)
            return Candidate(LoginSource(name=OWN, level="missing", state="none found"), login)
        login = Login(kind="own", source=stored.where, expires_at=stored.expires_at, scopes=stored.scopes or None)
        return Candidate(self._source(stored), login)

    def _stored(self) -> Iterator[Candidate]:
        """Yield the user's login where containers can take an access token from, the one that ends last first."""
        found = []
        if self._mac:
            found.append(self._keychain())
        for path in (own_file(self._env), home(self._env) / EXPORTED):
            stored = read_login(path)
            missing = Candidate(LoginSource(name=str(path), level="missing", state="not there"))
            found.append(self._of_stored(stored) if stored else missing)
        never = datetime.min.replace(tzinfo=self._at.tzinfo)
        yield from sorted(found, key=lambda one: (one.login is not None, one.source.expires_at or never), reverse=True)

    def _keychain(self) -> Candidate:
        try:
            stored = keychain_login(self._env)
        except PreflightError as error:
            return Candidate(LoginSource(name=WHERE, level="unusable", state=error.message), refusal=(error.message, error.fix))
        return self._of_stored(stored) if stored else Candidate(LoginSource(name=WHERE, level="missing", state="no item"))

    def _of_stored(self, stored: StoredLogin) -> Candidate:
        source = self._source(stored)
        if source.level == "usable":
            scopes, token = stored.scopes, stored.token
            login = Login(kind="access-token", source=stored.where, value=token, expires_at=stored.expires_at, scopes=scopes)
            return Candidate(source, login)
        return Candidate(source, refusal=(f"the Claude login in {stored.where} {source.state}", LOG_IN if stored.problem else RENEW))

    def _source(self, stored: StoredLogin) -> LoginSource:
        trouble = stored.trouble(self._at)
        level: Literal["usable", "renewable", "unusable"] = "usable"
        if trouble:
            level = "renewable" if stored.renewable and not stored.problem else "unusable"
        shown = {"expires_at": stored.expires_at, "scopes": stored.scopes} if not stored.problem else {}
        return LoginSource(name=stored.where, level=level, state=trouble or "usable").model_copy(update=shown)

    def _key(self) -> Candidate:
        if not self._env.get(API_KEY_NAME):
            return Candidate(LoginSource(name=API_KEY_NAME, level="missing", state="not set"))
        if not self._api_key:
            state = "set, but not used: it bills the API (api_key = true in the settings allows it)"
            return Candidate(LoginSource(name=API_KEY_NAME, level="unusable", state=state))
        value = one_line(SecretStr(self._env[API_KEY_NAME]), API_KEY_NAME)
        return Candidate(
            LoginSource(name=API_KEY_NAME, level="usable", state="set"), Login(kind="api-key", source=API_KEY_NAME, value=value)
        )


def own_file(env: Mapping[str, str]) -> Path:
    """Return the path of the Claude CLI's own login file, which on macOS is usually not there."""
    return Path(env.get("CLAUDE_CONFIG_DIR") or home(env) / ".claude") / LOGIN_FILE


def own_login(env: Mapping[str, str], *, mac: bool) -> StoredLogin | None:
    """Return what is known about the user's own login; None = there is none. Blocks.

    The keychain is only asked whether it has one, which needs no permission. Raises PreflightError if it does not answer.
    """
    if stored := read_login(own_file(env)):
        return stored
    return StoredLogin(where=WHERE) if mac and has_keychain_login(env) else None


def read_login(path: Path) -> StoredLogin | None:
    """Return the login in a file, or None if there is no such file."""
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            return StoredLogin(where=str(path), problem="is not a regular file")
        with path.open("rb") as file:
            return parse_login(file.read(LARGEST + 1), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        return StoredLogin(where=str(path), problem=f"cannot be read ({error.strerror})")


def login_secrets(env: Mapping[str, str]) -> tuple[SecretStr, ...]:
    """Return every secret value in the login files that a program of this user could print."""
    stored = (read_login(path) for path in (own_file(env), home(env) / EXPORTED))
    return tuple(secret for one in stored if one for secret in one.secrets)
