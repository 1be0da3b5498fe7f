"""The environment of whoever asks: the few variables of a terminal that count for what is submitted from it, whichever process carries it out."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import JsonValue, SecretStr

from ccterm.settings import Settings
from ccterm.values import Value

_PLAIN = (
    "CCTERM_.* ANTHROPIC_BASE_URL DOCKER_.* CONTAINER_HOST _EXPERIMENTAL_DAGGER_.* XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS "
    "PYTHON_KEYRING_BACKEND SSH_AUTH_SOCK GH_HOST GH_CONFIG_DIR GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT) GIT_SSH(_COMMAND|_VARIANT)? "
    "CLAUDE_CODE_USE_[A-Z_]+ GIT_SSL_(CAINFO|CAPATH) GNUPGHOME PASSWORD_STORE_DIR VAULT_(ADDR|NAMESPACE|CACERT) OP_ACCOUNT OP_CONNECT_HOST"
)
"""What ccterm itself and the programs that it asks on this machine go by, beside what agent, setup and verify get."""
_SECRET = (
    "CLAUDE_CODE_OAUTH_TOKEN ANTHROPIC_API_KEY (GH|GITHUB)(_ENTERPRISE)?_TOKEN GIT_CONFIG_(KEY|VALUE)_.* GIT_CONFIG_PARAMETERS "
    "OP_SESSION.* OP_SERVICE_ACCOUNT_TOKEN OP_CONNECT_TOKEN BW_SESSION VAULT_TOKEN"
)
"""Logins and tokens, and what password managers ask for before they give one."""
_NOT_OURS = "CCTERM_STATE_DIR"
"""Each process has its own."""
_USER_IN_URL = re.compile(r"//[^/@\s]+@")
_PATHS = ("CCTERM_CLAUDE_BIN", "CCTERM_DAGGER_CLI", "CCTERM_BASE_IMAGE")


class CallerEnvironment(Value):
    """What counts of an environment.

    variables: what may be stored with a run. secrets: what stays in memory. listed: the variables that the caller's settings name, set or not.
    others: the names of everything else that was set. missing: the names of secrets that it had and that were lost with a process.
    """

    variables: dict[str, str] = {}
    secrets: dict[str, SecretStr] = {}
    listed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str], settings: Settings) -> Self:
        """Return what counts of a process's environment, with absolute paths: other processes work in other directories."""
        from ccterm.credentials.provider import provider_variables, secret_names  # deferred: commands that only read do without
        from ccterm.settings.load import source_variables

        sources = source_variables(settings) | secret_names(environ)
        listed = tuple(sorted({*settings.pass_env, *sources, *provider_variables(environ)}))
        counted = {name: value for name, value in with_full_paths(environ).items() if (_counts(name) or name in listed) and _is_text(value)}
        secrets = {name: SecretStr(value) for name, value in counted.items() if name in sources or _is_secret(name, value)}
        found = cls(
            variables={name: value for name, value in counted.items() if name not in secrets},
            secrets=secrets,
            listed=listed,
            others=tuple(name for name in environ if name not in counted),
        )
        found.remember()
        return found

    @property
    def names(self) -> frozenset[str]:
        """The names of everything that was set where it comes from."""
        return frozenset((*self.variables, *self.secrets, *self.others, *self.missing))

    def over(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that counts in a process: what counts is as the caller has it, the rest as the process itself has it."""
        from ccterm.credentials.provider import names_with, switch_or_none

        replaced = names_with(switch_or_none(self.variables), own).union(self.listed)
        rest = {name: value for name, value in own.items() if not _counts(name) and name not in replaced}
        return rest | self.variables | {name: secret.get_secret_value() for name, secret in self.secrets.items()}

    def remember(self) -> None:
        """Keep its secrets out of everything that this process says from now on."""
        from ccterm.output.own_text import remember  # deferred: see above

        remember((name, secret.get_secret_value()) for name, secret in self.secrets.items())

    def without_secrets(self) -> Self:
        """Return what may be stored: the secrets by their names alone."""
        return self.model_copy(update={"secrets": {}, "others": (), "missing": tuple(sorted({*self.secrets, *self.missing}))})

    def without(self, name: str) -> Self:
        """Return it without one of its secrets, as if that was lost."""
        kept = {each: secret for each, secret in self.secrets.items() if each != name}
        return self.model_copy(update={"secrets": kept, "missing": (*self.missing, name)})

    def completed(self, *sources: Mapping[str, SecretStr]) -> Self:
        """Return it with the lost secrets that one of these has, the first that has one."""
        found = {name: each[name] for each in reversed(sources) for name in self.missing if name in each}
        return self.model_copy(
            update={"secrets": self.secrets | found, "missing": tuple(name for name in self.missing if name not in found)}
        )

    def for_socket(self) -> dict[str, JsonValue]:
        """Return it as JSON values, secrets in plain text: for the private socket and nothing else."""
        plain: dict[str, JsonValue] = {name: secret.get_secret_value() for name, secret in self.secrets.items()}
        return {**self.model_dump(mode="json", exclude={"secrets"}), "secrets": plain}


def with_full_paths(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with absolute paths where a relative one names something."""
    found = dict(environ)
    for name in _PATHS:
        if "/" in found.get(name, "") and Path(found[name]).exists():
            found[name] = str(Path(found[name]).absolute())
    return found


def _counts(name: str) -> bool:
    """Whether a variable is taken from the caller, and is unset where the caller has none."""
    from ccterm.executors.local.environment import COMMAND  # deferred: commands that only read do without

    return name != _NOT_OURS and bool(COMMAND.fullmatch(name) or _pattern(_PLAIN).fullmatch(name) or _pattern(_SECRET).fullmatch(name))


def _is_text(value: str) -> bool:
    """Whether a value can be sent: bytes that are no text cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _is_secret(name: str, value: str) -> bool:
    """Whether a value must not be stored: by its name, or because a password is in it."""
    from ccterm.executors.local.environment import COMMAND
    from ccterm.settings.units import looks_secret, plain_value

    if _pattern(_SECRET).fullmatch(name) or _USER_IN_URL.search(value) or (looks_secret(name) and not COMMAND.fullmatch(name)):
        return True
    try:
        plain_value(value)
    except ValueError:
        return True
    return False


@cache
def _pattern(table: str) -> re.Pattern[str]:
    return re.compile("|".join(table.split()))
