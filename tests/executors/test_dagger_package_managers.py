"""Package managers and git in closed boxes on a real engine: what they need is on the list, and they use the proxy by themselves.

The registries are the real ones, reached through a proxy on this machine as a user may have one; git gets its repository from a server here under
a name of its own. The tools are those of this machine, for images of tests have none: one that is missing skips its test.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import JsonValue

from ccterm.executors.base import Boxes
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.models import RunId, new_id
from ccterm.settings.egress import PRESETS
from ccterm.values import ImageChoice
from tests.executors.contract import Heard, shell_step
from tests.servers.git_http import GitServer
from tests.servers.tls import make_certificate, speak_tls
from tests.support.engine import engine_options, require_engine
from tests.support.git import make_remote
from tests.support.upstream import UpstreamProxy

require_engine()
pytestmark = [pytest.mark.engine, pytest.mark.slow]
GIT = "git.example"


class Manager(NamedTuple):
    """A package manager. needs: directories or files of this machine, each with its name in the box; command: prints a name when it is done."""

    preset: str
    host: str
    needs: Sequence[tuple[str | None, str]]
    command: str


def _near(program: str | None, *path: str) -> str | None:
    """Return a path beside a program."""
    return str(Path(program).resolve().parent.joinpath(*path)) if program else None


def _bundled_pip() -> str | None:
    import ensurepip

    return next((str(path) for path in Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")), None)


def _cargo() -> str | None:
    found = subprocess.run(["rustup", "which", "cargo"], capture_output=True, text=True, check=False) if shutil.which("rustup") else None
    return found.stdout.strip() or None if found else shutil.which("cargo")


def _rustc() -> Iterator[tuple[str | None, str]]:
    """Yield rustc, without which cargo fetches nothing, and its libraries."""
    yield _near(_cargo(), "rustc"), "bin/rustc"
    for library in Path(_near(_cargo(), "..", "lib") or "/nowhere").glob("*.so*"):
        yield str(library), f"lib/{library.name}"


_GO = shutil.which("go")
MANAGERS = {
    "npm": Manager(
        "npm",
        "registry.npmjs.org",
        [(shutil.which("node"), "bin/node"), (_near(shutil.which("npm"), ".."), "npm")],
        "bin/node npm/bin/npm-cli.js install --no-audit --no-fund left-pad@1.3.0 >&2 && ls node_modules/left-pad/package.json",
    ),
    "pip": Manager(
        "pypi",
        "pypi.org",
        [(_bundled_pip(), "pip.whl")],
        "PYTHONPATH=$PWD/pip.whl python3 -m pip install --disable-pip-version-check --target there six==1.16.0 >&2 && ls there/six.py",
    ),
    "cargo": Manager(
        "crates",
        "index.crates.io",
        [(_cargo(), "bin/cargo"), *_rustc()],
        'mkdir -p p/src && cd p && touch src/lib.rs && printf \'[package]\\nname="p"\\nversion="0.1.0"\\n[dependencies]\\ncfg-if="=1.0.0"\\n\''
        " > Cargo.toml && CARGO_HOME=$PWD/home PATH=$PWD/../bin:$PATH cargo fetch >&2 && ls home/registry/cache/*/cfg-if-1.0.0.crate",
    ),
    "go": Manager(
        "go",
        "proxy.golang.org",
        [(_near(_GO, "go"), "go/bin/go"), (_near(_GO, "..", "VERSION"), "go/VERSION"), (_near(_GO, "..", "go.env"), "go/go.env")],
        "mkdir m && cd m && printf 'module m\\n\\ngo 1.20\\n' > go.mod && export GOPATH=$PWD/g GOCACHE=$PWD/c GOFLAGS=-mod=mod GOSUMDB=off GOTOOLCHAIN=local"
        " GOROOT=$PWD/../go && ../go/bin/go mod download github.com/pkg/errors@v0.9.1 >&2 && ls g/pkg/mod/cache/download/github.com/pkg/errors/@v/v0.9.1.zip",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a certificate for the git server, and in `trusted.pem` all authorities."""
    directory = tmp_path_factory.mktemp("tls")
    made = make_certificate(directory, f"DNS:{GIT}")
    ours = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    (directory / "trusted.pem").write_text(ours.read_text() + made.authority.read_text())
    return directory


