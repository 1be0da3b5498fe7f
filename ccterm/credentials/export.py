"""Exports the user's Claude login for containers: ~/.claude-container/.credentials.json, which holds an access token and never a refresh token.

A copy that could refresh itself would log the user out, so the copy lives as long as its access token does, some hours, and is
made anew from the login that the Claude CLI keeps fresh. Nothing of Claude's own is written.
"""

import json
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from ccterm.errors import PreflightError
from ccterm.processes import run_command

PLACE = ".claude-container"
FILE = ".credentials.json"
_LARGEST = 64 * 1024
_KEYCHAIN_SECONDS = 5
_SECURITY = ("security", "find-generic-password", "-s", "Claude Code-credentials", "-w")
_LOG_IN = "run claude and say /login, then try again"
_KEYCHAIN = {
    36: ("the macOS keychain is locked", "security unlock-keychain, then try again"),
    128: ("access to the keychain item was denied", "try again and allow it"),
}
"""Exit codes of `security` that a user can do something about."""


class _Login(BaseModel):
    """What the Claude CLI keeps of a login, as far as a box may have it. An unknown field, above all the refresh token, is dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    token: SecretStr = Field(alias="accessToken", min_length=1)
    scopes: tuple[str, ...]
    expires: int = Field(alias="expiresAt", gt=0, lt=10**14)
    subscription: str | None = Field(default=None, alias="subscriptionType")

    @property
    def until(self) -> datetime:
        """When the access token ends; the CLI has written milliseconds and seconds."""
        return datetime.fromtimestamp(self.expires / 1000 if self.expires > 10**11 else self.expires, UTC)

    def document(self) -> bytes:
        """Return the file's content."""
        shown = {"accessToken": self.token.get_secret_value(), "scopes": self.scopes, "expiresAt": int(self.until.timestamp() * 1000)}
        more = {"subscriptionType": self.subscription} if self.subscription else {}
        return json.dumps({"claudeAiOauth": shown | more}).encode()


@dataclass(frozen=True)
class Exported:
    """Where the copy is, and until when it is good."""

    path: Path
    until: datetime


def export_login(env: Mapping[str, str], *, platform: str = sys.platform) -> Exported:
    """Write the copy from the freshest login there is. Raises PreflightError, which says how to log in, and never shows a value."""
    home = Path(env.get("HOME") or "/nonexistent")
    texts = [_of_file(Path(env.get("CLAUDE_CONFIG_DIR") or home / ".claude") / FILE)]
    if platform == "darwin":
        texts.append(_of_keychain(env))
    found = [login for text in texts if text and (login := _parsed(text))]
    if not found:
        raise PreflightError("there is no Claude login that could be exported", _LOG_IN)
    login = max(found, key=lambda login: login.until)
    if login.until <= datetime.now(UTC):
        raise PreflightError(
            f"the Claude login expired {login.until.astimezone():%H:%M}", "run claude once, which renews it, then export again"
        )
    if "user:inference" not in login.scopes:
        raise PreflightError("the Claude login may not be used for requests", _LOG_IN)
    return Exported(_write(home, login.document()), login.until)


def _of_file(path: Path) -> str:
    try:
        info = path.stat()
        return path.read_text("utf-8") if stat.S_ISREG(info.st_mode) and info.st_size <= _LARGEST else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _of_keychain(env: Mapping[str, str]) -> str:
    """Ask the macOS keychain; some versions answer in hexadecimal."""
    try:
        found = run_command(_SECURITY, env=env, seconds=_KEYCHAIN_SECONDS, limit=_LARGEST)
    except TimeoutError as error:
        raise PreflightError("the macOS keychain does not answer", "look for its dialog, allow it, then try again") from error
    except OSError:
        return ""
    if found.code in _KEYCHAIN:
        raise PreflightError(*_KEYCHAIN[found.code])
    text = found.output.decode("utf-8", "replace").strip() if found.code == 0 else ""
    try:
        return bytes.fromhex(text).decode("utf-8")
    except ValueError:
        return text


def _parsed(text: str) -> _Login | None:
    try:
        return _Login.model_validate(json.loads(text)["claudeAiOauth"])
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        return None


def _write(home: Path, data: bytes) -> Path:
    """Put the file in place whole or not at all, readable by this user alone from birth."""
    path = home / PLACE / FILE
    try:
        directory = _directory(home)
        try:
            _refuse_planted(directory, path)
            _replace(directory, data)
        finally:
            os.close(directory)
    except OSError as error:
        raise PreflightError(f"{path} cannot be written: {error.strerror}", f"look at {path.parent}, then try again") from error
    return path


def _directory(home: Path) -> int:
    """Return a descriptor of the directory, made if need be; whatever happens to its name later, the file goes into this one."""
    with suppress(FileExistsError):  # one that is there is looked at below
        (home / PLACE).mkdir(mode=0o700)
    descriptor = os.open(home / PLACE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    info = os.fstat(descriptor)
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        os.close(descriptor)
        raise PreflightError(f"{home / PLACE} belongs to another user or can be written to by others", f"chmod 700 {home / PLACE}")
    os.fchmod(descriptor, 0o700)
    return descriptor


def _refuse_planted(directory: int, path: Path) -> None:
    try:
        info = os.stat(FILE, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        raise PreflightError(f"{path} is not a regular file of this user", "move it away")


def _replace(directory: int, data: bytes) -> None:
    unfinished = f"{FILE}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # an umask may have taken our own bits
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, FILE, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(unfinished, dir_fd=directory)
        raise
    os.fsync(directory)
