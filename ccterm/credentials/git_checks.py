"""Preflight questions about git hosts: whether there is a token, where it is from, and what it may do beyond pushing.

The host is asked about a token once; no part of its value is shown.
"""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ccterm.credentials.git import GitCredential, authority, git_credential, kind_of
from ccterm.errors import CctermError
from ccterm.models import CheckResult
from ccterm.processes import run_command
from ccterm.remotes import RemoteAddress, is_loopback, parse_remote
from ccterm.settings import HostSettings, Settings

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


_KNOWN: dict[str, TokenState] = {}
"""Digest of address and token -> what the host said, for as long as the process lives."""


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
                return self._answer("warn", f"no token for {self._host}: a run can push there only by ssh", fix)
            state = await self._state(remote, credential)
        except CctermError as error:
            return self._answer("fail", error.message, error.fix)
        who = f" as {state.account}" if state.account else ""
        text = f"a token for {self._host}{who} from {credential.source}"
        if state.valid is False:
            return self._answer(
                "fail", f"{self._host} refuses the token from {credential.source}", "gh auth status; gh auth login, or another token"
            )
        if broad := [scope for scope in state.scopes if BROAD.fullmatch(scope)]:
            return self._answer("warn", f"{text}; it may do more than push: {', '.join(broad)}", _NARROW)
        return self._answer("pass", text)

    async def _state(self, remote: RemoteAddress, credential: GitCredential) -> TokenState:
        if kind_of(remote, self._settings.host.get(remote.host_key, HostSettings())) != "github":
            return TokenState(None)
        if credential.source == "gh auth token":
            return await asyncio.to_thread(_by_gh, self._host, self._env)
        api = "https://api.github.com/" if self._host == GITHUB else f"{remote.kind}://{remote.host_key}/api/v3/"
        return await _by_api(api, credential, await asyncio.to_thread(authority, remote, self._settings))

    def _answer(self, status: str, text: str, fix: str = "") -> CheckResult:
        return CheckResult.model_validate({"name": self.name, "group": self.group, "status": status, "text": text, "fix": fix})


def token_checks(settings: Settings, env: Mapping[str, str]) -> Sequence[TokenCheck]:
    """Return one question for github.com and for each host of the settings."""
    return [TokenCheck(host, settings, env) for host in dict.fromkeys((GITHUB, *settings.host))]


def _remote(host: str) -> RemoteAddress:
    """Return the address of any repository on a host."""
    bare = parse_remote(f"https://{host}/owner/name")
    return parse_remote(f"http://{host}/owner/name") if is_loopback(bare.host) else bare


def _by_gh(host: str, env: Mapping[str, str]) -> TokenState:
    """Ask the GitHub CLI, which asks the host. Blocks."""
    try:
        answer = run_command(["gh", "auth", "status", "--hostname", host], env=env, seconds=SECONDS, stderr=True)
    except OSError:
        return TokenState(None)
    words = answer.output.decode("utf-8", "replace")
    account = re.search(r"account (\S+)|Logged in to \S+ as (\S+)", words)
    scopes = re.search(r"Token scopes: (.*)", words)
    found = tuple(re.findall(r"[\w:]+", scopes[1])) if scopes else ()
    return TokenState(answer.code == 0, found, (account[1] or account[2]) if account else "")


async def _by_api(api: str, credential: GitCredential, ca: str | None) -> TokenState:
    """Ask GitHub's API for the scopes of a token."""
    import httpx  # deferred: costs start-up time

    token = credential.token.get_secret_value()
    key = hashlib.sha256(f"{api} {token}".encode()).hexdigest()
    if key in _KNOWN:
        return _KNOWN[key]
    verify = ssl.create_default_context(cadata=ca) if ca else True
    try:
        async with httpx.AsyncClient(timeout=SECONDS, verify=verify) as client:
            response = await client.get(api, headers={"Authorization": f"Bearer {token}"})
    except (httpx.HTTPError, OSError, ValueError):
        return TokenState(None)  # no network says nothing of the token
    if response.status_code not in (200, 401):
        return TokenState(None)
    scopes = tuple(filter(None, (scope.strip() for scope in response.headers.get("X-OAuth-Scopes", "").split(","))))
    _KNOWN[key] = TokenState(response.status_code == 200, scopes)
    return _KNOWN[key]
