"""What a program asks the box proxy for, read strictly: a host and a port in one spelling, and whether an address is of the internet."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

_NAME = re.compile(rb"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?")
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
"""A name that programs take for an address, in one of its many spellings: 0x7f.1, 2130706433, 0177.0.0.1."""
_IN_BRACKETS = re.compile(rb"\[[0-9A-Fa-f:.]+\]")
_PORT = re.compile(rb"[0-9]{1,5}")
_LONGEST_NAME = 253
_USUAL_PORTS = ("443", "80")

Address = IPv4Address | IPv6Address

_CLOSED_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
            "168.63.129.16/32",  # the metadata service of Azure, at an address that is public everywhere else
        ),
    )
)  # fmt: skip
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_MAPPED, _NAT64, _SIX_TO_FOUR = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16")


class BadTarget(ValueError):
    """What was asked for is not a host and a port in a plain spelling. The message is a sentence."""


class HostPort(NamedTuple):
    """A host and a port. host: a lower-case name without a dot at its end, or an address as its standard text."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return HOST:PORT, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The address that the host is, or None for a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def read_target(authority: bytes, default_port: int | None = None) -> HostPort:
    """Return what an authority names, HOST:PORT or HOST. Raises BadTarget for all that two readers could take for two hosts."""
    host, port = _parts(authority)
    if port is None and default_port is None:
        raise BadTarget("it names no port")
    if port is not None and not (_PORT.fullmatch(port) and 0 < int(port) < 1 << 16):
        raise BadTarget("its port is not a number from 1 to 65535")
    return HostPort(_host(host), int(port) if port is not None else default_port or 0)


def _parts(authority: bytes) -> tuple[bytes, bytes | None]:
    if b"@" in authority:
        raise BadTarget("it holds a user name")
    if authority.startswith(b"["):
        host, closed, rest = authority.partition(b"]")
        if not closed or (rest and not rest.startswith(b":")):
            raise BadTarget("its brackets do not hold an address")
        return host + closed, rest[1:] if rest else None
    host, colon, port = authority.partition(b":")
    return host, port if colon else None


def _host(host: bytes) -> str:
    if host.startswith(b"["):
        if not _IN_BRACKETS.fullmatch(host):
            raise BadTarget("its brackets do not hold an address")
        try:
            return _standard(IPv6Address(host[1:-1].decode("ascii")))
        except ValueError as error:
            raise BadTarget("its brackets do not hold an address") from error
    if not _NAME.fullmatch(host) or len(host) > _LONGEST_NAME:
        raise BadTarget("it is not the name of a host in plain ASCII")
    name = host.decode("ascii").lower().removesuffix(".")
    if not _NUMERIC.fullmatch(name):
        return name
    try:
        return str(IPv4Address(name))  # strict: four decimal numbers without leading zeros
    except ValueError as error:
        raise BadTarget("it is an address in an odd spelling") from error


def _standard(address: IPv6Address) -> str:
    mapped = address.ipv4_mapped
    return f"::ffff:{mapped}" if mapped else str(address)  # which Python before 3.13 writes as ::ffff:102:304


def is_listed(target: HostPort, patterns: Collection[str]) -> bool:
    """Return whether a list allows a target. patterns: HOST, HOST:PORT, *.HOST or *.HOST:PORT; without a port, 443 and 80."""
    return any(_matches(target, pattern) for pattern in patterns)


def _matches(target: HostPort, pattern: str) -> bool:
    host, colon, port = pattern.lower().partition(":")
    if target.address is not None or str(target.port) not in ((port,) if colon else _USUAL_PORTS):
        return False
    return target.host.endswith(host[1:]) if host.startswith("*.") else target.host == host.removesuffix(".")


def is_of_internet(address: Address) -> bool:
    """Return whether an address is one of the internet's, for everybody: none that is private, of this machine, of metadata, or of a group.

    An IPv6 address that stands for an IPv4 address is as good as that one.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    if address in _MAPPED or address in _NAT64:
        return is_of_internet(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _SIX_TO_FOUR:
        return is_of_internet(IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    return address in _OPEN_6 and not any(address in network for network in _CLOSED_6)
