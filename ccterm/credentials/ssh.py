"""Access to an ssh remote without a token: through the user's ssh agent, and only to hosts whose key the user already knows."""

import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ccterm.errors import PreflightError
from ccterm.processes import run_command
from ccterm.remotes import RemoteAddress

_LARGEST = 1 << 20
_SECONDS = 10


@dataclass(frozen=True)
class SshAccess:
    """agent: the socket of the user's ssh agent. known_hosts: the only host keys that the box accepts."""

    agent: Path
    known_hosts: str


def ssh_access(remote: RemoteAddress, env: Mapping[str, str]) -> SshAccess:
    """Return agent and host keys for an ssh remote. Raises PreflightError with the fix."""
    token = f"or give ccterm a token for {remote.host} ([host] in the settings), which it prefers"
    agent = Path(env.get("SSH_AUTH_SOCK") or "/nonexistent")
    if not _is_socket(agent):
        raise PreflightError(f"no ssh agent answers for {remote.display}", f'eval "$(ssh-agent)" and ssh-add, {token}')
    name = remote.host if remote.port is None else f"[{remote.host}]:{remote.port}"
    lines = [line for path in _files(env) for line in _known(path, name)]
    if not lines:
        port = f"-p {remote.port} " if remote.port else ""
        raise PreflightError(
            f"no host key of {name} is known",
            f"ssh {port}{remote.user or 'git'}@{remote.host} once, compare the fingerprint and confirm it; {token}",
        )
    return SshAccess(agent, "\n".join(lines) + "\n")


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _files(env: Mapping[str, str]) -> Iterator[Path]:
    home = Path(env.get("HOME") or "/nonexistent")
    files = (home / ".ssh" / "known_hosts", home / ".ssh" / "known_hosts2", Path("/etc/ssh/ssh_known_hosts"))
    return (path for path in files if path.is_file())


def _known(path: Path, name: str) -> list[str]:
    """Return the lines of a known_hosts file about a host; ssh-keygen also finds hashed names, patterns and revoked keys."""
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        raise PreflightError("ssh-keygen is not installed", "install OpenSSH, or use an https:// remote")
    try:
        found = run_command([keygen, "-F", name, "-f", path], env=None, seconds=_SECONDS, limit=_LARGEST)
    except TimeoutError as error:
        raise PreflightError(f"ssh-keygen does not answer for {path}", "try it in a terminal") from error
    lines = found.output.decode("utf-8", "replace").split("\n")
    return [line for line in lines if line.strip() and not line.startswith("#")]
