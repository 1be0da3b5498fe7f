"""The item in which the Claude CLI keeps its login on macOS: only read, through `security`, with no value in any argument."""

import hashlib
import unicodedata
from collections.abc import Mapping

from ccterm.credentials.login import StoredLogin, parse_login
from ccterm.errors import PreflightError
from ccterm.processes import run_command

WHERE = "the macOS keychain"
SECONDS = 5.0
_ERRORS = {
    36: ("the macOS keychain is locked", "security unlock-keychain, then try again"),
    51: ("the macOS keychain refused the password", "security unlock-keychain, then try again"),
    128: ("access to the Claude item of the macOS keychain was denied", "try again and allow it"),
}
"""Exit codes of `security` that a user can do something about: -25308 (no interaction, as over ssh) is 36, -128 (denied) is 128."""


def keychain_login(env: Mapping[str, str]) -> StoredLogin | None:
    """Return the login in the keychain, or None. Blocks. Raises PreflightError when it is locked, denied or does not answer."""
    code, output = _ask(env, "-w")
    if code in _ERRORS:
        raise PreflightError(*_ERRORS[code])
    return parse_login(_decoded(output), WHERE) if code == 0 else None


def has_keychain_login(env: Mapping[str, str]) -> bool:
    """Whether the keychain holds a login, which it tells without asking for permission. Blocks. Raises PreflightError without an answer."""
    return _ask(env)[0] == 0


def item_name(env: Mapping[str, str]) -> str:
    """Return the item's name; the CLI adds a hash where CLAUDE_CONFIG_DIR is set."""
    directory = env.get("CLAUDE_CONFIG_DIR")
    suffix = f"-{hashlib.sha256(unicodedata.normalize('NFC', directory).encode()).hexdigest()[:8]}" if directory else ""
    return f"Claude Code-credentials{suffix}"


def _ask(env: Mapping[str, str], *more: str) -> tuple[int | None, bytes]:
    """Return exit code and output of `security`, whose dialog may wait for the user; None = there is no such program."""
    try:
        found = run_command(["security", "find-generic-password", "-s", item_name(env), *more], env=env, seconds=SECONDS)
    except TimeoutError as error:
        raise PreflightError("the macOS keychain does not answer", "look for its dialog, allow it, then try again") from error
    except OSError:
        return None, b""
    return found.code, b"" if found.cut else found.output


def _decoded(output: bytes) -> bytes:
    """Return the item's content; some versions of `security` print it as hexadecimal."""
    text = output.strip()
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return text
