"""Proves a Claude login with one request that asks for a single token of text."""

import os

from ccterm.credentials.api_address import on_this_machine
from ccterm.credentials.login import Login
from ccterm.tls import trust_like_claude
from ccterm.values import Value

API = "https://api.anthropic.com"
SECONDS = 20.0
_VERSION = {"anthropic-version": "2023-06-01"}
_REQUEST = {
    "model": "claude-haiku-4-5",
    "max_tokens": 1,
    "system": "You are Claude Code, Anthropic's official CLI for Claude.",  # a subscription's token serves Claude Code only
    "messages": [{"role": "user", "content": "ok"}],
}
_REFUSED = {
    "setup-token": ("the setup-token has expired or was revoked", "make another one: ccterm auth setup"),
    "api-key": ("the Claude API refused the key", "set ANTHROPIC_API_KEY to one that is valid"),
}


class Proof(Value):
    """What the API's answer says of a login, in words that hold neither its value nor the API's. valid: None = nothing."""

    valid: bool | None
    sentence: str
    fix: str = ""


async def prove(login: Login, base_url: str | None = None) -> Proof:
    """Send the request and return what the answer proves."""
    import httpx  # deferred: costs start-up time

    if login.value is None:
        whose = "a login with another cloud" if login.kind == "provider" else "your own login"
        return Proof(valid=None, sentence=f"only the Claude CLI itself can prove {whose}", fix="claude -p ok")
    try:
        direct = {"http://": None} if on_this_machine(base_url) else None  # no proxy may see the login on its way to this machine
        async with httpx.AsyncClient(timeout=SECONDS, mounts=direct, verify=trust_like_claude(os.environ)) as client:
            response = await client.post(f"{(base_url or API).rstrip('/')}/v1/messages", headers=_headers(login), json=_REQUEST)
    except (httpx.HTTPError, OSError, ValueError) as error:
        return Proof(valid=None, sentence=f"the Claude API cannot be reached ({type(error).__name__})", fix="check the network")
    return _judged(login, response.status_code)


def _judged(login: Login, status: int) -> Proof:
    if status in (401, 403):
        sentence, fix = _REFUSED.get(login.kind, ("the Claude API refused the login", "log in again: claude, then /login"))
        return Proof(valid=False, sentence=sentence, fix=fix)
    if status == 429:
        return Proof(valid=True, sentence="the Claude API knows the login; its limit is reached for now")
    if 300 <= status < 400:  # not followed: the login goes to this address and nowhere else
        return Proof(
            valid=None,
            sentence=f"the Claude API answered {status}, a redirect, which proves nothing",
            fix="name where it leads as base_url",
        )
    if status >= 500:
        return Proof(valid=None, sentence=f"the Claude API answered {status}, which proves nothing", fix="try again in a minute")
    return Proof(valid=True, sentence="the Claude API accepted the login")


def _headers(login: Login) -> dict[str, str]:
    value = login.value.get_secret_value() if login.value else ""
    if login.kind == "api-key":
        return {**_VERSION, "x-api-key": value}
    return {**_VERSION, "authorization": f"Bearer {value}", "anthropic-beta": "oauth-2025-04-20"}
