"""ccterm's own Claude login: the token of `claude setup-token`, valid for a year, in the keyring or else in a file of this user alone."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr, ValidationError

from ccterm.credentials.keyring_client import Keyring, KeyringItem
from ccterm.credentials.login import home
from ccterm.credentials.secret_file import read_secret, write_secret
from ccterm.errors import NoKeyring, PreflightError, UsageError
from ccterm.models import now
from ccterm.output.own_text import remember
from ccterm.values import Value

ITEM = KeyringItem(name="claude-setup-token")
FILE = Path(".claude-container") / "setup-token.json"
"""Below the user's HOME, where there is no keyring."""
VALID = timedelta(days=365)
WARN_AFTER = timedelta(days=330)
COMMAND = "claude setup-token"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_BEGIN = re.compile(r"sk-ant-oat[0-9]{2}-[A-Za-z0-9_-]*")
_MORE = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST = 40


class SetupToken(Value):
    """A stored token. where: its place, for people."""

    token: SecretStr
    stored: datetime
    where: str

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        return self.stored + VALID


class _StoredToken(Value):
    token: SecretStr
    stored: datetime


def find_token(text: str) -> SecretStr:
    """Return the token in what `claude setup-token` printed, or in what a user pasted of it; a terminal may have broken it into lines.

    Raises UsageError, which never shows any of the text.
    """
    lines = re.split(r"\r\n?|\n", _ESCAPES.sub("", text))
    found = [token for index, line in enumerate(lines) if (token := _token_from(line.strip(), lines[index + 1 :]))]
    if not found:
        raise UsageError("that is no token of claude setup-token", "it begins with sk-ant-oat01-; paste all of it")
    longest = max(found, key=len)
    if len(longest) < _SHORTEST:
        raise UsageError("the token is cut off", "paste all of it, with its line breaks if it has any")
    remember([("the setup-token", longest)])
    return SecretStr(longest)


def _token_from(line: str, following: list[str]) -> str:
    """Return the token that begins in a line and goes on in those that hold nothing else."""
    begin = _BEGIN.search(line)
    if begin is None:
        return ""
    token = begin[0]
    if begin.end() < len(line):
        return token  # something else follows it
    for more in (one.strip() for one in following):
        if not _MORE.fullmatch(more):
            break
        token += more
    return token


class SetupTokenStore:
    """Keeps the token. All methods block for some seconds at most."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def load(self, env: Mapping[str, str]) -> SetupToken | None:
        """Return the stored token, or None. Raises PreflightError when neither the keyring answers nor the file holds one."""
        try:
            found, refusal = self._keyring.get(ITEM, env), None
        except NoKeyring:
            found, refusal = None, None
        except PreflightError as error:
            found, refusal = None, error
        if found:
            return _read(found.get_secret_value(), "ccterm's item in the keyring")
        path = home(env) / FILE
        data = read_secret(path)
        if data is None and refusal:
            raise refusal
        return None if data is None else _read(data, str(path))

    def save(self, token: SecretStr, env: Mapping[str, str], *, file: bool = False) -> str:
        """Store a token, in the keyring or, where there is none or on request, in a file. Returns where, for people. Raises PreflightError."""
        text = json.dumps({"token": token.get_secret_value(), "stored": now().isoformat()})
        path = home(env) / FILE
        if not file:
            try:
                self._keyring.set(ITEM, SecretStr(text), env)
            except NoKeyring:
                file = True
        if file:
            write_secret(path, text.encode())
            return str(path)
        path.unlink(missing_ok=True)  # an older one
        return "the keyring"

    def remove(self, env: Mapping[str, str]) -> list[str]:
        """Remove the token wherever it is. Returns from where. Raises PreflightError when the keyring does not answer."""
        path, removed = home(env) / FILE, []
        if path.is_symlink() or path.exists():
            path.unlink()
            removed.append(str(path))
        try:
            if self._keyring.delete(ITEM, env):
                removed.append("the keyring")
        except NoKeyring:
            pass
        return removed


def _read(data: str | bytes, where: str) -> SetupToken:
    try:
        document = _StoredToken.model_validate_json(data)
        token = find_token(document.token.get_secret_value())
    except (ValidationError, UsageError):
        raise PreflightError(f"{where} is malformed", "ccterm auth setup stores a new token") from None
    return SetupToken(token=token, stored=document.stored.astimezone(UTC), where=where)
