"""Which Claude login a run uses, from where and until when: one answer for checks, submission and the run itself.

A container gets one access token that needs no refresh, never a copy of the user's login: refreshing a copy invalidates the original.
"""

import json
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from ccterm.credentials.sources import one_line
from ccterm.errors import PreflightError
from ccterm.models import ExecutionMode
from ccterm.processes import run_command

TOKEN_NAME = "CLAUDE_CODE_OAUTH_TOKEN"
LOGIN_FILE = ".credentials.json"
EXPORTED = Path(".claude-container") / LOGIN_FILE
"""Below the user's HOME: an access token exported for containers, without the refresh token."""
_SET_TOKEN = f"run claude setup-token and export {TOKEN_NAME}"
_LARGEST = 64 * 1024
_KEYCHAIN_SECONDS = 5
_KEYCHAIN_ITEM = ("security", "find-generic-password", "-s", "Claude Code-credentials")
_KEYCHAIN_ERRORS = {
    36: ("the macOS keychain is locked", "security unlock-keychain, then try again"),
    128: ("access to the keychain item was denied", "try again and allow it"),
}
"""Exit codes of `security` that a user can do something about."""


@dataclass(frozen=True)
class ClaudeLogin:
    """The login of a run. token: what its box gets; None = the agent uses the user's own HOME and login, which only local runs can.

    expires: when the token ends; None = not within a year, or the CLI renews it.
    """

    kind: Literal["env", "exported", "user login"]
    token: SecretStr | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class StoredLogin:
    """What a file or the keychain holds of a login. state: "good", "expired" (the CLI renews it), "empty" or "unreadable".

    scopes: None = not a list of names.
    """

    state: Literal["good", "expired", "empty", "unreadable"]
    where: str
    expires: datetime | None = None
    token: SecretStr | None = None
    scopes: tuple[str, ...] | None = None
    subscription: str | None = None


def run_login(execution_mode: ExecutionMode, env: Mapping[str, str]) -> ClaudeLogin:
    """Return the login that runs of an executor use.

    First comes the token in the environment. Without one, a local run uses the user's own login, which is not looked at here, and a
    container the exported access token. A stray ANTHROPIC_API_KEY is never used: it would bill the API instead of the subscription.
    Raises PreflightError if a container would have none, SettingsError for a token that cannot be one.
    """
    token = "".join(env.get(TOKEN_NAME, "").split())  # tokens pasted over two lines are common
    if token:
        return ClaudeLogin("env", one_line(SecretStr(token), TOKEN_NAME))
    return ClaudeLogin("user login") if execution_mode is ExecutionMode.LOCAL else _exported_login(env)


def own_login(env: Mapping[str, str], *, platform: str = sys.platform) -> StoredLogin | None:
    """Return what is known about the user's own login, from its file or else the macOS keychain; None = there is none. Blocks.

    The keychain is only asked whether it has one, which needs no permission. Raises PreflightError if it does not answer.
    """
    if login := file_login(env):
        return login
    if platform == "darwin" and _ask_keychain(env)[0] == 0:
        return StoredLogin("good", "the macOS keychain")
    return None


def file_login(env: Mapping[str, str]) -> StoredLogin | None:
    """Return the login in the CLI's own file, or None if there is no such file (on macOS it is usually in the keychain)."""
    return _read(Path(env.get("CLAUDE_CONFIG_DIR") or home(env) / ".claude") / LOGIN_FILE)


def keychain_login(env: Mapping[str, str]) -> StoredLogin | None:
    """Return the login in the macOS keychain, or None. Blocks. Raises PreflightError if it is locked, denied or does not answer."""
    code, text = _ask_keychain(env, "-w")
    if code in _KEYCHAIN_ERRORS:
        raise PreflightError(*_KEYCHAIN_ERRORS[code])
    if code != 0:
        return None
    try:
        data = bytes.fromhex(text.strip())  # the form that some versions answer in
    except ValueError:
        data = text.encode()
    return parse_login(data, "the macOS keychain")


def home(env: Mapping[str, str]) -> Path:
    """Return the user's HOME; a path that does not exist if it is not set."""
    return Path(env.get("HOME") or "/nonexistent")


def parse_login(data: bytes, where: str) -> StoredLogin:
    """Read the document that the CLI keeps of a login."""
    try:
        oauth = json.loads(data)["claudeAiOauth"]
        access, refresh, scopes = oauth["accessToken"], oauth.get("refreshToken"), oauth.get("scopes")
        expires, subscription = _moment(oauth.get("expiresAt")), oauth.get("subscriptionType")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return StoredLogin("unreadable", where)
    if not isinstance(access, str) or not access:
        return StoredLogin("empty", where)  # what a failed refresh leaves behind
    current = expires is None or expires > datetime.now(UTC)
    named = isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)
    return StoredLogin(
        state="good" if current else "expired" if refresh else "empty",
        where=where,
        expires=expires,
        token=SecretStr(access),
        scopes=tuple(scopes) if named else None,
        subscription=subscription if isinstance(subscription, str) else None,
    )


def _exported_login(env: Mapping[str, str]) -> ClaudeLogin:
    path = home(env) / EXPORTED
    stored = _read(path)
    if stored is None:
        raise PreflightError("there is no Claude login for containers", _SET_TOKEN)
    if stored.state != "good" or stored.token is None:
        problem = f"expired {stored.expires.astimezone():%a %H:%M}" if stored.expires else "cannot be used"
        raise PreflightError(f"the Claude login in {path} {problem}", f"export it again, or {_SET_TOKEN}")
    return ClaudeLogin("exported", one_line(stored.token, stored.where), stored.expires)


def _read(path: Path) -> StoredLogin | None:
    try:
        info = path.stat()
        data = path.read_bytes() if stat.S_ISREG(info.st_mode) and info.st_size <= _LARGEST else b""
    except FileNotFoundError:
        return None
    except OSError:
        return StoredLogin("unreadable", str(path))
    return parse_login(data, str(path))


def _ask_keychain(env: Mapping[str, str], *more: str) -> tuple[int | None, str]:
    """Return exit code and output of `security`, whose prompt may be waiting for the user; None = there is no such program."""
    try:
        found = run_command((*_KEYCHAIN_ITEM, *more), env=env, seconds=_KEYCHAIN_SECONDS, limit=_LARGEST)
    except TimeoutError as error:
        raise PreflightError("the macOS keychain does not answer", "look for its dialog, allow it, then try again") from error
    except OSError:
        return None, ""
    return found.code, found.output.decode("utf-8", "replace")


def _moment(value: object) -> datetime | None:
    """Return a time given in milliseconds or in seconds: the CLI has written both."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e14:
        return None
    return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
