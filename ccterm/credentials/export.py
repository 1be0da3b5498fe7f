"""Exports the user's Claude login for containers: ~/.claude-container/.credentials.json, an access token without a refresh token.

A copy that could refresh itself would log the user out. So the copy lives as long as its access token, some hours, and is renewed
from the login that the Claude CLI keeps fresh. Nothing of Claude's own is written.
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
from typing import Self

from pydantic import SecretStr

from ccterm.credentials.claude import EXPORTED, StoredLogin, file_login, home, keychain_login
from ccterm.errors import PreflightError

_LOG_IN = "run claude and type /login, then try again"


@dataclass(frozen=True)
class Exported:
    """Where the copy is, and how long it is valid."""

    path: Path
    until: datetime


@dataclass(frozen=True)
class _AccessToken:
    """What containers may have of a login: everything but the refresh token."""

    token: SecretStr
    scopes: tuple[str, ...]
    until: datetime
    subscription: str | None

    @classmethod
    def of(cls, login: StoredLogin | None) -> Self | None:
        """Return the access token of a login, or None if something is missing."""
        if login is None or not login.token or login.scopes is None or login.expires is None or login.expires.timestamp() <= 0:
            return None
        return cls(login.token, login.scopes, login.expires, login.subscription)

    def document(self) -> bytes:
        """Return the file's content."""
        shown = {"accessToken": self.token.get_secret_value(), "scopes": self.scopes, "expiresAt": int(self.until.timestamp() * 1000)}
        more = {"subscriptionType": self.subscription} if self.subscription else {}
        return json.dumps({"claudeAiOauth": shown | more}).encode()


def export_login(env: Mapping[str, str], *, platform: str = sys.platform) -> Exported:
    """Write the copy from the freshest login there is. Raises PreflightError, which says how to log in and never shows a value."""
    stored = (file_login(env), keychain_login(env) if platform == "darwin" else None)
    found = [token for login in stored if (token := _AccessToken.of(login))]
    if not found:
        raise PreflightError("there is no Claude login to export", _LOG_IN)
    freshest = max(found, key=lambda token: token.until)
    if freshest.until <= datetime.now(UTC):
        when = f"{freshest.until.astimezone():%H:%M}"
        raise PreflightError(f"the Claude login expired {when}", "run claude once, which renews it, then export again")
    if "user:inference" not in freshest.scopes:
        raise PreflightError("the Claude login may not be used for requests", _LOG_IN)
    return Exported(_write(home(env) / EXPORTED, freshest.document()), freshest.until)


def _write(path: Path, data: bytes) -> Path:
    """Write the file whole or not at all, readable by this user alone from the start."""
    try:
        directory = _open_directory(path.parent)
        try:
            _refuse_planted(directory, path)
            _replace(directory, path.name, data)
        finally:
            os.close(directory)
    except OSError as error:
        raise PreflightError(f"{path} cannot be written: {error.strerror}", f"look at {path.parent}, then try again") from error
    return path


def _open_directory(path: Path) -> int:
    """Return a descriptor of the directory, created if need be; the file goes into this one, whatever happens to its name later."""
    with suppress(FileExistsError):  # an existing one is checked below
        path.mkdir(mode=0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    info = os.fstat(descriptor)
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        os.close(descriptor)
        raise PreflightError(f"{path} belongs to another user or can be written to by others", f"chmod 700 {path}")
    os.fchmod(descriptor, 0o700)
    return descriptor


def _refuse_planted(directory: int, path: Path) -> None:
    try:
        info = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        raise PreflightError(f"{path} is not a regular file of this user", "move it away")


def _replace(directory: int, name: str, data: bytes) -> None:
    unfinished = f"{name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # an umask may have removed our own permissions
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(unfinished, dir_fd=directory)
        raise
    os.fsync(directory)
