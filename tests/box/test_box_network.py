"""How step programs use the box proxy: what their child sees of it, what the host hears of it, and that it ends with them."""

import errno
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.box.network.git_settings import HELPER
from tests.box.box_proxy import echo, server
from tests.box.boxed import Running, supervise_request
from tests.box.closed_boxes import PYTHON, agent_request, lines, network, run_in_lab
from tests.box.gitbox import old_git
from tests.support import network_lab as lab
from tests.support.git import git, setting
from tests.support.waiting import wait_until

in_a_lab = pytest.mark.skipif(bool(lab.why_not() or not PYTHON), reason=lab.why_not() or "no python3 for all users")
Supervised = Callable[..., Running]
OPEN: dict[str, object] = {"mode": "open", "hosts": [], "gateway": None, "ca": None, "services": {}}
SHOW = "import json, os, sys; print(json.dumps({'env': dict(os.environ), 'argv': sys.argv[1:]}))"
FETCH = "import urllib.request as r, sys; print(r.urlopen(sys.argv[1]).read().decode())"

THRICE = """
import os, socket, sys
host, _, port = os.environ["HTTP_PROXY"].removeprefix("http://").partition(":")
for _ in range(3):
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"CONNECT {sys.argv[1]} HTTP/1.1\\r\\n\\r\\n".encode())
        print(connection.recv(100).decode().strip())
"""


@pytest.fixture
def supervised(lib: Path, box: Path) -> Supervised:
    """Supervise a program in a box on this machine, as in local mode."""

    def start(argv: list[str], request: dict[str, object], env: dict[str, str] | None = None, **given: str) -> Running:
        return Running(
            lib, box, "supervise", supervise_request("", argv=argv, env=env or {}, network=request, control=None), listen=False, **given
        )

    return start