@pytest.fixture(scope="module")
def upstream(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamProxy]:
    """Return a user's own proxy, through which all is reached, and the git server under its name."""
    served = tmp_path_factory.mktemp("served")
    make_remote(served / "repository.git", {"file": "work\n"}, "main")
    git = GitServer(served)
    certificate = make_certificate(certificates, f"DNS:{GIT}")
    (certificates / "trusted.pem").write_text((certificates / "trusted.pem").read_text() + certificate.authority.read_text())
    speak_tls(git, certificate)
    with git, UpstreamProxy(lambda host, port: ("127.0.0.1", git.server_address[1]) if host == GIT else (host, port)).running() as proxy:
        yield proxy


@pytest.fixture
async def boxes(upstream: UpstreamProxy, certificates: Path, bundles: Path, engine_cache: Path) -> AsyncIterator[Boxes]:
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environ |= {"HTTPS_PROXY": upstream.url, "SSL_CERT_FILE": str(certificates / "trusted.pem")}
    async with (
        DaggerExecutor(engine_options(), cache=engine_cache, bundles=bundles, environ=environ) as executor,
        executor.open_run(RunId(new_id()), ImageChoice()) as boxes,
    ):
        yield boxes


async def in_closed_box(boxes: Boxes, command: str, tools: Path | None, *hosts: str) -> Heard:
    """Run a command in a closed box."""
    network: dict[str, JsonValue] = {"mode": "list", "hosts": [*hosts], "gateway": None, "ca": None, "services": {}}
    inputs = {"work": await boxes.provide(tools)} if tools else {}
    step = shell_step(command, closed_network=True, inputs=inputs)
    request = {**step.request, "network": network, "cwd": "work" if tools else ".", "timeout_seconds": 300.0}
    heard = Heard()
    await boxes.execute(step.model_copy(update={"request": request}), heard.append)
    return heard


def reached(heard: Heard, *, allowed: bool = True) -> set[str]:
    return {frame["d"] for frame in heard if frame.get("what") == "egress" and frame["taken"] is allowed}


@pytest.mark.parametrize("name", MANAGERS)
async def test_a_package_manager_works_with_its_preset_and_not_without(boxes: Boxes, tmp_path: Path, name: str) -> None:
    manager, hosts = MANAGERS[name], PRESETS[MANAGERS[name].preset]
    for source, place in manager.needs:
        if source is None or not Path(source).exists():
            pytest.skip(f"this machine has no {name}")
        (tmp_path / "tools" / place).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if Path(source).is_dir() else shutil.copy2)(source, tmp_path / "tools" / place)
    _need(manager.host)
    heard = await in_closed_box(boxes, manager.command, tmp_path / "tools", *hosts)
    assert heard.lines(), heard.lines(2)
    assert reached(heard, allowed=False) == set()
    assert reached(heard)
    heard = await in_closed_box(boxes, manager.command, tmp_path / "tools", "elsewhere.example")
    assert (heard.lines(), reached(heard)) == ([], set())
    assert reached(heard, allowed=False) & {*hosts}


async def test_git_clones_what_is_listed_and_nothing_else(boxes: Boxes) -> None:
    command = f"cd /tmp && git clone -q https://{GIT}/repository.git one && cat one/file; git clone -q https://github.com/git/git two 2>&1 | tail -1"
    heard = await in_closed_box(boxes, command, None, GIT)
    assert heard.lines() == ["work", "fatal: unable to access 'https://github.com/git/git/': CONNECT tunnel failed, response 403"]
    assert (reached(heard), reached(heard, allowed=False)) == ({f"{GIT}:443"}, {"github.com:443"})


def _need(host: str) -> None:
    try:
        socket.create_connection((host, 443), 5).close()
    except OSError as error:
        pytest.skip(f"{host} cannot be reached from here: {error}")
