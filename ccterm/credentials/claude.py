"""The Claude login of a run. A box gets one token that needs no refresh; a copy of the user's own login would be burnt by its first refresh."""

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from ccterm.credentials.sources import one_line
from ccterm.errors import PreflightError

TOKEN_NAME = "CLAUDE_CODE_OAUTH_TOKEN"
EXPORTED = Path(".claude-container") / ".credentials.json"
"""In the HOME of the user: an access token that was exported for containers; never the login itself, whose refresh would burn it."""
_TOKEN = f"run claude setup-token and export {TOKEN_NAME}"
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class ClaudeLogin:
    """A token for the agent's private home. kind: where it came from, for the record. expires: None = not for a year."""

    kind: Literal["env", "exported"]
    token: SecretStr
    expires: datetime | None = None


@dataclass(frozen=True)
class StoredLogin:
    """What a file holds of a login. state: "good", "expired" (renews itself), "empty" or "unreadable". token: its access token."""

    state: Literal["good", "expired", "empty", "unreadable"]
    place: str
    expires: datetime | None = None
    token: SecretStr | None = None


def claude_login(env: Mapping[str, str]) -> ClaudeLogin | None:
    """Return the token for a run, or None: then the agent uses the user's own HOME and login, which only local mode can.

    A stray ANTHROPIC_API_KEY is not used: it would bill the API instead of the subscription. Raises SettingsError.
    """
    token = "".join(env.get(TOKEN_NAME, "").split())  # tokens pasted over two lines are common
    return ClaudeLogin("env", one_line(SecretStr(token), TOKEN_NAME)) if token else None


def box_login(env: Mapping[str, str]) -> ClaudeLogin:
    """Return the login for a container, which has none of the user's: the token of the environment, else the exported access token.

    Raises PreflightError when there is none, or it has expired.
    """
    if login := claude_login(env):
        return login
    path = Path(env.get("HOME") or "/nonexistent") / EXPORTED
    known = _stored(path)
    if known is None:
        raise PreflightError("there is no Claude login that a container may have", _TOKEN)
    if known.state != "good" or known.token is None:
        when = f"expired {known.expires.astimezone():%a %H:%M}" if known.expires else "cannot be used"
        raise PreflightError(f"the Claude login in {path} {when}", f"export it again, or {_TOKEN}")
    return ClaudeLogin("exported", known.token, known.expires)


def stored_login(env: Mapping[str, str]) -> StoredLogin | None:
    """Return what is known of the user's own login in its file, or None when there is no such file (on macOS it is in the keychain)."""
    home = Path(env.get("HOME") or "/nonexistent")
    path = Path(env.get("CLAUDE_CONFIG_DIR") or home / ".claude") / ".credentials.json"
    return _stored(path)


def _stored(path: Path) -> StoredLogin | None:
    try:
        info = path.stat()
        data = path.read_bytes() if stat.S_ISREG(info.st_mode) and info.st_size <= _LARGEST else b""
    except FileNotFoundError:
        return None
    except OSError:
        return StoredLogin("unreadable", str(path))
    return _judged(data, str(path))


def _judged(data: bytes, place: str) -> StoredLogin:
    try:
        oauth = json.loads(data)["claudeAiOauth"]
        access, refresh, expires = oauth["accessToken"], oauth.get("refreshToken"), oauth.get("expiresAt")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return StoredLogin("unreadable", place)
    if not isinstance(access, str) or not access:
        return StoredLogin("empty", place)  # what a failed refresh leaves behind
    when = _moment(expires)
    if when is None or when > datetime.now(UTC):
        return StoredLogin("good", place, when, one_line(SecretStr(access), place))
    return StoredLogin("expired" if refresh else "empty", place, when)


def _moment(value: object) -> datetime | None:
    """Return a time given in milliseconds or in seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e14:
        return None
    return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