def test_an_agent_gets_the_proxy_and_keeps_what_is_its_own(supervised: Supervised, tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_text("own certificate")
    settings = json.dumps(
        {"env": {"ANTHROPIC_BASE_URL": "@ccterm-box-proxy", "OTHER": "@ccterm-box-proxy/v1", "SAID": "ask @ccterm-box-proxy"}}
    )
    argv = [sys.executable, "-c", SHOW, "--settings", settings, "@ccterm-box-proxy", "@proxy", 'the scope "@proxy/x"']
    request = OPEN | {"ca": "gateway certificate", "services": {"db": 5432}}
    env = {"ANTHROPIC_BASE_URL": "@ccterm-box-proxy", "HTTPS_PROXY": "http://me:secret@proxy.example", "no_proxy": "x", "KEPT": "1"}
    with supervised(argv, request, env, NODE_EXTRA_CA_CERTS=str(tmp_path / "own.pem"), ALL_PROXY="socks5://a", TMPDIR=str(tmp_path)) as run:
        assert run.report()["ok"]
    shown = json.loads(run.lines()[0])
    seen = shown["env"]
    address = seen["HTTP_PROXY"]
    assert address.startswith("http://127.0.0.1:")
    assert {seen[name] for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ANTHROPIC_BASE_URL")} == {address}
    assert {seen["NO_PROXY"], seen["no_proxy"]} == {"127.0.0.1,localhost,::1,db"}
    assert (seen["KEPT"], "ALL_PROXY" in seen, "secret" in json.dumps(shown)) == ("1", False, False)
    assert json.loads(shown["argv"][1])["env"] == {"ANTHROPIC_BASE_URL": address, "OTHER": f"{address}/v1", "SAID": "ask @ccterm-box-proxy"}
    assert shown["argv"][2:] == [address, "@proxy", 'the scope "@proxy/x"']
    certificates = Path(seen["NODE_EXTRA_CA_CERTS"])
    assert certificates.read_text() == "own certificate\ngateway certificate"
    assert certificates.stat().st_mode & 0o777 == 0o644


NUMBERED = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Me"}
numbered = pytest.mark.skipif(setting("user.name", NUMBERED) != "Me", reason="git before 2.31 reads no numbered variables")


@pytest.mark.parametrize("said", [{"GIT_CONFIG_PARAMETERS": "'user.name=Me'"}, pytest.param(NUMBERED, marks=numbered)])
def test_git_reads_through_the_proxy_beside_what_its_variables_say_already(supervised: Supervised, said: dict[str, str]) -> None:
    request = OPEN | {"git": {"repositories": ["git.example.com/o/Lib", "h:8443/lib"], "pass_name": "RUN_PASS"}}
    with supervised(["git", "config", "--list", "--show-scope"], request, {"RUN_PASS": "secret", **said}) as run:
        assert run.report()["ok"]
    shown = [line.removeprefix("command\t") for line in run.lines() if line.startswith("command")]
    assert [re.sub(r"127.0.0.1:\d+", "PROXY", line) for line in shown] == [
        "user.name=Me",
        "http.http://PROXY/git/.postbuffer=33554432",
        "credential.http://PROXY.helper=",
        f"credential.http://PROXY.helper={HELPER}",
        "ccterm.pass=secret",
        "url.http://PROXY/git/git.example.com/o/Lib.insteadof=https://git.example.com/o/Lib",
        "url.http://PROXY/git/git.example.com/o/Lib.insteadof=git@git.example.com:o/Lib",
        "url.http://PROXY/git/git.example.com/o/Lib.insteadof=ssh://git@git.example.com/o/Lib",
        "url.http://PROXY/git/h:8443/lib.insteadof=https://h:8443/lib",
    ]


def test_an_old_git_reads_through_the_proxy_too(supervised: Supervised, tmp_path: Path) -> None:
    request = OPEN | {"git": {"repositories": ["git.example.com/o/lib"], "pass_name": "RUN_PASS"}}
    path = f"{old_git(tmp_path / 'old')}:{os.environ['PATH']}"
    with supervised(["git", "config", "--get-regexp", r"insteadof$"], request, {"RUN_PASS": "secret", "PATH": path}) as run:
        assert run.report()["ok"]
    assert {line.split()[-1] for line in run.lines()} >= {"https://git.example.com/o/lib", "ssh://git@git.example.com/o/lib"}


def test_what_is_recorded_comes_as_notes_also_at_the_end(supervised: Supervised) -> None:
    with server(echo) as port, supervised([sys.executable, "-c", THRICE, f"127.0.0.1:{port}"], OPEN | {"mode": "record"}) as run:
        run.report()
    assert run.lines() == ["HTTP/1.1 200 Connection established"] * 3
    notes = [{name: note[name] for name in ("d", "taken", "detail", "number")} for note in run.notes("egress")]
    assert notes == [{"d": f"127.0.0.1:{port}", "taken": True, "detail": "", "number": count} for count in (1, 3)]


@pytest.mark.first_is_fast
@pytest.mark.parametrize("end", ["its agent ends", "its host dies", "it is killed"])
def test_the_proxy_ends_with_its_box(supervised: Supervised, end: str) -> None:
    stays = "" if end == "its agent ends" else "; import time; time.sleep(60)"
    with supervised([sys.executable, "-c", f"import os; print(os.environ['HTTP_PROXY'], flush=True){stays}"], OPEN) as run:
        port = int(run.until_said("http://")["d"].rpartition(":")[2])
        if end == "its host dies":
            run.cut_parent_watch()
        elif end == "it is killed":
            run.process.kill()
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED)


def proxies(run: Running) -> list[int]:
    """Return the box proxies among the children of a supervisor."""
    children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read_text().split()
    return [int(child) for child in children if b"\0proxy\0" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the proxy in /proc")
def test_that_the_proxy_has_ended_is_said(supervised: Supervised) -> None:
    with supervised([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"], OPEN) as run:
        run.until_said("up")
        (proxy,) = proxies(run)
        os.kill(proxy, signal.SIGKILL)
        run.until(lambda frame: frame["k"] == "note" and "the box proxy has ended" in frame["d"])


@in_a_lab
def test_a_name_is_resolved_once_and_what_was_checked_is_dialled(lib: Path, tmp_path: Path) -> None:
    twice = f"{FETCH}\ntry: r.urlopen(sys.argv[1])\nexcept Exception as error: print(error)"
    frames = run_in_lab(lib, tmp_path / "box", "supervise", agent_request("list", [PYTHON, "-c", twice, "http://rebinding.example/"]))
    first, second = lines(frames)
    assert json.loads(first)["at"].endswith(lab.PUBLIC)
    assert second == "HTTP Error 403: Forbidden"


@pytest.mark.slow
@in_a_lab
def test_a_plain_request_gets_the_host_of_its_address(lib: Path, tmp_path: Path) -> None:
    code = "import urllib.request as r; print(r.urlopen(r.Request('http://listed.example/', b'work', {'Host': 'elsewhere.example'})).read().decode())"
    frames = run_in_lab(lib, tmp_path / "box", "supervise", agent_request("list", [PYTHON, "-c", code]))
    answered = json.loads(lines(frames)[0])
    assert (answered["host"], answered["body"]) == ("listed.example", "work")


@in_a_lab
def test_a_command_in_a_closed_box_is_never_root_and_reaches_the_list_alone(lib: Path, tmp_path: Path) -> None:
    command = (
        f"id -u; {PYTHON} -c '{FETCH}' http://six.example/; {PYTHON} -c '{FETCH}' http://below.wide.example/ | head -c 5; touch /etc/x"
    )
    request = {
        "command": command,
        "cwd": "tree",
        "env": {},
        "timeout_seconds": 60.0,
        "mark": "m",
        "user": "nobody",
        "network": network("list"),
    }
    frames = run_in_lab(lib, tmp_path / "box", "shell", request)
    said = lines(frames)
    assert said[0].isdecimal()
    assert said[0] != "0"
    assert [line for line in said if "403" in line]
    assert '{"at"' in said
    assert [line for line in said if "Permission denied" in line]


@in_a_lab
def test_a_hook_of_the_repository_that_runs_before_the_agent_is_closed_in(lib: Path, tmp_path: Path) -> None:
    tree = tmp_path / "box" / "tree"
    tree.mkdir(parents=True)
    git(tree, "init", "-q", "-b", "work")
    git(tree, "commit", "-q", "--allow-empty", "-m", "first")
    hook = tree / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n{ grep -c : /proc/net/dev; grep -h -e CapBnd -e Seccomp: /proc/self/status; } > hooked\n")
    hook.chmod(0o755)
    shutil.chown(tree, "nobody")
    for path in tree.rglob("*"):
        shutil.chown(path, "nobody")
    frames = run_in_lab(lib, tmp_path / "box", "supervise", agent_request("list", ["cat", "hooked"], branch="agent/x"))
    assert lines(frames) == ["1", "CapBnd:\t0000000000000000", "Seccomp:\t2"]


@in_a_lab
def test_where_the_network_cannot_be_closed_nothing_runs(lib: Path, tmp_path: Path) -> None:
    ordinary = (
        "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 21, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"  # without CAP_SYS_ADMIN
    )
    request = agent_request("list", ["touch", "ran"])
    frames = run_in_lab(lib, tmp_path / "box", "supervise", request, through=[sys.executable, "-c", ordinary])
    (report,) = (frame["report"] for frame in frames if frame["k"] == "report")
    assert (report["ok"], report["reason"]) == (False, "network")
    assert report["detail"] == "the network cannot be closed: [Errno 1] Operation not permitted: 'a network of its own'"
    assert list((tmp_path / "box" / "tree").iterdir()) == []
