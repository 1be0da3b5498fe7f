"""Closed boxes on a real engine: what gets out of them, and that the agent keeps nothing of what closing them takes.

The same ways out as in `tests/box/test_ways_out.py`, in real containers. What they lead to is there: the engine's own name server, a service on
this machine's loopback, and a container beside the box.
"""

import errno
import json
import os
import socketserver
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from pydantic import JsonValue

from ccterm.errors import PreflightError
from ccterm.executors.base import Boxes, Executor, FrameSink, ServiceContainer, Step, StepResult
from ccterm.executors.control import Control
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.models import RunId, new_id
from ccterm.values import ImageChoice
from tests.box.box_proxy import echo, server
from tests.box.closed_boxes import TRICKS, connect, get, tried
from tests.executors.contract import ExecutorContract, Heard, agent_step, shell_step
from tests.support import ways_out
from tests.support.engine import NAMED, engine_options, require_engine
from tests.support.upstream import UpstreamProxy

require_engine()
pytestmark = pytest.mark.engine
Found = Mapping[str, tuple[bool, str]]
LISTED = "listed.example"
SERVICE = ServiceContainer(
    alias="db",
    image=NAMED["CCTERM_BASE_IMAGE"],
    port=8000,
    env={"BASH_ENV": "$(python3 -m http.server 8001 & exec python3 -m http.server 8000)"},  # bash runs this as it starts
)
NOT_SHOWN = {
    *ways_out.WAYS.keys() - {
        "tcp_to_an_address", "tcp_to_a_private_name", "dns_over_udp", "dns_over_tcp", "udp_to_an_address", "udp_to_everybody", "multicast",
        "another_interface", "a_port_of_a_service", "past_the_proxy", "tls_for_another_host", "tls_for_another_host_in_pieces",
        "tls_for_another_host_in_records", "tls_for_another_host_after_an_alert", "tls_for_two_hosts", "a_service_at_its_port",
    }
}  # fmt: skip
"""What an ordinary container forbids as well; the same ways lead out in the lab of `tests/box/test_ways_out.py`."""


class Answer(socketserver.BaseRequestHandler):
    """Answers a plain request, and sends back everything else."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" if data.startswith(b"GET ") else data)


@pytest.fixture(scope="module")
def loopback() -> Iterator[int]:
    """Return the port of a server on this machine's loopback."""
    with serving() as port:
        yield port


@contextmanager
def serving() -> Iterator[int]:
    """Serve on this machine's loopback for the duration of the block."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("work")
    return tmp_path / "tree"


@pytest.fixture
async def boxes(bundles: Path, engine_cache: Path) -> AsyncIterator[Boxes]:
    async with opened(bundles, engine_cache) as boxes:
        yield boxes


@asynccontextmanager
async def opened(bundles: Path, cache: Path, **environ: str) -> AsyncIterator[Boxes]:
    """Open the boxes of one run. environ: the user's, beside what the tests have."""
    async with (
        DaggerExecutor(engine_options(), cache=cache, bundles=bundles, environ={**os.environ, **environ}) as executor,
        executor.open_run(RunId(new_id()), ImageChoice()) as boxes,
    ):
        yield boxes


def network(mode: str, *hosts: str, **fields: JsonValue) -> dict[str, JsonValue]:
    return {"mode": mode, "hosts": [*hosts], "gateway": None, "ca": None, "services": {}, **fields}


async def try_out(boxes: Boxes, mode: str, port: int, tree: Path) -> Found:
    """Let an agent try all ways out of a box."""
    alias = f"loopback-{port}"
    box = {
        "outside": ["10.87.0.1", 53], "outside6": ["fe80::1", 53], "dns": "10.87.0.1", "name": "elsewhere.example", "private": [alias, port], "abstract": "none",
        "sockets": ["/box/control.sock"], "beside": ["db", 8000, 8001], "listed": [alias, port], "programs": ["/ccterm/__main__.py", "/usr/bin/python3"],
        "requests": {
            "a private address of a listed name": connect(f"{alias}:{port}"),
            "the same, plain": get(f"http://{alias}:{port}/"),
            "an address": connect("10.87.0.1:53"),
            "a service at another port": connect("db:8001"),
            "a service at its port": connect("db:8000"),
            **TRICKS,
        },
    }  # fmt: skip
    services: dict[str, JsonValue] = {"db": 8000} if mode == "list" else {}
    command: list[JsonValue] = ["python3", "-I", "-c", ways_out.PROGRAM, json.dumps(box)]
    limits: dict[str, JsonValue] = {"argv": command, "prompt": "", "wall_seconds": 300.0, "control": None}
    step = agent_step([], await boxes.provide(tree), limits={**limits, "network": network(mode, f"{alias}:{port}", services=services)})
    step = step.model_copy(update={"closed_network": mode == "list", "services": [SERVICE], "reaches": [("127.0.0.1", port)]})
    heard = Heard()
    result = await boxes.execute(step, heard.append)
    assert result.report, result.detail
    assert result.report["ok"], result.report
    return tried(heard.lines())


