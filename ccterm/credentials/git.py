"""The token for a git host: each host gets its own and no other, as an HTTP header that only resolve, checkout and push see.

Sources, best first: [host] of the settings; for github.com the environment; the GitHub CLI, for its hosts; git's own credential helper.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from pydantic import SecretStr

from ccterm.credentials.sources import COMMAND_SECONDS, one_line, resolve_source, run_quietly
from ccterm.credentials.ssh import ssh_access
from ccterm.errors import PreflightError, SettingsError
from ccterm.git.git import Git
from ccterm.remotes import RemoteAddress, parse_remote
from ccterm.settings import HostSettings, Settings

_GITHUB = "github.com"
_KINDS = {_GITHUB: "github", "gitlab.com": "gitlab", "codeberg.org": "gitea", "bitbucket.org": "bitbucket", "dev.azure.com": "azure"}
_USERS = {"gitlab": "oauth2", "bitbucket": "x-token-auth", "azure": "pat"}
"""Kind of host -> the user name that goes with a token; the others take any."""
GITHUB_NAMES = ("GH_TOKEN", "GITHUB_TOKEN")
_GH_OVERRIDES = (*GITHUB_NAMES, "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GH_HOST")
"""If these were set, gh would return them for hosts that they are not meant for."""
_NO_QUESTIONS = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "GCM_INTERACTIVE": "never", "GCM_MODAL_PROMPT": "0"}
"""A credential helper answers from what it has, or not at all."""
_GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_CEILING_DIRECTORIES")


@dataclass(frozen=True)
class GitCredential:
    """A token in use. remote: the https form of the remote it is sent to. source: where it came from, for people."""

    remote: RemoteAddress
    user: str
    token: SecretStr
    source: str

    @property
    def header(self) -> SecretStr:
        """The header that git sends: `Authorization: Basic …`."""
        return SecretStr(f"Authorization: {self.authorization.get_secret_value()}")

    @property
    def authorization(self) -> SecretStr:
        """The value of that header: `Basic …`."""
        return SecretStr(f"Basic {self._basic}")

    @property
    def secrets(self) -> dict[str, SecretStr]:
        """Name and value of everything that must never appear in any output."""
        name = f"the token of {self.remote.host_key}"
        return {name: self.token, f"{name} (as a header)": SecretStr(self._basic)}

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.token.get_secret_value()}".encode()).decode()


@dataclass(frozen=True)
class GitAccess:
    """How resolve, checkout and push reach a remote. remote: the one actually used; an ssh remote with a token becomes https.

    header: what git sends, or None. ca: PEM text, or None. ssh_agent and known_hosts: for an ssh remote. secrets: name -> value to be masked.
    source: where the token is from, or "".
    """

    remote: RemoteAddress
    header: SecretStr | None = None
    ca: str | None = None
    ssh_agent: Path | None = None
    known_hosts: str | None = None
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    source: str = ""

    @classmethod
    def by(cls, credential: GitCredential, ca: str | None) -> "GitAccess":
        """Return the access by a token."""
        return cls(credential.remote, credential.header, ca, secrets=credential.secrets, source=credential.source)


def git_access(remote: RemoteAddress, settings: Settings, env: Mapping[str, str]) -> GitAccess:
    """Return the access to a remote: by token, else by ssh agent, else without any credential. Blocks.

    Raises SettingsError if a source that [host] names yields nothing, PreflightError for an ssh remote without token, agent or known
    host key.
    """
    credential = git_credential(remote, settings, env)
    if credential:
        return GitAccess.by(credential, authority(remote, settings))
    if remote.kind == "ssh":
        return _ssh_access(remote, settings, env)
    return GitAccess(remote, ca=authority(remote, settings))


def _ssh_access(remote: RemoteAddress, settings: Settings, env: Mapping[str, str]) -> GitAccess:
    """Return the access by ssh agent, or where that would not do, by what git's credential helper has for https."""
    try:
        ssh = ssh_access(remote, env)
    except PreflightError:
        port, host = _host_settings(remote, settings)
        if credential := _from_helper(remote.https(port), host, env):
            return GitAccess.by(credential, authority(remote, settings))
        raise
    return GitAccess(remote, ssh_agent=ssh.agent, known_hosts=ssh.known_hosts)


def git_credential(remote: RemoteAddress, settings: Settings, env: Mapping[str, str]) -> GitCredential | None:
    """Return the token for a remote's host, or None if there is none. Raises SettingsError if a source that [host] names yields nothing."""
    if remote.kind == "path":
        return None
    port, host = _host_settings(remote, settings)
    target = remote.https(port)
    kind = kind_of(target, host)
    for source, token in _tokens(target, kind, host, env):
        user = host.user or _USERS.get(kind, "x-access-token")
        return GitCredential(target, user, one_line(token, f"what {source} gives for {target.host_key}"), source)
    return _from_helper(remote, host, env) if remote.kind in ("https", "http") else None


