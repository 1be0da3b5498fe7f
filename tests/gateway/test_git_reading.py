"""Read-only git through the gateway: the named repositories, and nothing but reading."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ccterm.gateway.certificates import CertificateAuthority
from ccterm.gateway.client import Gateway, GitReading, RunPass
from ccterm.processes import run_command_async
from tests.conftest import MakeRemote
from tests.gateway.boxes import LOGIN, Heard, door, new_run
from tests.gateway.raw import RawBox
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.git_http import GitServer, Kind, Redirect
from tests.support.git import git_environment

HOST = "git.example.com"
BASIC = "Basic eDp0aGUtZ2l0LXRva2Vu"
"""x:the-git-token"""


@pytest.fixture
def server(tmp_path: Path, make_remote: MakeRemote) -> Iterator[GitServer]:
    """A server for https://git.example.com with two repositories, which asks for a token."""
    authority = CertificateAuthority(HOST)
    leaf = authority.leaf()
    (tmp_path / "git.pem").write_text(leaf.certificate + leaf.key)
    (tmp_path / "git_ca.pem").write_text(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "git.pem")
    remote = make_remote({"README.md": "hello\n"})
    opened = GitServer(remote.parent, token="the-git-token")
    opened.secure(context)
    with opened:
        yield opened


@asynccontextmanager
async def reading(tmp_path: Path, server: GitServer) -> AsyncIterator[RunPass]:
    """A run that may read one repository."""
    name = next(server.root.glob("*.git")).stem
    with ConnectProxy(server.port) as proxy:
        environ = {"HTTPS_PROXY": proxy.origin, "SSL_CERT_FILE": str(tmp_path / "git_ca.pem")}
        async with Gateway(tmp_path / "gw", environ, Heard()) as gateway:
            yield await gateway.admit(new_run(), "login", LOGIN, git=GitReading({f"{HOST}/{name}": BASIC}))


async def git(tmp_path: Path, port: int, *words: str) -> tuple[int, str]:
    """Run git as in a box: without a login, and with the gateway in place of the host."""
    instead = f"url.http://127.0.0.1:{port}/git/{HOST}/.insteadOf=https://{HOST}/"
    env = {**git_environment(), "GIT_TERMINAL_PROMPT": "0", "NO_PROXY": "127.0.0.1"}
    done = await run_command_async(["git", "-C", tmp_path, "-c", instead, *words], env=env, seconds=60, stderr=True)
    return done.code, done.output.decode()


async def test_a_named_repository_is_cloned_and_never_pushed_to(tmp_path: Path, server: GitServer) -> None:
    name = next(server.root.glob("*.git")).name
    async with reading(tmp_path, server) as given, door(given.socket) as port:
        assert await git(tmp_path, port, "clone", "-q", f"https://{HOST}/{name}", "copy") == (0, "")
        assert (tmp_path / "copy" / "README.md").read_text() == "hello\n"
        code, said = await git(tmp_path, port, "-C", "copy", "push", "origin", "HEAD:refs/heads/new")
        assert (code, "403" in said) == (128, True)
    assert {request.kind for request in server.requests} == {Kind.DISCOVER_FETCH, Kind.FETCH}
    assert {request.authorization for request in server.requests} == {BASIC}


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /git/HOST/other/info/refs?service=git-upload-pack", 404),
        ("GET /git/HOST/NAME/../other/info/refs?service=git-upload-pack", 404),
        ("GET /git/HOST/x%2f..%2fNAME/info/refs?service=git-upload-pack", 404),
        ("GET /git/HOST//NAME/info/refs?service=git-upload-pack", 404),
        ("GET /git/elsewhere.example/NAME/info/refs?service=git-upload-pack", 404),
        ("GET /git/HOST/NAME/info/refs?service=git-upload-pack&service=git-receive-pack", 403),
        ("GET /git/HOST/NAME/info/refs?service=git-receive-pack", 403),
        ("POST /git/HOST/NAME/git-receive-pack", 403),
        ("GET /git/HOST/NAME/info/refs", 404),
        ("GET /git/HOST/NAME/HEAD", 404),
        ("POST /git/HOST/NAME/info/lfs/objects/batch", 404),
    ],
)
async def test_everything_else_is_refused_without_asking(tmp_path: Path, server: GitServer, line: str, status: int) -> None:
    name = next(server.root.glob("*.git")).name
    named = line.replace("HOST", HOST).replace("NAME", name)
    async with reading(tmp_path, server) as given, RawBox.to(given) as box:
        answer = await box.ask(f"{named} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode(), named.split()[0].encode())
    assert answer.status == status
    assert server.requests == []


async def test_a_redirect_is_not_passed_on(tmp_path: Path, server: GitServer) -> None:
    name = next(server.root.glob("*.git")).name
    server.fail(Kind.DISCOVER_FETCH, Redirect("https://elsewhere.example"))
    async with reading(tmp_path, server) as given, RawBox.to(given) as box:
        target = f"/git/{HOST}/{name}/info/refs?service=git-upload-pack"
        answer = await box.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), b"GET")
    assert (answer.status, "location" in answer.headers) == (404, False)
