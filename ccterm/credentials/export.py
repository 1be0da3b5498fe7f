"""Exports the user's Claude login for containers: ~/.claude-container/.credentials.json, an access token without a refresh token.

A copy that could refresh itself would log the user out. So the copy lives as long as its access token, some hours, and is made again from
the login that the Claude CLI keeps fresh. Nothing of Claude's own is written. `scripts/export-claude-credentials.sh` does the same without
ccterm; what one of them writes or refuses, the other does.
"""

import json
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from ccterm.credentials.keychain import keychain_login
from ccterm.credentials.login import StoredLogin, home
from ccterm.credentials.login_sources import EXPORTED, own_file, read_login
from ccterm.credentials.secret_file import write_secret
from ccterm.errors import PreflightError
from ccterm.models import now
from ccterm.values import Value

_LOG_IN = "run claude and type /login, or ccterm auth setup for a token that lasts a year"
_RENEW = "run claude once, which renews it, then export again; or ccterm auth setup for a token that lasts a year"


class Exported(Value):
    """Where the copy is, how long it is valid, and whether it is the same token as before.

    instead: the login that runs in containers use although there is this one, or "".
    """

    path: Path
    until: datetime
    same: bool = False
    instead: str = ""

    @property
    def sentence(self) -> str:
        """What came of it, in words."""
        left = self.until - now()
        words = f"{'the same token as before' if self.same else 'a new token'}, {_spelled(left)} left"
        more = "; run claude once, or ccterm auth setup for a token that lasts a year" if self.same or left < timedelta(hours=1) else ""
        return f"{words}{more}"


def export_login(env: Mapping[str, str], *, platform: str = sys.platform) -> Exported:
    """Write the copy from the freshest login there is. Raises PreflightError, which says how to log in and never shows a value."""
    found, path = _logins(env, platform), home(env) / EXPORTED
    chosen = _freshest(found)
    before = read_login(path)
    write_secret(path, _document(chosen))
    return Exported(path=path, until=_end(chosen), same=before is not None and before.token == chosen.token)


def remove_export(env: Mapping[str, str]) -> list[str]:
    """Remove the copy. Returns its path if there was one. Raises PreflightError."""
    path = home(env) / EXPORTED
    try:
        path.unlink()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PreflightError(f"{path} cannot be removed: {error.strerror}", "remove it by hand") from error
    return [str(path)]


def _logins(env: Mapping[str, str], platform: str) -> list[StoredLogin]:
    """Return the user's logins, in the keychain and in the Claude CLI's own file. Raises PreflightError when only a closed keychain is left."""
    in_file, closed = read_login(own_file(env)), None
    try:
        in_keychain = keychain_login(env) if platform == "darwin" else None
    except PreflightError as error:
        in_keychain, closed = None, error
    found = [stored for stored in (in_keychain, in_file) if stored]
    if closed and all(stored.problem or stored.expires_ms is None for stored in found):
        raise closed
    return found


def _freshest(found: list[StoredLogin]) -> StoredLogin:
    usable = [stored for stored in found if not stored.problem and stored.expires_ms is not None]
    if not usable:
        problem = next((f"the Claude login in {stored.where} {stored.problem or 'does not say when it expires'}" for stored in found), "")
        raise PreflightError(problem or "there is no Claude login to export", _LOG_IN)
    freshest = max(usable, key=lambda stored: stored.expires_ms or 0)
    if trouble := freshest.trouble(now()):
        raise PreflightError(f"the Claude login in {freshest.where} {trouble}", _RENEW)
    return freshest


def _document(login: StoredLogin) -> bytes:
    token = login.token.get_secret_value() if login.token else ""
    shown = {"accessToken": token, "scopes": login.scopes, "expiresAt": login.expires_ms}
    more = {"subscriptionType": login.subscription} if login.subscription else {}
    return json.dumps({"claudeAiOauth": shown | more}).encode() + b"\n"


def _end(login: StoredLogin) -> datetime:
    return login.expires_at or now()


def _spelled(left: timedelta) -> str:
    minutes = max(0, round(left.total_seconds() / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
