"""Access to a remote that needs more than an address: a private certificate authority, and ssh."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccterm.git.remote import Remote
from tests.box.gitbox import AUTHORIZATION, TOKEN, GitBox
from tests.box.programs import wrap_git
from tests.conftest import MakeRemote
from tests.servers.git_http import GitServer, Kind, Redirect
from tests.servers.tls import Certificate, make_certificate, speak_tls
from tests.support import git as support


class TlsGitServer(GitServer):
    """The same behind TLS."""

    def __init__(self, root: Path, certificate: Certificate) -> None:
        super().__init__(root)
        speak_tls(self, certificate)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close the connection as TLS requires."""
        if isinstance(request, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                request.unwrap()
        super().shutdown_request(request)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a certificate for 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(tmp_path: Path, make_remote: MakeRemote, certificate: Certificate) -> Iterator[str]:
    """Return the address of a remote behind that certificate."""
    make_remote()
    with TlsGitServer(tmp_path, certificate) as server:
        yield server.url("remote.git").replace("http:", "https:")


def test_an_unknown_certificate_authority_is_not_trusted(tmp_path: Path, tls: str) -> None:
    report = GitBox(tmp_path / "box", tls).resolve()
    assert (report["ok"], report["reason"]) == (False, "network")
    assert "certificate" in report["detail"]


def test_an_authority_in_the_request_is_trusted(tmp_path: Path, tls: str, certificate: Certificate) -> None:
    assert GitBox(tmp_path / "box", tls).resolve(ca=certificate.authority.read_text())["ok"]


def test_the_authorities_in_the_environment_are_trusted(tmp_path: Path, tls: str, certificate: Certificate) -> None:
    box = GitBox(tmp_path / "box", tls)
    box.env["SSL_CERT_FILE"] = str(certificate.authority)
    assert box.resolve()["ok"]


def test_no_proxy_sees_a_token_on_its_way_to_this_machine(tmp_path: Path, make_remote: MakeRemote) -> None:
    make_remote()
    with GitServer(tmp_path, token=TOKEN) as server, GitServer(tmp_path) as proxy:
        box = GitBox(tmp_path / "box", server.url("remote.git"))
        box.env |= {"CCTERM_GIT_HEADER": AUTHORIZATION, "http_proxy": proxy.origin, "all_proxy": proxy.origin}
        assert box.resolve()["ok"]
    assert proxy.requests == []


@pytest.fixture
def fake_ssh(tmp_path: Path) -> Path:
    """Return a directory with an ssh that records its arguments and runs the command locally."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "ssh"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/ssh-args\nfor last; do :; done\nexec sh -c "$last"\n')
    script.chmod(0o755)
    return directory


SSH = {"agent": "agent.sock", "known_hosts": "host.example ssh-ed25519 AAAA\n"}


@pytest.mark.parametrize("form", ["git@host.example:{path}", "ssh://git@host.example{path}"])
def test_work_is_fetched_and_pushed_over_ssh(tmp_path: Path, make_remote: MakeRemote, fake_ssh: Path, form: str) -> None:
    remote = make_remote()
    box = GitBox(tmp_path / "box", form.format(path=remote))
    box.env["PATH"] = f"{fake_ssh}:{os.environ['PATH']}"
    found = box.resolve(ssh=SSH)
    assert box.checkout(ref=found["ref"], ssh=SSH)["ok"]
    (box.tree / "new").write_text("x\n")
    commit = box.new_commit()
    assert box.push(commit, ssh=SSH)["verified"]
    assert support.tip(remote, "agent/work") == commit


def test_only_the_given_host_keys_and_the_given_agent_are_used(tmp_path: Path, make_remote: MakeRemote, fake_ssh: Path) -> None:
    box = GitBox(tmp_path / "box", f"git@host.example:{make_remote()}")
    box.env |= {"PATH": f"{fake_ssh}:{os.environ['PATH']}", "SSH_AUTH_SOCK": "/users/own.sock", "GIT_SSH_COMMAND": "false"}
    box.resolve(ssh=SSH)
    words = (tmp_path / "ssh-args").read_text().splitlines()
    known = box.directory / "known_hosts"
    assert known.read_text() == SSH["known_hosts"]
    assert words[:2] == ["-F", "/dev/null"]
    options = {"BatchMode=yes", "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{known}"', "GlobalKnownHostsFile=/dev/null"}
    assert options | {'IdentityAgent="agent.sock"'} <= set(words)


def test_a_real_ssh_without_a_server_is_a_network_failure(tmp_path: Path) -> None:
    if not shutil.which("ssh"):
        pytest.skip("needs ssh")
    report = GitBox(tmp_path / "box", "ssh://git@127.0.0.1:1/r.git").resolve(ssh={"agent": None, "known_hosts": ""})
    assert report["reason"] == "network"


@pytest.mark.parametrize("safe", [True, False])
def test_a_repository_of_another_user_is_used_only_if_the_user_calls_it_safe(tmp_path: Path, make_remote: MakeRemote, safe: bool) -> None:
    box = GitBox(tmp_path / "box", make_remote({"a": "1\n"}))
    other = wrap_git(tmp_path / "bin", 'export GIT_TEST_ASSUME_DIFFERENT_OWNER=1; exec $git "$@"')
    box.env["PATH"] = f"{other}:{os.environ['PATH']}"
    found = box.resolve(safe=safe)
    if not safe and not found["ok"]:
        assert "dubious ownership" in found["detail"]
        return
    assert box.checkout(ref=found["ref"], safe=safe)["ok"]  # since 2.48, git reads what belongs to somebody else
    (box.tree / "new").write_text("x\n")
    pushed = box.push(box.new_commit(), safe=safe)
    assert pushed["verified"] if safe or not _asks_for_owners(other, tmp_path / "remote.git") else "dubious ownership" in pushed["detail"]


def _asks_for_owners(git: Path, remote: Path) -> bool:
    """Whether the git of a directory refuses pushes to another user's repository: 2.30, to which later fixes were ported back, does not."""
    done = subprocess.run(
        [git / "git", "receive-pack", remote], check=False, env=support.git_environment(), capture_output=True, stdin=subprocess.DEVNULL
    )
    return not done.stdout


@pytest.mark.parametrize("key", ["proxy", "followRedirects"])
def test_no_configuration_of_a_directory_leads_a_token_elsewhere(tmp_path: Path, make_remote: MakeRemote, key: str) -> None:
    make_remote()
    with GitServer(tmp_path, token=TOKEN) as server, GitServer(tmp_path) as other:
        url = server.url("remote.git")
        if key == "followRedirects":
            server.fail(Kind.DISCOVER_FETCH, Redirect(other.origin))
        directory = support.make_bare(tmp_path / "hostile.git")
        support.git(directory, "config", f"http.{url}.{key}", other.origin if key == "proxy" else "true")
        git = Remote(url, header=AUTHORIZATION).git(str(directory))
        assert git.succeeds("ls-remote", url) is (key == "proxy")
    assert other.requests == []


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1", "all_proxy": "http://c:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "http://b:1", "all_proxy": "http://c:1"}, "http://b:1"),
        ({"https_proxy": "", "all_proxy": "http://c:1"}, ""),
        ({"http_proxy": "http://d:1"}, ""),
    ],
)
def test_the_proxy_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], proxy: str) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    url = "https://example.invalid/r.git"
    assert Remote(url).git().text("config", "--get-urlmatch", "http.proxy", url) == proxy
