"""What repositories and branches may be called: pure rules, no git, no disk, no network."""

from ccterm.remotes.branches import check_base, check_branch
from ccterm.remotes.urls import Remote, RemoteKind, host_key, is_loopback, looks_like_url, parse_remote, shown

__all__ = ["Remote", "RemoteKind", "check_base", "check_branch", "host_key", "is_loopback", "looks_like_url", "parse_remote", "shown"]
