"""Read-only git through the gateway: the named repositories, and nothing but reading."""

import asyncio
import os
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.box.network.git_settings import git_through
from ccterm.gateway.client import Gateway, GitReading, RunPass
from ccterm.processes import run_command_async
from tests.box.closed_boxes import agent_request, lines, network, run_in_lab
from tests.box.conftest import lib  # noqa: F401 - a fixture
from tests.conftest import MakeRemote
from tests.gateway.boxes import LOGIN, Heard, door, new_run
from tests.gateway.conftest import GIT_HOST as HOST
from tests.gateway.conftest import secure_git_server
from tests.gateway.raw import RawBox
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.git_http import GitServer, Kind, Redirect
from tests.support import network_lab
from tests.support.git import add_commit, git_environment
from tests.support.git import git as run_git

BASIC = "Basic eDp0aGUtZ2l0LXRva2Vu"
"""x:the-git-token"""


@pytest.fixture
def server(git_ca: Path, make_remote: MakeRemote) -> Iterator[GitServer]:
    """A server for https://git.example.com with one repository, which asks for a token."""
    with secure_git_server(git_ca, make_remote({"README.md": "hello\n"}).parent, "the-git-token") as opened:
        yield opened


@asynccontextmanager
async def reading(tmp_path: Path, server: GitServer, *, basic: str = BASIC) -> AsyncIterator[RunPass]:
    """A run that may read one repository."""
    name = next(server.root.glob("*.git")).stem
    with ConnectProxy(server.port) as proxy:
        async with Gateway(tmp_path / "gw", {"HTTPS_PROXY": proxy.origin}, Heard()) as gateway:
            git = GitReading({f"{HOST}/{name}": SecretStr(basic)}, {HOST: (tmp_path / "git_ca.pem").read_text()})
            yield await gateway.admit(new_run(), "login", LOGIN, git=git)


def signed(given: RunPass) -> str:
    """Return the header by which git says the pass of a run."""
    return f"Authorization: Basic {b64encode(f'run:{given.token.get_secret_value()}'.encode()).decode()}"


async def git(tmp_path: Path, port: int, given: RunPass, *words: str, name: str = "") -> tuple[int, str]:
    """Run git as in a box: without a login, and with the gateway in place of the host. name: what it reads there; "" = everything."""
    own = git_environment()
    env = {
        **own,
        **git_through(f"http://127.0.0.1:{port}", [f"{HOST}/{name}"], given.token.get_secret_value(), own),
        "GIT_TERMINAL_PROMPT": "0",
        "NO_PROXY": "127.0.0.1",
    }
    done = await run_command_async(["git", "-C", tmp_path, *words], env=env, seconds=60, stderr=True)
    return done.code, done.output.decode()


async def test_a_named_repository_is_cloned_and_never_pushed_to(tmp_path: Path, server: GitServer) -> None:
    name = next(server.root.glob("*.git")).name
    async with reading(tmp_path, server) as given, door(given.socket) as port:
        assert await git(tmp_path, port, given, "clone", "-q", f"https://{HOST}/{name}", "copy") == (0, "")
        assert (tmp_path / "copy" / "README.md").read_text() == "hello\n"
        code, said = await git(tmp_path, port, given, "-C", "copy", "push", "origin", "HEAD:refs/heads/new")
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
        answer = await box.ask(
            f"{named} HTTP/1.1\r\nHost: x\r\n{signed(given)}\r\nContent-Length: 0\r\n\r\n".encode(), named.split()[0].encode()
        )
    assert answer.status == status
    assert server.requests == []


async def test_an_address_by_ssh_and_one_without_an_ending_are_read_too(tmp_path: Path, server: GitServer) -> None:
    name = next(server.root.glob("*.git")).name
    async with reading(tmp_path, server) as given, door(given.socket) as port:
        for address in (f"git@{HOST}:{name}", f"ssh://git@{HOST}/{name}", f"https://{HOST}/{name.removesuffix('.git')}"):
            assert "refs/heads/main" in (await git(tmp_path, port, given, "ls-remote", address, name=name.removesuffix(".git")))[1]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("go"), reason="no go")
async def test_go_gets_a_private_module(tmp_path: Path, server: GitServer) -> None:
    (remote,) = server.root.glob("*.git")
    module = f"{HOST}/{remote.name}"
    add_commit(remote, {"go.mod": f"module {module}\n\ngo 1.18\n", "lib.go": "package lib\n"})
    async with reading(tmp_path, server) as given, door(given.socket) as port:
        own = {**os.environ, "HOME": str(tmp_path), "GOPRIVATE": HOST, "GOTOOLCHAIN": "local", "NO_PROXY": "127.0.0.1"}
        env = {
            **own,
            **git_through(f"http://127.0.0.1:{port}", [f"{HOST}/{remote.stem}"], given.token.get_secret_value(), own),
            "GOFLAGS": "-modcacherw",
        }
        done = await run_command_async(["go", "mod", "download", "-json", f"{module}@main"], env=env, seconds=60, stderr=True)
    assert '"GoMod"' in done.output.decode()
    assert done.code == 0


