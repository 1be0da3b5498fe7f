"""Preflight questions about git hosts: whether there is a token, where it is from, and what it may do beyond pushing.

The host is asked about a token once a minute at most; no part of its value is shown.
"""

import asyncio
import hashlib
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from ccterm.credentials.checks import answer
from ccterm.credentials.git import GitCredential, authority, git_credential, kind_of, without_gh_overrides
from ccterm.errors import CctermError, SettingsError
from ccterm.models import CheckResult
from ccterm.processes import run_command
from ccterm.remotes import RemoteAddress, is_loopback, parse_remote
from ccterm.settings import HostSettings, Settings
from ccterm.tls import trust_in

if TYPE_CHECKING:
    import httpx

GITHUB = "github.com"
SECONDS = 4.0
BROAD = re.compile(r"workflow|admin:.*|delete_repo|site_admin")
"""Scopes by which whoever gets hold of a token could do more than change code."""
_NARROW = "a fine-grained token with contents: read and write, for the repositories that need it"


class TokenState(NamedTuple):
    """What a host says of a token. valid: None = nothing. scopes: empty for a token that has none, such as a fine-grained one."""

    valid: bool | None
    scopes: tuple[str, ...] = ()
    account: str = ""


ASKED_SECONDS = 60.0
"""For how long an answer counts: checks that fail are repeated every few seconds, and a host is not to be asked that often."""
_KNOWN: dict[str, tuple[float, TokenState]] = {}
"""Digest of address and token -> when the host was asked, in monotonic seconds, and what it said."""


class TokenCheck:
    """There is a token for a git host, it is valid, and it may not do more than it should."""

    group = "git"

    def __init__(self, host: str, settings: Settings, env: Mapping[str, str]) -> None:
        self.name, self._host, self._settings, self._env = f"token {host}", host, settings, env

    async def run(self) -> CheckResult:
        """Look for the token as runs do, and ask the host about it where that is GitHub."""
        try:
            remote = _remote(self._host)
            credential = await asyncio.to_thread(git_credential, remote, self._settings, self._env)
            if credential is None:
                fix = "gh auth login, or set GH_TOKEN" if self._host == GITHUB else f'token in [host."{self._host}"] of the settings'
                return answer(self, "warn", f"no token for {self._host}: a run can push there only by ssh", fix)
            state = await _state(remote, credential, self._settings, self._env)
        except CctermError as error:
            return answer(self, "fail", error.message, error.fix)
        who = f" as {state.account}" if state.account else ""
        text = f"a token for {self._host}{who} from {credential.source}"
        if state.valid is False:
            return answer(
                self, "fail", f"{self._host} refuses the token from {credential.source}", "gh auth status; gh auth login, or another token"
            )
        if broad := [scope for scope in state.scopes if BROAD.fullmatch(scope)]:
            return answer(self, "warn", f"{text}; it may do more than push: {', '.join(broad)}", _NARROW)
        return answer(self, "pass", text)


def token_checks(settings: Settings, env: Mapping[str, str]) -> Sequence[TokenCheck]:
    """Return one question for github.com, for each host of the settings and for each that agents read repositories of."""
    read = (name.partition("/")[0] for repo in settings.repo.values() for name in repo.git_read)
    return [TokenCheck(host, settings, env) for host in dict.fromkeys((GITHUB, *settings.host, *read))]


async def token_state(remote: RemoteAddress, settings: Settings, env: Mapping[str, str]) -> TokenState:
    """Return what the host of a remote says of the token that runs would use. Raises SettingsError."""
    credential = await asyncio.to_thread(git_credential, remote, settings, env)
    return await _state(credential.remote, credential, settings, env) if credential else TokenState(None)


