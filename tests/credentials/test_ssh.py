"""Without a token an ssh remote is reached with the user's agent and the host keys that the user already knows, hashed or plain."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.credentials.ssh import ssh_access
from ccterm.errors import PreflightError
from ccterm.remotes import parse_remote


@pytest.fixture
def env(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Add a socket in place of the agent's; nothing answers on it and nothing is asked."""
    path = tmp_path_factory.mktemp("a") / "s"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(path))
        yield {**env, "SSH_AUTH_SOCK": str(path)}


@pytest.fixture
def key(tmp_path: Path) -> str:
    """Return a host key the way a known_hosts file has it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / "key")], check=True, timeout=30)
    return " ".join((tmp_path / "key.pub").read_text().split()[:2])


def know(env: dict[str, str], *lines: str, hashed: bool = False, name: str = "known_hosts") -> Path:
    path = Path(env["HOME"], ".ssh", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, timeout=30, capture_output=True)
    return path


@pytest.mark.parametrize(
    ("url", "name"),
    [("git@github.com:o/r", "github.com"), ("ssh://git@host:2222/r", "[host]:2222"), ("ssh://git@host/r", "host"), ("git@[::1]:r", "::1"), ("git@host:22/r", "host")],
)  # fmt: skip
@pytest.mark.parametrize("hashed", [False, True], ids=["plain", "hashed"])
def test_the_known_key_of_the_host_is_passed_on(env: dict[str, str], key: str, url: str, name: str, hashed: bool) -> None:
    know(env, f"{name} {key}", f"other.example {key}", hashed=hashed)
    access = ssh_access(parse_remote(url), env)
    assert access.agent == Path(env["SSH_AUTH_SOCK"])
    assert [line.split()[1:3] for line in access.known_hosts.splitlines()] == [key.split()]
    assert "other.example" not in access.known_hosts


def test_every_key_of_the_host_is_passed_on(env: dict[str, str], key: str) -> None:
    know(env, f"host,10.0.0.1 {key}", f"*.example {key}", f"@revoked host {key}")
    know(env, f"host {key}", name="known_hosts2")
    assert ssh_access(parse_remote("git@host:r"), env).known_hosts.count(key) == 3


def test_a_key_for_another_port_does_not_count(env: dict[str, str], key: str) -> None:
    know(env, f"[host]:2222 {key}")
    with pytest.raises(PreflightError, match=r"no host key of host is known; ssh git@host once"):
        ssh_access(parse_remote("git@host:r"), env)


@pytest.mark.parametrize("lines", [[], ["# nothing"], ["garbage"], ["other.example ssh-ed25519 AAAA"]], ids=range(4))
def test_an_unknown_host_says_how_to_learn_its_key(env: dict[str, str], lines: list[str]) -> None:
    know(env, *lines)
    with pytest.raises(PreflightError, match=r"no host key of \[host\]:2222 is known; ssh -p 2222 me@host once"):
        ssh_access(parse_remote("ssh://me@host:2222/r"), env)


@pytest.mark.parametrize("agent", [None, "", "/nonexistent", "/dev/null"])
def test_without_an_agent_ssh_is_refused(env: dict[str, str], key: str, agent: str | None) -> None:
    know(env, f"host {key}")
    del env["SSH_AUTH_SOCK"]
    with pytest.raises(PreflightError, match="no ssh agent"):
        ssh_access(parse_remote("git@host:r"), env if agent is None else {**env, "SSH_AUTH_SOCK": agent})