async def test_an_engine_that_closes_boxes_is_known_before_a_run_starts(bundles: Path, engine_cache: Path) -> None:
    async with DaggerExecutor(engine_options(), cache=engine_cache, bundles=bundles) as executor:
        for _ in range(2):  # asked, and remembered
            await executor.prepare(ImageChoice(), closed=True)
        assert not executor.trouble()


async def test_no_way_out_of_a_closed_box_but_what_is_allowed(boxes: Boxes, loopback: int, tree: Path) -> None:
    in_open, in_closed = [await try_out(boxes, mode, loopback, tree) for mode in ("open", "list")]
    assert {name for name, (out, _) in in_closed.items() if out} == {"a_service_at_its_port", "a service at its port"}
    assert len(in_closed) >= 90
    assert in_closed["calls_of_32_bits"][1] == "signal 31"
    assert {name for name, (out, _) in in_open.items() if not out} - {*TRICKS} <= NOT_SHOWN


async def shell(boxes: Boxes, command: str, request: dict[str, JsonValue], *, user: str = "agent") -> tuple[Heard, Mapping[str, JsonValue]]:
    """Run a command in a box with a network; return its frames and its report."""
    step = shell_step(command, closed_network=request["mode"] == "list", user=user)
    heard = Heard()
    result = await boxes.execute(step.model_copy(update={"request": {**step.request, "network": request}}), heard.append)
    assert result.report is not None, result.detail
    return heard, result.report