async def branch_rules(remote: RemoteAddress, branch: str, settings: Settings, env: Mapping[str, str]) -> Sequence[str]:
    """Return the types of the rules that GitHub has for a branch; none where the host tells nothing. Raises SettingsError."""
    credential = await asyncio.to_thread(git_credential, remote, settings, env)
    if credential is None or not _is_github(credential.remote, settings):
        return ()
    where = f"repos{quote(credential.remote.path.removesuffix('.git'))}/rules/branches/{quote(branch, safe='')}"
    ca = await asyncio.to_thread(authority, credential.remote, settings)
    response = await _get(f"{_api(credential.remote)}{where}", credential, ca)
    try:
        found = response.json() if response is not None and response.status_code == 200 else []
    except ValueError:
        return ()
    types = [rule.get("type") for rule in found if isinstance(rule, dict)] if isinstance(found, list) else []
    return [name for name in types if isinstance(name, str)]


async def _state(remote: RemoteAddress, credential: GitCredential, settings: Settings, env: Mapping[str, str]) -> TokenState:
    if not _is_github(remote, settings):
        return TokenState(None)
    key = hashlib.sha256(f"{_api(remote)} {credential.source} {credential.token.get_secret_value()}".encode()).hexdigest()
    since, known = _KNOWN.get(key, (0.0, None))
    if known is None or time.monotonic() - since > ASKED_SECONDS:
        known = await _asked(remote, credential, settings, env)
        _KNOWN[key] = time.monotonic(), known
    return known


async def _asked(remote: RemoteAddress, credential: GitCredential, settings: Settings, env: Mapping[str, str]) -> TokenState:
    if credential.source == "gh auth token" and (told := await asyncio.to_thread(_by_gh, remote.host_key, env)):
        return told
    return await _by_api(_api(remote), credential, await asyncio.to_thread(authority, remote, settings))


def _is_github(remote: RemoteAddress, settings: Settings) -> bool:
    return kind_of(remote, settings.host.get(remote.host_key, HostSettings())) == "github"


def _api(remote: RemoteAddress) -> str:
    return "https://api.github.com/" if remote.host_key == GITHUB else f"{remote.kind}://{remote.host_key}/api/v3/"


def _remote(host: str) -> RemoteAddress:
    """Return the address of any repository on a host."""
    bare = parse_remote(f"https://{host}/owner/name")
    return parse_remote(f"http://{host}/owner/name") if is_loopback(bare.host) else bare


def _by_gh(host: str, env: Mapping[str, str]) -> TokenState | None:
    """Ask the GitHub CLI, which asks the host. Blocks. None = it failed, which it also does without a network, or for another account."""
    try:
        answer = run_command(["gh", "auth", "status", "--hostname", host], env=without_gh_overrides(env), seconds=SECONDS, stderr=True)
    except OSError:
        return TokenState(None)
    if answer.code != 0:
        return None
    words = answer.output.decode("utf-8", "replace")
    account = re.search(r"account (\S+)|Logged in to \S+ as (\S+)", words)
    scopes = re.search(r"Token scopes: (.*)", words)
    found = tuple(re.findall(r"[\w:]+", scopes[1])) if scopes else ()
    return TokenState(True, found, (account[1] or account[2]) if account else "")


async def _by_api(api: str, credential: GitCredential, ca: str | None) -> TokenState:
    """Ask GitHub's API for the scopes of a token."""
    response = await _get(api, credential, ca)
    if response is None or response.status_code not in (200, 401):
        return TokenState(None)  # no network says nothing of the token
    scopes = tuple(filter(None, (scope.strip() for scope in response.headers.get("X-OAuth-Scopes", "").split(","))))
    return TokenState(response.status_code == 200, scopes)


async def _get(url: str, credential: GitCredential, ca: str | None) -> "httpx.Response | None":
    """Ask an API with the token; None when it cannot be reached. Raises SettingsError."""
    import httpx  # deferred: costs start-up time

    try:
        verify = trust_in(ca) if ca else True
    except ssl.SSLError as error:
        raise SettingsError(f"the certificates for {credential.remote.host_key} cannot be read", "name a PEM file as ca") from error
    try:
        # http is for this machine only: no proxy may see the token
        async with httpx.AsyncClient(timeout=SECONDS, verify=verify, mounts={"http://": None}) as client:
            return await client.get(url, headers={"Authorization": f"Bearer {credential.token.get_secret_value()}"})
    except (httpx.HTTPError, OSError, ValueError):
        return None
