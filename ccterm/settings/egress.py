"""Which hosts a box may reach, as users write it: patterns of hosts, names for what package managers need, and what of it covers what.

Boxes match only what `resolved` returns: HOST or *.HOST in lower-case ASCII, with :PORT where it is one port, else 443 and 80.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BeforeValidator

from ccterm.models import ExecutionMode
from ccterm.problems import quoted
from ccterm.settings.units import listed
from ccterm.values import Egress, LoginPlace

ALWAYS = "anthropic"
"""The preset that is part of every list: an agent without its API could do nothing."""
PRESETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "github": ("github.com:443", "api.github.com:443", "codeload.github.com:443", "*.githubusercontent.com:443"),
        "npm": ("registry.npmjs.org:443", "registry.yarnpkg.com:443"),
        "pypi": ("pypi.org:443", "files.pythonhosted.org:443"),
        "crates": ("crates.io:443", "index.crates.io:443", "static.crates.io:443"),
        "go": ("proxy.golang.org:443", "sum.golang.org:443"),
        "debian": ("deb.debian.org", "security.debian.org"),
        ALWAYS: ("api.anthropic.com:443",),
    }
)
"""Name -> the hosts that it stands for."""
MODES = ("open", "record")
DEFAULT_PORTS = (443, 80)
"""The ports that a pattern without one allows."""
MOST_HOSTS = 500
"""The longest list."""
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PRIVATE = ("localhost", "local", "internal")
"""Last labels of names that never leave a machine or a private network."""
_HOW = "write HOST, HOST:PORT or *.HOST"


def host_pattern(text: str) -> str:
    """Return a pattern of hosts in the form that boxes match. Raises ValueError for what names no host of the internet."""
    shown = quoted(text)
    if "/" in text:
        raise ValueError(f"holds {shown}, which is a URL or a path; name the host alone, as in registry.npmjs.org")
    host, colon, port = text.strip().rpartition(":") if text.count(":") == 1 else (text.strip(), "", "")
    if colon and not _is_port(port):
        raise ValueError(f"holds {shown}, whose port is not a number from 1 to 65535; {_HOW}")
    star = "*." if host.startswith("*.") else ""
    name = _ascii(host.removeprefix(star).removesuffix("."))
    if _is_address(name):
        raise ValueError(f"holds {shown}, which is an address; name the host: a closed box reaches hosts by name alone")
    labels = name.split(".")
    if not all(map(_LABEL.fullmatch, labels)) or len(name) > 253:
        raise ValueError(f"holds {shown}, which is not the name of a host; {_HOW}")
    if labels[-1] in _PRIVATE:
        raise ValueError(f"holds {shown}, a name of this machine or of a private network; a closed box reaches neither, so leave it out")
    if len(labels) == 1:
        raise ValueError(
            f"holds {shown}, which is neither a preset nor the whole name of a host; presets are {', '.join(PRESETS)}, or {_HOW[6:]}"
            if not star
            else f"holds {shown}, which is nearly every host; name a domain, as in *.example.com, or open the network"
        )
    return f"{star}{name}{f':{int(port)}' if colon else ''}"


def can_be_listed(host: str) -> bool:
    """Return whether a list can hold a HOST:PORT that was asked for: no address, and no name of a private network."""
    try:
        host_pattern(host)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= 65535


def _ascii(host: str) -> str:
    """Return a name as it is asked for; "" when it cannot be."""
    if host.isascii():
        return host.lower()
    import idna  # deferred: its tables cost start-up time, and hardly any name needs them

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _is_address(name: str) -> bool:
    """Whether a name would be read as an IP address, in any of the spellings that programs take."""
    last = name.rpartition(".")[2]
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last):
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def egress_choice(value: object) -> str | tuple[str, ...]:
    """Return what a user says of the network in one form: "open", "record", or the names of presets and patterns of hosts. Raises ValueError."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError('is not valid; write "open", "record", or a list of hosts and presets')
    named = list(dict.fromkeys(_named(part) for word in words for part in _parts(word)))
    if len(named) > MOST_HOSTS:
        raise ValueError(f"names more than {MOST_HOSTS} hosts; *.HOST stands for all below one")
    if not set(named) & {*MODES}:
        return tuple(named)
    if len(named) > 1:
        raise ValueError(f"holds {quoted(next(name for name in named if name in MODES))} beside others; give it alone, or name hosts")
    return named[0]


