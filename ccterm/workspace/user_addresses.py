"""How the user's own configuration reads an address: `url.*.insteadOf` of git, and the `Host` aliases of ssh.

It is followed on the host, once, when an address is resolved; boxes have neither configuration and get the address that came of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccterm.errors import RemoteError
from ccterm.git.address import split_address
from ccterm.processes import run_command
from ccterm.remotes import RemoteAddress, host_key, parse_remote

ADDRESS_SETTINGS = r"^(remote\.origin\.(url|pushurl)|url\..*\.(push)?insteadof)$"
"""What `git config --null --get-regexp` is asked for."""
_REWRITE, _PUSH_REWRITE = ".insteadof", ".pushinsteadof"
_SECONDS = 5.0
_LONGEST = 256 * 1024


@dataclass(frozen=True)
class AddressSettings:
    """What a git configuration says about addresses.

    rewrites: beginning of an address, and what is put in its place; for_push: those that are for pushes alone.
    """

    origin: str = ""
    push: str = ""
    rewrites: Sequence[tuple[str, str]] = ()
    for_push: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(cls, printed: str) -> "AddressSettings":
        """Read what git printed for ADDRESS_SETTINGS."""
        pairs = [(name, value) for name, _, value in (entry.partition("\n") for entry in printed.split("\0")) if value]
        first = dict(reversed(pairs))  # git fetches from the first of several
        rewrites = {
            kind: [(text, name[4 : -len(kind)]) for name, text in pairs if name.endswith(kind)] for kind in (_REWRITE, _PUSH_REWRITE)
        }
        addresses = (first.get("remote.origin.url", ""), first.get("remote.origin.pushurl", ""))
        return cls(*addresses, rewrites[_REWRITE], rewrites[_PUSH_REWRITE])

    def rewritten(self, text: str) -> str:
        """Return an address as git would use it. A user or password that a rewrite adds is left out."""
        return _rewritten(text, self.rewrites) or text

    def pushed_to(self, text: str) -> str:
        """Return the address that git would push to: the pushurl, or else what a rewrite for pushes makes of an address."""
        return self.rewritten(self.push) if self.push else _rewritten(text, self.for_push) or self.rewritten(text)


def _rewritten(text: str, rewrites: Sequence[tuple[str, str]]) -> str:
    """Return a text with its longest known beginning replaced, "" when none is known."""
    found = max((pair for pair in rewrites if text.startswith(pair[0])), key=lambda pair: len(pair[0]), default=None)
    return _without_userinfo(found[1]) + text[len(found[0]) :] if found else ""


def _without_userinfo(base: str) -> str:
    """Return the beginning of an https address without user and password: a token there is for git alone."""
    parts = split_address(base)
    if parts.scheme not in ("https", "http") or "@" not in parts.authority:
        return base
    return f"{parts.scheme}://{parts.authority.rpartition('@')[2]}{parts.path}{parts.rest}"


def resolve_ssh_alias(remote: RemoteAddress, env: Mapping[str, str]) -> tuple[RemoteAddress, str]:
    """Return the address that an ssh remote has by the user's ssh configuration, and what of that is not followed, or "". Blocks.

    Keys, jump hosts and all else that the configuration says stay out of use: boxes have only the ssh agent.
    """
    config = Path(env.get("HOME") or "/nonexistent") / ".ssh" / "config"
    if remote.kind != "ssh" or not config.is_file():
        return remote, ""
    port = ["-p", str(remote.port)] if remote.port else []
    user = ["-l", remote.user] if remote.user else []
    try:
        answer = run_command(["ssh", "-F", config, *port, *user, "-G", "--", remote.host], env=env, seconds=_SECONDS, limit=_LONGEST)
    except OSError:  # no ssh, or a Match that hangs
        return remote, ""
    if answer.code:
        return remote, ""
    says = dict(line.split(" ", 1) for line in answer.output.decode("utf-8", "replace").split("\n") if " " in line)
    jump = next((says[name] for name in ("proxyjump", "proxycommand") if says.get(name, "none") != "none"), "")
    return _at(remote, says), "its jump host is not used" if jump else ""


def _at(remote: RemoteAddress, says: Mapping[str, str]) -> RemoteAddress:
    """Return a remote at the host, port and user that ssh named."""
    host, port, user = says.get("hostname", remote.host).lower(), says.get("port", "22"), says.get("user", "")
    number = int(port) if port.isdecimal() and port != "22" else None
    if (host, number) == (remote.host, remote.port):
        return remote
    login = f"{user}@" if user else ""
    scp = not remote.url.startswith("ssh://")
    path = remote.path if not scp or remote.path.startswith("/") else _from_the_root(remote.path, user)
    try:
        if scp and number is None:
            return parse_remote(f"{login}{host_key(host, None)}:{remote.path}")
        return parse_remote(f"ssh://{login}{host_key(host, number)}{path}")
    except RemoteError:  # a name that no address can hold
        return remote


def _from_the_root(path: str, user: str) -> str:
    """Return the path of `host:path` as a URL has it. Hosts of repositories, whose user is git, take no path from a home directory."""
    return f"/{path}" if user == "git" or path.startswith("~") else f"/~/{path}"
