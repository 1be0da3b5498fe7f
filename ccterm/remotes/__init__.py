"""What repositories and branches may be called: pure rules, without git, disk or network."""

from ccterm.git.address import is_loopback
from ccterm.remotes.branches import check_base, check_branch
from ccterm.remotes.urls import RemoteAddress, RemoteKind, host_key, looks_like_url, parse_remote, shown

__all__ = [
    "RemoteAddress",
    "RemoteKind",
    "check_base",
    "check_branch",
    "host_key",
    "is_loopback",
    "looks_like_url",
    "parse_remote",
    "shown",
]