@pytest.mark.slow
async def test_a_request_of_several_megabytes_comes_in_one_piece(tmp_path: Path, server: GitServer) -> None:
    (remote,) = server.root.glob("*.git")
    commits = "".join(f"commit refs/heads/b{number}\ncommitter a <a@b> {number} +0000\ndata 0\n\n" for number in range(25_000))
    run_git(remote, "fast-import", "--quiet", stdin=commits.encode())
    clone = ["clone", "-q", "--mirror", f"https://{HOST}/{remote.name}", "copy"]
    async with reading(tmp_path, server) as given, door(given.socket) as port:
        usual = f"http.http://127.0.0.1:{port}/git/.postBuffer={2**20}"
        code, said = await git(tmp_path, port, given, "-c", usual, *clone, name=remote.stem)
        assert code != 0
        assert "411" in said  # git would send it in chunks
        assert await git(tmp_path, port, given, *clone, name=remote.stem) == (0, "")
    assert len(run_git(tmp_path / "copy", "for-each-ref").splitlines()) > 25_000


@pytest.mark.skipif(bool(network_lab.why_not()), reason=network_lab.why_not())
@pytest.mark.first_is_fast
@pytest.mark.parametrize("mode", ["list", "record", "open"])
async def test_a_box_reads_it_however_its_network_is(tmp_path: Path, server: GitServer, lib: Path, mode: str) -> None:  # noqa: F811
    name = next(server.root.glob("*.git")).stem
    address = f"https://{HOST}/{name}"
    async with reading(tmp_path, server) as given:
        (tmp_path / "box").mkdir()
        (tmp_path / "box" / "gateway.sock").symlink_to(given.socket)
        reads = {"repositories": [f"{HOST}/{name}"], "pass_name": "RUN_PASS"}
        env = {"RUN_PASS": given.token.get_secret_value()}
        way = network(mode, gateway="gateway.sock", git=reads)
        command = ["sh", "-c", f"git ls-remote {address} main; git ls-remote https://elsewhere.example/x.git 2>&1 | tail -1"]
        frames = await asyncio.to_thread(run_in_lab, lib, tmp_path / "box", "supervise", agent_request(mode, command, network=way, env=env))
    read, elsewhere = lines(frames)
    assert read.endswith("refs/heads/main")
    assert ("403" in elsewhere) == (mode == "list")
    assert {request.kind for request in server.requests} == {Kind.DISCOVER_FETCH, Kind.FETCH}


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
async def test_a_repository_whose_name_begins_like_a_named_one_is_asked_where_it_is(
    tmp_path: Path, server: GitServer, service: str
) -> None:
    name = next(server.root.glob("*.git")).stem
    async with reading(tmp_path, server) as given, RawBox.to(given) as box:
        target = f"{HOST}/{name}-tools.git/info/refs?service={service}"
        answer = await box.ask(f"GET /git/{target} HTTP/1.1\r\nHost: x\r\n{signed(given)}\r\n\r\n".encode(), b"GET")
    assert (answer.status, answer.headers["location"]) == (302, f"https://{target}")
    assert server.requests == []


async def test_a_token_that_the_host_refuses_asks_the_agent_for_no_other(tmp_path: Path, server: GitServer) -> None:
    name = next(server.root.glob("*.git")).name
    async with reading(tmp_path, server, basic="Basic eDp3cm9uZw==") as given, door(given.socket) as port:
        code, said = await git(tmp_path, port, given, "ls-remote", f"https://{HOST}/{name}")
    assert (code, "403" in said, "Username" in said) == (128, True, False)


@pytest.mark.first_is_fast
@pytest.mark.parametrize("header", ["", "Authorization: Basic cnVuOng=\r\n", "Authorization: Bearer PASS\r\n", "x-api-key: PASS\r\n"])
async def test_without_the_runs_pass_nothing_is_read(tmp_path: Path, server: GitServer, header: str) -> None:
    name = next(server.root.glob("*.git")).stem
    async with reading(tmp_path, server) as given, RawBox.to(given) as box:
        said = header.replace("PASS", given.token.get_secret_value())
        answer = await box.ask(
            f"GET /git/{HOST}/{name}/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n{said}\r\n".encode(), b"GET"
        )
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="ccterm"')
    assert server.requests == []


async def test_a_redirect_is_not_passed_on(tmp_path: Path, server: GitServer) -> None:
    name = next(server.root.glob("*.git")).name
    server.fail(Kind.DISCOVER_FETCH, Redirect("https://elsewhere.example"))
    async with reading(tmp_path, server) as given, RawBox.to(given) as box:
        target = f"/git/{HOST}/{name}/info/refs?service=git-upload-pack"
        answer = await box.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n{signed(given)}\r\n\r\n".encode(), b"GET")
    assert (answer.status, "location" in answer.headers) == (404, False)


def test_the_pass_is_in_no_address_and_no_command_line() -> None:
    """libcurl reports addresses without a password, which git takes for a redirect; and other users can read command lines."""
    told = " ".join(git_through("http://127.0.0.1:1", [f"{HOST}/lib"], "the-pass", {}).values())
    assert told.count("the-pass") == told.count("ccterm.pass=the-pass") == 1
    assert "@127.0.0.1" not in told