async def test_a_command_in_a_closed_box_has_no_rights_but_its_own(boxes: Boxes) -> None:
    heard, report = await shell(
        boxes, "id -un; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; echo $HOME; touch x", network("list")
    )
    assert report["ok"], report
    none = [f"Cap{name}:\t{0:016x}" for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
    assert heard.lines() == ["agent", *none, "NoNewPrivs:\t1", "Seccomp:\t2", "/home/agent"]


async def test_the_supervisor_of_a_closed_box_keeps_what_any_root_of_a_container_has(boxes: Boxes, tree: Path) -> None:
    answered = "python3 -c 'import urllib.request as r; r.urlopen(\"http://elsewhere.example\")' 2>&1 | tail -1; "
    command = ["sh", "-c", f"{answered}for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; grep -h CapEff $p/status; done"]
    request: dict[str, JsonValue] = {"argv": [*command], "prompt": "", "control": None, "network": network("list")}
    heard = Heard()
    await boxes.execute(agent_step([], await boxes.provide(tree), limits=request, closed_network=True), heard.append)
    held = {
        line.split("CapEff:\t")[0].split(" /ccterm/__main__.py ")[-1].strip(): line[-16:] for line in heard.lines() if "python3 -I" in line
    }
    assert int(held["supervise -"], 16) == 0b1_1111_1011  # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP
    assert int(held["proxy"], 16) == 0


@pytest.mark.parametrize("test", ["-writable", "-readable -type f"])
async def test_no_more_of_the_kernel_is_open_than_in_an_ordinary_box(boxes: Boxes, test: str) -> None:
    command = f"for d in /proc/sys /proc/bus /proc/fs /proc/irq /sys /dev; do find $d {test} 2>/dev/null; done; ls -d /proc/[a-z]*"
    closed, ordinary = [{*(await shell(boxes, command, network(mode)))[0].lines()} for mode in ("list", "open")]
    assert {name for name in closed - ordinary if "/net/" not in name} == set()
    assert "/dev/null" in ordinary or "/proc/sys/kernel/ostype" in ordinary


GATEWAY_ASK = """
import os, socket
with socket.socket(socket.AF_UNIX) as mine:
    print(mine.connect_ex("/box/gateway.sock"))
host, _, port = os.environ["HTTP_PROXY"].removeprefix("http://").partition(":")
for asked in ("POST /v1/messages", "CONNECT api.anthropic.com:443"):
    with socket.create_connection((host, int(port)), 20) as proxy:
        proxy.sendall(f"{asked} HTTP/1.1\\r\\n\\r\\n".encode())
        print(proxy.recv(100).decode().strip())
"""


@pytest.mark.parametrize("mode", ["open", "list"])
async def test_the_login_gateway_is_reached_through_the_proxy_alone(boxes: Boxes, tree: Path, mode: str) -> None:
    with tempfile.TemporaryDirectory() as short, server(echo, Path(short) / "gateway"):
        limits: dict[str, JsonValue] = {"argv": ["python3", "-c", GATEWAY_ASK], "prompt": "", "control": None}
        limits["network"] = network(mode, gateway="gateway.sock")
        step = agent_step([], await boxes.provide(tree), limits=limits, closed_network=mode == "list")
        heard = Heard()
        await boxes.execute(step.model_copy(update={"sockets": {"gateway.sock": Path(short) / "gateway"}}), heard.append)
    assert heard.lines() == [str(errno.EACCES), "POST /v1/messages HTTP/1.1", "CONNECT api.anthropic.com:443 HTTP/1.1"]


async def test_nothing_runs_as_root_in_a_closed_box(boxes: Boxes) -> None:
    with pytest.raises(PreflightError, match="runs nothing as root"):
        await shell(boxes, "id", network("list"), user="root")


async def test_a_list_works_through_the_users_own_proxy(bundles: Path, engine_cache: Path, loopback: int) -> None:
    ask = "import urllib.request; print(urllib.request.urlopen('http://{}/').status)"
    command = "; ".join(f'python3 -c "{ask.format(host)}" 2>&1 | tail -1' for host in (LISTED, "elsewhere.example"))
    with UpstreamProxy(lambda *_: ("127.0.0.1", loopback)).running() as upstream:
        url = upstream.url.replace("//", "//user:p%40ss@")
        async with opened(bundles, engine_cache, HTTP_PROXY=url, HTTPS_PROXY=url) as boxes:
            heard, _ = await shell(boxes, f"{command}; env", network("list", LISTED))
    assert heard.lines()[:2] == ["200", "urllib.error.HTTPError: HTTP Error 403: Forbidden"]
    assert upstream.asked == [(f"GET http://{LISTED}/ HTTP/1.1", "Basic dXNlcjpwQHNz")]
    assert not [line for line in heard.lines() if "p%40ss" in line]
    assert [(note["d"], note["taken"]) for note in heard if note.get("what") == "egress"] == [
        (f"{LISTED}:80", True),
        ("elsewhere.example:80", False),
    ]


async def test_the_list_is_part_of_what_a_setup_is_reused_for(boxes: Boxes) -> None:
    command = f"echo {new_id()}"
    reused = []
    for hosts in (["one.example"], ["one.example"], ["two.example"]):
        step = shell_step(command, closed_network=True, reuse=True)
        step = step.model_copy(update={"request": {**step.request, "mark": "m", "network": network("list", *hosts)}})
        reused.append((await boxes.execute(step, Heard().append)).reused)
    assert reused == [False, True, False]


class ClosingExecutor(DaggerExecutor):
    """Closes the network of every box in which commands or agents run."""

    @asynccontextmanager
    async def open_run(self, run_id: RunId, image: ImageChoice) -> AsyncIterator[Boxes]:
        async with super().open_run(run_id, image) as boxes:
            execute = boxes.execute

            async def closed(step: Step, on_frame: FrameSink, control: Control | None = None) -> StepResult:
                if step.program in ("supervise", "shell"):
                    request = {**step.request, "network": network("list")}
                    step = step.model_copy(update={"request": request, "closed_network": True})
                return await execute(step, on_frame, control)

            boxes.execute = closed  # type: ignore[method-assign]
            yield boxes


@pytest.mark.slow
class TestClosedBoxes(ExecutorContract):
    """All that boxes do, they do when their network is closed."""

    @pytest.fixture
    def base(self) -> Path:
        """An image that the engine can run."""
        return Path(NAMED["CCTERM_BASE_IMAGE"])

    @pytest.fixture
    async def executor(self, bundles: Path, engine_cache: Path) -> AsyncIterator[Executor]:
        async with ClosingExecutor(engine_options(), cache=engine_cache, bundles=bundles) as executor:
            yield executor
