"""Fetches secrets from the sources that the settings name. A value is read when a run needs it and stays in a SecretStr from then on."""

import shlex
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from ccterm.credentials.keyring_client import SERVICE, Keyring, KeyringItem, SystemKeyring
from ccterm.credentials.login import LARGEST
from ccterm.errors import PreflightError, SettingsError
from ccterm.output.own_text import remember
from ccterm.processes import run_command
from ccterm.settings import Settings
from ccterm.settings.units import plain_value

COMMAND_SECONDS = 5.0
KINDS = 'use "env:NAME", "keyring:NAME" or "cmd:COMMAND"'


def resolve_source(source: str, env: Mapping[str, str], *, seconds: float = COMMAND_SECONDS, keyring: Keyring | None = None) -> SecretStr:
    """Return the secret behind "env:NAME", "keyring:NAME", "keyring:SERVICE/NAME" or "cmd:COMMAND". Blocks for `seconds` at most.

    Raises SettingsError, whose text never holds what a command printed.
    """
    kind, _, rest = source.partition(":")
    if kind == "env":
        found = _from_environment(rest, env)
    elif kind == "cmd":
        found = _from_command(rest.strip(), env, seconds)
    elif kind == "keyring":
        found = _from_keyring(keyring_item(rest), env, keyring or SystemKeyring())
    else:
        raise SettingsError("the source of a secret is of an unknown kind", KINDS)
    remember([(source_name(source), found.get_secret_value())])
    return found


def user_secrets(
    settings: Settings, steps: Sequence[str], env: Mapping[str, str], keyring: Keyring | None = None
) -> dict[str, dict[str, SecretStr]]:
    """Return the [secrets] of each step by environment name; each source is asked once. Blocks. Raises SettingsError."""
    wanted = {name: secret for name, secret in settings.secrets.items() if not set(steps).isdisjoint(secret.steps)}
    values = {name: _named(name, secret.source, env, keyring) for name, secret in wanted.items()}
    return {step: {name: values[name] for name, secret in wanted.items() if step in secret.steps} for step in steps}


def source_name(source: str) -> str:
    """Return a source as it may be shown: of a command only the program, because its arguments may be telling."""
    kind, _, rest = source.partition(":")
    return f"cmd:{rest.split()[0]} …" if kind == "cmd" and len(rest.split()) > 1 else source


def plain_variables(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """Return the plain variables of the steps that run commands: those of [env], and those that pass_env names and the user has.

    Raises SettingsError for a value that looks like a secret.
    """
    passed = {name: _plain(name, env[name]) for name in settings.pass_env if name in env}
    return passed | dict(settings.env)


def _plain(name: str, value: str) -> str:
    try:
        return plain_value(value)
    except ValueError as error:
        raise SettingsError(
            f"pass_env: the value of {name} looks like a secret, which would be shown in output",
            f'write [secrets.{name}] with from = "env:{name}" and its steps',
        ) from error


def keyring_item(name: str) -> KeyringItem:
    """Return the item that "keyring:NAME" or "keyring:SERVICE/NAME" means; without a service it is ccterm's own."""
    service, _, item = name.rpartition("/")
    return KeyringItem(service=service or SERVICE, name=item)


def one_line(secret: SecretStr, what: str) -> SecretStr:
    """Return a token without surrounding white space. Raises SettingsError if it is empty or cannot be a token."""
    token = secret.get_secret_value().strip()
    remember([("token", token)])
    if not token or len(token) > 8192 or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"{what} is not a token", "it must be one line of printable characters without spaces")
    return SecretStr(token)


def _named(name: str, source: str, env: Mapping[str, str], keyring: Keyring | None) -> SecretStr:
    try:
        return resolve_source(source, env, keyring=keyring)
    except SettingsError as error:
        raise SettingsError(f"[secrets.{name}]: {error.message}", error.fix) from error


def _from_environment(name: str, env: Mapping[str, str]) -> SecretStr:
    if not env.get(name):
        raise SettingsError(f"the environment variable {name} is not set", f"export {name}, or name another source")
    return SecretStr(env[name])


def _from_keyring(item: KeyringItem, env: Mapping[str, str], keyring: Keyring) -> SecretStr:
    try:
        found = keyring.get(item, env)
    except PreflightError as error:
        raise SettingsError(f"{error.message}, which should hold {item.name} of {item.service}", error.fix) from error
    if found is None:
        command = f"python -m keyring set {shlex.quote(item.service)} {shlex.quote(item.name)}"
        raise SettingsError(f"the keyring holds no {item.name} of {item.service}", f"{command} stores one")
    return found


def _from_command(text: str, env: Mapping[str, str], seconds: float) -> SecretStr:
    try:
        argv = shlex.split(text)
        name = shlex.quote(argv[0])
    except (ValueError, IndexError) as error:
        raise SettingsError("a cmd: source is empty or has an unclosed quote", "write it as on a command line") from error
    out = run_quietly(argv, env, seconds, name)
    if not out or len(out) > LARGEST:
        raise SettingsError(f"the command {name} printed {'nothing' if not out else 'more than 64 KiB'}", "it must print only the secret")
    try:
        return SecretStr(out.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"the command {name} printed bytes that are not UTF-8", "it must print only the secret") from error


def run_quietly(argv: Sequence[str], env: Mapping[str, str], seconds: float, name: str, stdin: bytes = b"") -> bytes:
    """Return what a command prints, without trailing line breaks. Raises SettingsError, which never contains the output.

    The command has no terminal; it is killed together with its children when its time is up.
    """
    try:
        found = run_command(argv, env=env, seconds=seconds, limit=LARGEST + 1, stdin=stdin)
    except TimeoutError:
        raise SettingsError(f"the command {name} took longer than {seconds:g} s", "it must answer without asking for anything") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"the command {name} cannot be started", "install it, or put it on PATH") from error
    if found.code != 0:
        raise SettingsError(f"the command {name} failed with exit code {found.code}", "try it in a terminal")
    return found.output.rstrip(b"\r\n")
