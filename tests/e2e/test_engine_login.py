"""The login and the gateway of the real Claude CLI in containers of a real engine, and a repository that it reads by git."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.events import Notice
from ccterm.models import State
from tests.e2e.arranged import configure
from tests.e2e.claude import TOKEN, Claude, gateway_process
from tests.e2e.conftest import GATEWAY, SECRET
from tests.gateway.conftest import secure_git_server, write_authority
from tests.servers.loopback import Gate
from tests.servers.model_script import bash, say, unauthorized, use, write
from tests.support.engine import require_engine
from tests.support.git import files_at, make_remote

require_engine()
pytestmark = pytest.mark.engine


@pytest.mark.parametrize("boxed", [SECRET], indirect=True)
async def test_a_refused_login_is_the_runs_cause(boxed: Claude) -> None:
    run = await boxed.run(unauthorized())
    assert (run.state, run.cause) == (State.FAILED, Cause.AUTH), run.summary


SEARCH = """
import os, re, stat
token = "".join(reversed("TOKEN"))
forms = [token.encode(), token.encode("utf-16-le"), __import__("base64").b64encode(token.encode()).rstrip(b"=")]
hits, seen = [], 0
def look(path):
    global seen
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return
        with open(path, "rb") as file:
            rest = b""
            while data := file.read(1 << 20):
                seen += len(data)
                if any(form in rest + data for form in forms):
                    hits.append(path)
                    return
                rest = data[-200:]
    except OSError:
        pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline", "status", "maps", "mountinfo"):
        look(f"/proc/{pid}/{name}")
    look_memory = f"/proc/{pid}/mem"
    try:
        for line in open(f"/proc/{pid}/maps"):
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if pid != str(os.getpid()) and line.split()[1].startswith("rw") and end - begin < 1 << 28:
                with open(look_memory, "rb", 0) as memory:
                    memory.seek(begin)
                    data = memory.read(end - begin)
                    seen += len(data)
                    if forms[0] in data:
                        hits.append(f"{look_memory} of {open(f'/proc/{pid}/comm').read().strip()}")
                        break
    except (OSError, ValueError):
        pass
for place, names, files in os.walk("/"):
    names[:] = [name for name in names if os.path.join(place, name) not in ("/proc", "/sys")]
    for file in files:
        look(os.path.join(place, file))
open("hits.txt", "w").write("\\n".join([*sorted(set(hits)), f"bytes {seen}"]) + "\\n")
"""
"""Looks for the login in every file, variable and argument that an agent can read, and in the memory of its own processes."""


async def test_only_with_its_login_as_a_secret_anything_in_the_box_holds_it(boxed: Claude) -> None:
    script = SEARCH.replace("TOKEN", TOKEN[::-1])
    run = await boxed.run(use(bash(f"cat > /tmp/search.py <<'END'\n{script}\nEND\npython3 /tmp/search.py")), say("Searched."))
    assert run.state is State.SUCCEEDED, run.summary
    *hits, searched = files_at(boxed.remote, "agent/x")["hits.txt"].decode().splitlines()
    assert int(searched.removeprefix("bytes ")) > 50_000_000
    if boxed.fields["login"] == "secret":
        assert any(hit.endswith("/environ") for hit in hits)
    else:
        assert hits == []


@pytest.mark.parametrize("boxed", [GATEWAY], indirect=True)
async def test_a_run_goes_on_with_the_next_login_in_a_container(boxed: Claude, stored_setup_token: Callable[[str], None]) -> None:
    old, new = ("sk-ant-oat01-" + letter * 95 for letter in "DE")
    stored_setup_token(old)
    run = await boxed.start(use(write("one.txt", "1\n")), replace(unauthorized(), times=1), use(write("two.txt", "2\n")), say("Done."))
    async for event in boxed.service.follow(run):
        if isinstance(event, Notice) and "was refused" in event.text:
            stored_setup_token(new)
            break
    ended = await boxed.service.wait(run)
    assert (ended.state, ended.summary) == (State.SUCCEEDED, "Done.")
    assert [call.headers["authorization"].removeprefix("Bearer ") for call in boxed.api.calls] == [old, old, new, new]
    assert files_at(boxed.remote, "agent/x").keys() >= {"one.txt", "two.txt"}


@pytest.mark.parametrize("boxed", [GATEWAY], indirect=True)
async def test_a_killed_gateway_is_started_again_and_the_container_reaches_it(boxed: Claude) -> None:
    gate = Gate()
    run = await boxed.start(use(write("one.txt", "1\n")), use(bash("true"), gate=gate), say("Done."))
    assert await asyncio.to_thread(gate.reached)
    killed = gateway_process()
    killed.kill()
    await asyncio.to_thread(killed.wait)
    gate.open()
    ended = await boxed.service.wait(run)
    assert ended.state is State.SUCCEEDED, ended.summary
    assert gateway_process().pid != killed.pid


@pytest.mark.parametrize("boxed", [GATEWAY], indirect=True)
async def test_a_closed_box_asks_the_api_through_the_gateway_and_reaches_nothing_else(boxed: Claude) -> None:
    ask = "python3 -c 'import urllib.request as r; r.urlopen(\"https://example.com\")' 2>&1 | tail -1 > reached.txt"
    run = await boxed.run(use(bash(ask)), say("Asked."), egress=["npm"])
    assert (run.state, run.manifest.egress, run.manifest.login) == (State.SUCCEEDED, run.task.egress.text, "gateway"), run.summary
    assert b"Tunnel connection failed: 403 Forbidden" in files_at(boxed.remote, "agent/x")["reached.txt"]


@pytest.mark.parametrize("boxed", [GATEWAY], indirect=True)
@pytest.mark.parametrize("egress", ["open", "record", ["npm"]], ids=["open", "record", "list"])
async def test_an_agent_reads_a_private_repository_and_never_has_its_token(
    boxed: Claude, isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, egress: object
) -> None:
    token = "glpat-Zx81kQ0vLr5tYw2m"
    monkeypatch.setenv("CORP_LOGIN", token)
    private = make_remote(tmp_path / "corp" / "private.git", {"p.txt": "private\n"})
    ca = write_authority(tmp_path, "localhost")
    with secure_git_server(ca, private.parent, token) as server:
        address = f"localhost:{server.port}/private"
        path = isolation / "config" / "ccterm" / "config.toml"
        host = f'[host."localhost:{server.port}"]\ntoken = "env:CORP_LOGIN"\nca = "{ca}"\n'
        configure(isolation, f'{path.read_text()}\n{host}[repo."{boxed.repo}"]\ngit_read = ["{address}"]\n')
        read = f"git clone -q https://{address} /tmp/c && cp /tmp/c/p.txt . && git -C /tmp/c push origin HEAD:refs/heads/new 2> pushed.txt"
        script = SEARCH.replace("TOKEN", token[::-1])
        search = f"cat > /tmp/search.py <<'END'\n{script}\nEND\npython3 /tmp/search.py"
        run = await boxed.run(use(bash(read)), use(bash(search)), say("Read."), egress=egress)
    assert run.state is State.SUCCEEDED, run.summary
    seen = files_at(boxed.remote, "agent/x")
    assert (seen["p.txt"], b"403" in seen["pushed.txt"]) == (b"private\n", True)
    (searched,) = seen["hits.txt"].decode().splitlines()
    assert searched.startswith("bytes ")