def reading_credential(name: str, settings: Settings, env: Mapping[str, str]) -> GitCredential:
    """Return the token for a repository, HOST/PATH, that agents may read. Blocks.

    Raises SettingsError if a source that [host] names yields nothing, PreflightError if there is no token.
    """
    remote = parse_remote(f"https://{name}")
    if credential := git_credential(remote, settings, env):
        return credential
    how = "set GH_TOKEN or run gh auth login" if remote.host_key == _GITHUB else f'name one in [host."{remote.host_key}"] of the settings'
    raise PreflightError(f"there is no token for {remote.host_key}, with which agents are to read {name} (git_read)", how)


def kind_of(remote: RemoteAddress, host: HostSettings) -> str:
    """Return the kind of a host: as the settings say, or as its name does."""
    known = _KINDS.get(remote.host_key) or ("azure" if remote.host.endswith(".visualstudio.com") else None)
    return host.kind or known or "generic"


def without_gh_overrides(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which the GitHub CLI uses a host's own login, and no token that is meant for another host."""
    return {name: value for name, value in env.items() if name not in _GH_OVERRIDES}


def authority(remote: RemoteAddress, settings: Settings) -> str | None:
    """Return the certificates (PEM) that [host] specifies for a remote, or None. Raises SettingsError."""
    ca = _host_settings(remote, settings)[1].ca
    if ca is None:
        return None
    try:
        text = ca.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the certificates {ca} cannot be read", "name a PEM file") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise SettingsError(f"{ca} holds no certificate", "name a PEM file")
    return text


def _host_settings(remote: RemoteAddress, settings: Settings) -> tuple[int | None, HostSettings]:
    """Return the [host] table of a remote, and the https port that it applies to."""
    if remote.kind != "ssh":
        return remote.port, settings.host.get(remote.host_key, HostSettings())
    host = remote.https().host  # an ssh port says nothing about https; the only table with that host's name does
    if host in settings.host:
        return None, settings.host[host]
    named = [key for key in settings.host if key.rpartition(":")[0] == remote.https().host_key]
    if len(named) == 1:
        return int(named[0].rpartition(":")[2]), settings.host[named[0]]
    return None, HostSettings()


def _tokens(remote: RemoteAddress, kind: str, host: HostSettings, env: Mapping[str, str]) -> Iterator[tuple[str, SecretStr]]:
    """Yield source and token, best first; a source is asked only when the ones before it had nothing."""
    if host.token:
        yield host.token, resolve_source(host.token, env)
    if remote.host_key == _GITHUB:
        yield from ((name, SecretStr(env[name])) for name in GITHUB_NAMES if env.get(name))
    if kind == "github" and remote.kind == "https" and (token := _gh(remote.host_key, env)):
        yield "gh auth token", token


def _gh(host: str, env: Mapping[str, str]) -> SecretStr | None:
    """Return the GitHub CLI's token for a host, or None if it has none or is not installed."""
    try:
        out = run_quietly(["gh", "auth", "token", "--hostname", host], without_gh_overrides(env), COMMAND_SECONDS, "gh")
    except SettingsError:
        return None  # not installed or not logged in is not an error
    return SecretStr(out.decode("ascii", "replace")) if out.strip() else None


def _from_helper(remote: RemoteAddress, host: HostSettings, env: Mapping[str, str]) -> GitCredential | None:
    """Return what git's own credential helper has for a remote, or None; it is asked on this machine and may ask nobody."""
    asked = {
        "protocol": remote.kind,
        "host": remote.host_key,
        "path": unquote(remote.path).lstrip("/"),
        **({"username": host.user} if host.user else {}),
    }
    question = "".join(f"{name}={value}\n" for name, value in asked.items()).encode() + b"\n"
    clean = {name: value for name, value in env.items() if name not in _GIT_PLACES} | _NO_QUESTIONS
    argv, environment = Git.of_user("/", clean).command("-c", "credential.interactive=false", "credential", "fill")
    try:
        out = run_quietly(argv, environment, COMMAND_SECONDS, "git", question)  # without a terminal, so that no helper can ask on it
    except SettingsError:
        return None  # no git, no helper, or one that has nothing: no error
    answer = dict(line.split("=", 1) for line in out.decode("utf-8", "replace").split("\n") if "=" in line)
    if not answer.get("password") or answer.get("host", remote.host_key) != remote.host_key:
        return None
    try:
        token = one_line(SecretStr(answer["password"]), "what git's credential helper gives")
    except SettingsError:
        return None
    return GitCredential(remote, answer.get("username") or host.user or "x-access-token", token, "git's credential helper")
