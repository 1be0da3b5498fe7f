"""Names of repositories, hosts and addresses, as settings write them."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from ccterm.errors import UsageError
from ccterm.problems import quoted
from ccterm.remotes import parse_remote
from ccterm.settings.units import listed


def repo_key(name: str) -> str:
    """Return the key of the remote that a [repo] table is named after."""
    try:
        return parse_remote(name if "://" in name or name.startswith("/") or "@" in name else f"https://{name}").url_key
    except UsageError as error:
        raise ValueError('is not the name of a repository; write it as [repo."github.com/OWNER/NAME"]') from error


def host_key(name: str) -> str:
    """Return the key of the host that a [host] table is named after."""
    host = name.removeprefix("https://").removesuffix("/")
    try:
        if "/" not in host:
            return parse_remote(f"https://{host}/any").host_key
    except UsageError:
        pass  # reported below
    raise ValueError('is not the name of a host; write it as [host."HOST"] or [host."HOST:PORT"]')


def web_address(url: str) -> str:
    """Return an address, if its host and port can be read."""
    try:
        usable = bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("names no usable host and port; write it as https://HOST or http://HOST:PORT")
    return url


def engine_host(name: str) -> str:
    """Return an engine's address, if it has the form of one."""
    if not re.fullmatch(r"[a-z0-9+-]+://\S+", name):
        raise ValueError(
            f"holds {quoted(name)}, which is not the address of an engine; write it as unix:///PATH, tcp://HOST:PORT or another form that Dagger knows"
        )
    return name


def refuse_duplicates(tables: object, key: Callable[[str], str]) -> None:
    """Raise ValueError when two tables mean the same; key: what a table's name stands for."""
    seen: set[str] = set()
    for name in tables if isinstance(tables, dict) else ():
        try:
            found = key(str(name))
        except ValueError:
            continue  # reported with its position when the keys themselves are validated
        if found in seen:
            raise ValueError(f"names {found} twice; keep one of the two tables")
        seen.add(found)


_REPO_LIST = 'write it as ["HOST/OWNER/NAME"] or ["HOST/OWNER/*"], or true'


def submodule_list(value: object) -> object:
    """Return true, false, or the keys of the repositories that a list names."""
    named = listed(value)
    if isinstance(value, bool):
        return value
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise ValueError(f"is not a list of repositories; {_REPO_LIST}")
    try:
        return tuple(repo_key(name[:-1] + "any").removesuffix("any") + "*" if name.endswith("/*") else repo_key(name) for name in named)
    except ValueError as error:
        raise ValueError(f"names something that is not a repository; {_REPO_LIST}") from error


def read_list(value: object) -> object:
    """Return the repositories that a list names, as HOST/PATH without .git and spelled as they were. Raises ValueError."""
    named = listed(value)
    how = 'write it as ["HOST/OWNER/NAME"]'
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ValueError(f"is not a list of repositories; {how}")
    try:
        found = [parse_remote(name if "://" in name or "@" in name else f"https://{name}").https() for name in named]
    except UsageError as error:
        raise ValueError(f"names something that is not a repository; {how}") from error
    if any(remote.kind != "https" for remote in found):
        raise ValueError(f"names something that is not read over https; {how}")
    return tuple(dict.fromkeys(f"{remote.host_key}{remote.path.rstrip('/').removesuffix('.git')}" for remote in found))


def path_beside(name: str, url_key: str) -> str:
    """Return the path of a named repository, or "" if it is on another host than the one with this key."""
    (host, _, path), of_remote = name.partition("/"), url_key.partition("/")[0]
    path = path.removesuffix(".git")
    return "" if host != of_remote else path.casefold() if host else path
