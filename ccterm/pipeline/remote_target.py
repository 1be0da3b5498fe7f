"""What a repository stands for and how it is reached from this process, before there is a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccterm.credentials.git import GitAccess, git_access
from ccterm.pipeline.context import RemoteAccess
from ccterm.remotes import RemoteAddress
from ccterm.settings import Settings
from ccterm.workspace.origin import Origin, find_origin, is_safe_for_user


@dataclass(frozen=True)
class RemoteTarget:
    """A repository, and the credential that is used for it."""

    origin: Origin
    git: GitAccess
    access: RemoteAccess

    @property
    def remote(self) -> RemoteAddress:
        """The address that the repository stands for."""
        return self.origin.remote


def find_target(repo: str, settings: Settings, env: Mapping[str, str], cwd: Path) -> RemoteTarget:
    """Return what a repository, a URL or a path from `cwd`, is reached by. Blocks. Raises RemoteError, PreflightError and SettingsError."""
    origin = find_origin(repo, env, cwd)
    git = git_access(origin.remote, settings, env)
    url = git.remote.url
    access = RemoteAccess(
        url,
        url,
        mirror_key="",
        header=git.header,
        ca=git.ca,
        ssh_agent=git.ssh_agent,
        known_hosts=git.known_hosts,
        safe=git.remote.kind == "path" and is_safe_for_user(Path(url), env),
    )
    return RemoteTarget(origin, git, access)