def _parts(word: str) -> list[str]:
    parts = listed(word)
    if not isinstance(parts, list) or not parts:
        raise ValueError('is empty; write "open", "record", or hosts and presets')
    return parts


def _named(word: str) -> str:
    return word.lower() if word.lower() in (*MODES, *PRESETS) else host_pattern(word)


EgressChoice = Annotated[Literal["open", "record"] | tuple[str, ...], BeforeValidator(egress_choice)]
"""What a user says of the network, in settings and tasks."""


def hosts_to_add(words: Sequence[str]) -> tuple[str, ...]:
    """Return what a list is to hold beside the rest, as `egress_choice` does. Raises ValueError."""
    choice = egress_choice(words)
    if choice in MODES:
        raise ValueError(f"holds {quoted(str(choice))}, which is no host; give a new run --egress {choice}")
    return tuple(choice)


def expanded(words: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of hosts, every preset replaced by its own."""
    return tuple(dict.fromkeys(host for word in words for host in PRESETS.get(word, (word,))))


def resolved(choice: Literal["open", "record"] | tuple[str, ...] | None) -> Egress:
    """Return what a choice comes to, every preset replaced by its hosts; None = none was made."""
    if choice is None or isinstance(choice, str):
        return Egress(mode=choice or "open")
    return Egress(mode="list", hosts=expanded((*choice, ALWAYS)))


def login_place(
    given: LoginPlace | None, egress: Egress, execution_mode: ExecutionMode | None = None, *, needed: bool = False
) -> LoginPlace:
    """Return where the Claude login of a run is: as the user says; else outside of containers, and where the gateway is needed for something else."""
    outside = execution_mode is ExecutionMode.DAGGER or egress.mode == "list" or needed
    return given or ("gateway" if outside else "secret")


def within(asked: Egress, allowed: Egress) -> bool:
    """Return whether all that one choice lets through, another one does, and writes down no more than it."""
    if asked.mode == "open" or allowed.mode == "open":
        return allowed.mode == "open"
    if asked.mode == "record" or allowed.mode == "record":
        return allowed.mode == "record"
    return all(covered(host, allowed.hosts) for host in asked.hosts)


def covered(pattern: str, by: Collection[str]) -> bool:
    """Return whether every host and port that a pattern stands for is allowed by one of others; a plain HOST:PORT is a pattern, too."""
    host, ports = _host_and_ports(pattern)
    return all(any(port in theirs and _is_below(host, wider) for wider, theirs in map(_host_and_ports, by)) for port in ports)


def _host_and_ports(pattern: str) -> tuple[str, tuple[int, ...]]:
    host, _, port = pattern.partition(":")
    return host, (int(port),) if port else DEFAULT_PORTS


def _is_below(host: str, wider: str) -> bool:
    """Whether a host, or all below it, is among those of another pattern. *.HOST stands for what is below HOST, not for HOST itself."""
    return host == wider or (wider.startswith("*.") and host.removeprefix("*").endswith(wider[1:]))


def folded(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return the shortest list for hosts and ports that were reached: presets in place of hosts of theirs, the others sorted by name."""
    wanted = sorted({*hosts})
    presets = [name for name, patterns in PRESETS.items() if name != ALWAYS and any(covered(host, patterns) for host in wanted)]
    known = [pattern for name in (*presets, ALWAYS) for pattern in PRESETS[name]]
    return (*presets, *_joined(host for host in wanted if not covered(host, known)))


def _joined(hosts: Iterable[str]) -> Iterator[str]:
    """Yield HOST in place of HOST:443 and HOST:80 where both are wanted."""
    ports: dict[str, list[str]] = {}
    for each in hosts:
        host, _, port = each.partition(":")
        ports.setdefault(host, []).append(port)
    for host, wanted in sorted(ports.items()):
        both = "" in wanted or {"443", "80"} <= {*wanted}
        yield from [host] if both else []
        yield from (f"{host}:{port}" for port in sorted(wanted) if port and not (both and port in ("443", "80")))
