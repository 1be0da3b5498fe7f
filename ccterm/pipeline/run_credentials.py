"""Everything secret that one run uses, read once and registered with the masker of all its output."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from ccterm.agents.claude import ClaudeAgent
from ccterm.causes import Cause
from ccterm.credentials.claude import Logins, looked_up_as
from ccterm.credentials.git import GitAccess, GitCredential, git_access, reading_credential
from ccterm.credentials.login import Login
from ccterm.credentials.sources import resolve_source, user_secrets
from ccterm.errors import CctermError, PreflightError, StepError, UsageError
from ccterm.models import Mode, Run, Task
from ccterm.output.mask import Masker
from ccterm.output.own_text import address_secrets, remember
from ccterm.remotes import parse_remote
from ccterm.settings import Settings
from ccterm.settings.units import looks_secret
from ccterm.workspace.repository import find_repository
from ccterm.workspace.snapshot.listing import included_variables

STEPS_WITH_SECRETS = ("setup", "agent", "verify")
_ADDRESSES = (*(f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL", "FTP")), "ANTHROPIC_BASE_URL")
"""Variables with addresses that boxes get, in upper or lower case; some hold a password."""


@dataclass(frozen=True)
class RunCredentials:
    """A run's credentials.

    user: step -> environment name -> value. included: name and value of what is secret in the ignored files that a snapshot includes, addresses:
    in proxy variables; there may be several of one name. reading: repositories that the agent may read -> token.
    """

    git: GitAccess
    login: Login | None
    user: Mapping[str, Mapping[str, SecretStr]]
    included: Sequence[tuple[str, str]] = ()
    addresses: Sequence[tuple[str, str]] = ()
    reading: Mapping[str, GitCredential] = field(default_factory=dict)

    @classmethod
    def resolve(
        cls, task: Task, settings: Settings, environ: Mapping[str, str], logins: Logins, *, for_agent: bool = True
    ) -> "RunCredentials":
        """Read every credential of a run. Blocks. Raises SettingsError, PreflightError and StepError(auth).

        for_agent: whether an agent will need the login; where kept work is only delivered, its absence is no obstacle.
        """
        found = cls(
            git=git_access(parse_remote(task.remote or task.repo), settings, environ),
            login=_login(task, environ, logins, required=for_agent),
            user=user_secrets(settings, STEPS_WITH_SECRETS, environ, logins.keyring),
            included=tuple(_included(task, environ)),
            addresses=tuple(_in_addresses(settings, environ)),
            reading={name: reading_credential(name, settings, environ) for name in (task.git_read if for_agent else ())},
        )
        remember(found._named())
        return found

    def masker(self) -> Masker:
        """Return a masker for all of them."""
        return Masker(list(dict.fromkeys(self._named())))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all of them."""
        return tuple(dict.fromkeys(name for name, _ in self._named()))

    def _named(self) -> Iterator[tuple[str, str]]:
        """Yield every value under a name that may be shown."""
        yield from (*self.included, *self.addresses)
        yield from _plain(self.git.secrets)
        for credential in self.reading.values():
            yield from _plain(credential.secrets)
        for name, value in self.login.named_secrets if self.login else ():
            yield name, value.get_secret_value()
        for values in self.user.values():
            for name, value in values.items():
                yield name, value.get_secret_value()


@dataclass(frozen=True)
class KnownSecrets:
    """What is known of a run's secrets after it has ended. missing: what is not, each with its reason."""

    named: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]

    @classmethod
    def read(cls, run: Run, settings: Settings, environ: Mapping[str, str], logins: Logins) -> "KnownSecrets":
        """Read every secret that can still be read. Blocks. Raises nothing for one that cannot."""
        task, named, missing = run.task, list[tuple[str, str]](), list[str]()
        sources: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
            "the git token": lambda: _plain(git_access(parse_remote(task.remote or task.repo), settings, environ).secrets),
            **{f"the token for {name}": partial(_reading_secrets, name, settings, environ) for name in task.git_read},
            "the Claude login": lambda: _plain(_login_secrets(task, environ, logins)),
            "included files": lambda: _included(task, environ),
            "proxies": lambda: _in_addresses(settings, environ),
            **{name: partial(_user_secret, name, secret.source, environ, logins) for name, secret in settings.secrets.items()},
        }
        for what, read in sources.items():
            try:
                named += read()
            except CctermError as error:
                missing.append(f"{what} ({error.message})")
        gone = set(run.manifest.masked) - {name for name, _ in named}
        missing += [name for name in sorted(gone) if not any(text.startswith(name) for text in missing)]
        remember(named)
        return cls(tuple(dict.fromkeys(named)), tuple(missing))

    def masker(self) -> Masker:
        """Return a masker for what is known."""
        return Masker(list(self.named))


def _plain(secrets: Mapping[str, SecretStr]) -> Iterator[tuple[str, str]]:
    yield from ((name, value.get_secret_value()) for name, value in secrets.items())


def _reading_secrets(name: str, settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return _plain(reading_credential(name, settings, environ).secrets)


def _login_secrets(task: Task, environ: Mapping[str, str], logins: Logins) -> dict[str, SecretStr]:
    login = _login(task, environ, logins, required=False)
    return dict(login.named_secrets) if login else {}


def _user_secret(name: str, source: str, environ: Mapping[str, str], logins: Logins) -> list[tuple[str, str]]:
    return [(name, resolve_source(source, environ, keyring=logins.keyring).get_secret_value())]


def _login(task: Task, environ: Mapping[str, str], logins: Logins, *, required: bool) -> Login | None:
    """Return the login of the agent, None if it needs none. Raises StepError(auth), SettingsError."""
    if task.agent != ClaudeAgent.name:
        return None
    try:
        return logins.login_for(looked_up_as(task.execution_mode, environ, task.login), environ)
    except PreflightError as error:
        if not required:
            return None
        raise StepError(Cause.AUTH, error.message, error.fix) from error


def _included(task: Task, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what looks like a secret in the ignored files that a snapshot includes."""
    if task.mode is not Mode.TESTING:
        return
    try:
        repository = find_repository(task.repo, environ, Path(task.repo))
    except UsageError:
        return  # taking the snapshot will fail and say so
    yield from ((name, value) for name, value in included_variables(repository, task.include, os.devnull) if looks_secret(name))


def _in_addresses(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for spelled in (str.upper, str.lower):  # either may be set, and each to something else
        yield from address_secrets({name: environ[spelled(name)] for name in _ADDRESSES if environ.get(spelled(name))})
    yield from address_secrets({"base_url": settings.base_url or ""})
