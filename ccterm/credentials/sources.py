"""Fetches secrets from the sources that the settings name. A value is read when a run needs it and stays in a SecretStr from then on."""

import shlex
from collections.abc import Mapping

from pydantic import SecretStr

from ccterm.errors import SettingsError
from ccterm.processes import run_command
from ccterm.settings import Settings

COMMAND_SECONDS = 10.0
_LARGEST = 64 * 1024


def resolve_source(source: str, env: Mapping[str, str], *, seconds: float = COMMAND_SECONDS) -> SecretStr:
    """Return the secret behind "env:NAME" or "cmd:COMMAND". Raises SettingsError, whose text never holds what a command printed."""
    kind, _, rest = source.partition(":")
    if kind == "env":
        return _from_environment(rest, env)
    if kind == "cmd":
        return _from_command(rest.strip(), env, seconds)
    if kind == "keyring":
        raise SettingsError(f"{source} cannot be read yet: the keyring comes with a later version", 'use "env:NAME" or "cmd:COMMAND"')
    raise SettingsError("the source of a secret is of an unknown kind", 'use "env:NAME" or "cmd:COMMAND"')


def user_secrets(settings: Settings, step: str, env: Mapping[str, str]) -> dict[str, SecretStr]:
    """Return the [secrets] of one step by environment name. Raises SettingsError."""
    return {name: _named(name, secret.source, env) for name, secret in settings.secrets.items() if step in secret.steps}


def source_variables(settings: Settings) -> frozenset[str]:
    """Return the environment variables that the settings name as sources of secrets: no step inherits them, whatever they are called."""
    sources = [secret.source for secret in settings.secrets.values()] + [host.token for host in settings.host.values() if host.token]
    return frozenset(source.removeprefix("env:") for source in sources if source.startswith("env:"))


def _named(name: str, source: str, env: Mapping[str, str]) -> SecretStr:
    try:
        return resolve_source(source, env)
    except SettingsError as error:
        raise SettingsError(f"[secrets.{name}]: {error.message}", error.fix) from error


def one_line(secret: SecretStr, what: str) -> SecretStr:
    """Return a token without surrounding white space. Raises SettingsError if it is empty or cannot be a token."""
    token = secret.get_secret_value().strip()
    if not token or len(token) > 8192 or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"{what} is not a token", "it must be one line of printable characters without spaces")
    return SecretStr(token)


def _from_environment(name: str, env: Mapping[str, str]) -> SecretStr:
    if not env.get(name):
        raise SettingsError(f"the environment variable {name} is not set", f"export {name}, or name another source")
    return SecretStr(env[name])


def _from_command(text: str, env: Mapping[str, str], seconds: float) -> SecretStr:
    try:
        argv = shlex.split(text)
        name = shlex.quote(argv[0])
    except (ValueError, IndexError) as error:
        raise SettingsError("a cmd: source is empty or has an unclosed quote", "write it as on a command line") from error
    out = run_quietly(argv, env, seconds, name)
    if not out or len(out) > _LARGEST:
        raise SettingsError(f"the command {name} printed {'nothing' if not out else 'more than 64 KiB'}", "it must print only the secret")
    try:
        return SecretStr(out.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"the command {name} printed bytes that are not UTF-8", "it must print only the secret") from error


def run_quietly(argv: list[str], env: Mapping[str, str], seconds: float, name: str) -> bytes:
    """Return what a command prints, without trailing line breaks. Raises SettingsError, which never contains the output.

    The command has no terminal and no input; it is killed together with its children when its time is up.
    """
    try:
        found = run_command(argv, env=env, seconds=seconds, limit=_LARGEST + 1)
    except TimeoutError:
        raise SettingsError(f"the command {name} took longer than {seconds:g} s", "it must answer without asking for anything") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"the command {name} cannot be started", "install it, or put it on PATH") from error
    if found.code != 0:
        raise SettingsError(f"the command {name} failed with exit code {found.code}", "try it in a terminal")
    return found.output.rstrip(b"\r\n")
