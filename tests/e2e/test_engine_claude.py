"""The real Claude CLI in containers of a real engine, from a remote that requires a token to a pushed branch."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.events import Notice, Said, StepFinished, ToolReturned, Waiting
from ccterm.executors.shell_link import ShellLink
from ccterm.models import State
from ccterm.values import Terminal
from tests.e2e.arranged import configure, forms, found_below
from tests.e2e.claude import TOKEN, Claude, gateway_process
from tests.gateway.conftest import secure_git_server, write_authority
from tests.servers.git_http import GitServer
from tests.servers.loopback import Gate
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import bash, edit, read, say, unauthorized, use, write
from tests.support.engine import name_engine, require_engine
from tests.support.git import files_at, git, make_remote, tip

require_engine()
pytestmark = pytest.mark.engine
GIT_TOKEN = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
DAGGER = {"mode": "dagger", "skip_permissions": None}


SECRET, GATEWAY = (pytest.param(place, id=place) for place in ("secret", "gateway"))


@pytest.fixture(params=[SECRET, GATEWAY])
async def boxed(
    api: MessagesServer,
    isolation: Path,
    tmp_path: Path,
    engine_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Claude]:
    """A service whose runs use containers, with the login in the box or with the gateway, and a remote that requires a token."""
    name_engine(monkeypatch, engine_cache)
    monkeypatch.setenv("GIT_SERVER_TOKEN", GIT_TOKEN)
    remote = make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n", "src/a.py": "a = 1\n"}, "main")
    with GitServer(tmp_path / "served", token=GIT_TOKEN) as server:
        host = f'[host."127.0.0.1:{server.port}"]\ntoken = "env:GIT_SERVER_TOKEN"\n'
        configure(isolation, f'max_concurrent = 8\n{host}\n[env]\nCLAUDE_CODE_MAX_RETRIES = "3"\n')
        async with AgentService.open(tmp_path / "state") as service:
            yield Claude(service, api, remote, tmp_path / "state", repo=server.url("remote.git"), fields={**DAGGER, "login": request.param})
            await service.cancel_all(now=True)


async def test_a_task_becomes_a_pushed_branch(boxed: Claude, tmp_path: Path) -> None:
    run = await boxed.run(
        use(write("docs/new.txt", "one\n"), read("src/a.py")),
        use(edit("docs/new.txt", "one", "two"), edit("src/a.py", "a = 1", "a = 2")),
        use(bash("cp docs/new.txt copy.txt; rm README.md; git branch --show-current > branch.txt")),
        say("I wrote, edited and copied."),
    )
    assert run.state is State.SUCCEEDED, run.summary
    assert run.pushed is not None
    assert tip(boxed.remote, "agent/x") == run.pushed.sha == run.commit
    wanted = {"docs/new.txt": b"two\n", "copy.txt": b"two\n", "src/a.py": b"a = 2\n", "branch.txt": b"agent/x\n"}
    assert files_at(boxed.remote, "agent/x") == wanted
    assert (run.manifest.executor, run.manifest.credential, run.manifest.cli_version) == ("dagger", "env", "2.1.330")
    assert run.manifest.login == boxed.fields["login"]
    assert {call.headers["authorization"] for call in boxed.api.calls} == {f"Bearer {TOKEN}"}
    assert run.manifest.image is not None
    assert run.manifest.image.startswith("sha256:")
    assert found_below(tmp_path / "state", (*forms(GIT_TOKEN), TOKEN.encode())) == []
    assert (boxed.state / "runs" / run.id / "session.jsonl").exists()


async def test_eight_at_once_on_eight_branches_share_one_checkout(boxed: Claude) -> None:
    drafts = [
        boxed.draft(use(write(f"{n}.txt", f"{n}\n")), use(bash(f"echo more >> {n}.txt")), say(f"Wrote {n}."), branch=f"agent/{n}")
        for n in range(8)
    ]
    queued = await boxed.service.submit(drafts)
    runs = await asyncio.gather(*(boxed.service.wait(run.id) for run in queued))
    assert [run.state for run in runs] == [State.SUCCEEDED] * 8, [run.summary for run in runs]
    for n in range(8):
        assert files_at(boxed.remote, f"agent/{n}")[f"{n}.txt"] == f"{n}\nmore\n".encode()
    assert {run.base_sha for run in runs} == {tip(boxed.remote, "main")}
    assert git(boxed.remote, "fsck", "--strict") == ""


async def test_a_second_run_on_the_same_base_reuses_checkout_and_setup(boxed: Claude) -> None:
    for number in range(2):
        parts = (use(write(f"{number}.txt", "x\n")), use(bash("cat installed")), say("Done."))
        run = await boxed.run(
            *parts, branch=f"agent/{number}", setup="date +%N > installed; git update-index --add installed", verify="test -e installed"
        )
        assert run.state is State.SUCCEEDED, run.summary
    steps = {event.step: event.detail for event in await boxed.events(run.id) if isinstance(event, StepFinished)}
    assert (steps["checkout"], steps["setup"]) == ("reused", "reused")


async def test_a_message_reaches_the_agent(boxed: Claude) -> None:
    run = await boxed.start(say("What now?"), use(write("said.txt", "yes\n")), say("Done."), hold=True)
    async for event in boxed.service.follow(run):
        if isinstance(event, Waiting) and event.until:
            await boxed.service.steer(run, "please write said.txt")
            await boxed.service.release(run)
            break
    ended = await boxed.service.wait(run)
    assert ended.state is State.SUCCEEDED, ended.summary
    assert files_at(boxed.remote, "agent/x")["said.txt"] == b"yes\n"


async def test_a_stopped_run_keeps_its_work(boxed: Claude) -> None:
    run = await boxed.start(use(write("half.txt", "half\n")), use(bash("tail -f /dev/null")), say("never"))
    async for event in boxed.service.follow(run):
        if isinstance(event, ToolReturned):
            break
    await boxed.service.cancel(run)
    ended = await boxed.service.wait(run)
    assert ended.state is State.CANCELLED
    assert ended.salvage is not None
    delivered = await boxed.service.push(run)
    assert delivered.pushed is not None
    assert files_at(boxed.remote, "agent/x")["half.txt"] == b"half\n"


async def test_a_flood_in_many_scripts_arrives_whole(boxed: Claude) -> None:
    text = "日本語 🎈 ümlaut é " * 4000
    run = await boxed.run(use(write("n.txt", "n\n")), say(text))
    said = [event.text for event in await boxed.events(run.id) if isinstance(event, Said)]
    assert said[-1].strip() == text.strip()[: len(said[-1].strip())]
    archived = [json.loads(line) for line in (boxed.state / "runs" / run.id / "agent.ndjson").read_text().splitlines()]
    assert any(text.strip() in json.dumps(line, ensure_ascii=False) for line in archived)


async def test_three_turns_are_three_commits_and_one_conversation(boxed: Claude) -> None:
    parts = [(use(bash(f"echo {n} >> one.txt")), say(f"Wrote {n}.")) for n in (1, 2, 3)]
    runs = [await boxed.run(*(part for turn in parts for part in turn))]
    for text in ("Now write two, please.", "Now write three, please."):
        queued = await boxed.service.continue_(runs[-1].id, text)
        runs.append(await boxed.service.wait(queued.id))
    assert [run.state for run in runs] == [State.SUCCEEDED] * 3, [run.summary for run in runs]
    assert files_at(boxed.remote, "agent/x")["one.txt"] == b"1\n2\n3\n"
    assert git(boxed.remote, "rev-list", "--reverse", "main..agent/x").split() == [run.commit for run in runs]
    assert {call.session for call in boxed.api.calls} == {run.session_id for run in runs} == {runs[0].session_id}


async def test_a_shell_takes_the_conversation_over_and_what_it_changed_is_kept(boxed: Claude) -> None:
    run = await boxed.run(
        use(write("one.txt", "1\n")),
        say("Wrote one."),
        use(bash("echo 2 >> one.txt")),
        say("Wrote two."),
        use(bash("echo 3 >> one.txt")),
        say("Wrote three."),
    )
    pushed = tip(boxed.remote, "agent/x")
    async with ShellLink.listen() as link:
        shell = await boxed.service.shell(run.id, Terminal(socket=str(link.path), rows=31, columns=99))
        await asyncio.wait_for(link.connected.wait(), 60)
        resumed = f"claude -p --resume {run.session_id} --dangerously-skip-permissions 'Now write two, please.'"
        link.send_keys(f"stty size; {resumed}; echo by hand > hand.txt; exit\n".encode())
        drawn = b"".join([data async for data in link.output()]).decode()
    ended = await boxed.service.wait(shell.id)
    assert "31 99" in drawn
    assert "Wrote two." in drawn, drawn
    assert (ended.state, ended.reason, ended.pushed) == (State.SUCCEEDED, "kept", None), ended.summary
    assert tip(boxed.remote, "agent/x") == pushed
    more = await boxed.service.wait((await boxed.service.continue_(ended.id, "Now write three, please.")).id)
    assert more.state is State.SUCCEEDED, more.summary
    assert {name: files_at(boxed.remote, "agent/x")[name] for name in ("one.txt", "hand.txt")} == {
        "one.txt": b"1\n2\n3\n",
        "hand.txt": b"by hand\n",
    }
    assert {call.session for call in boxed.api.calls} == {run.session_id}


async def test_a_shell_ends_with_its_terminal_and_its_work_is_kept(boxed: Claude) -> None:
    run = await boxed.run(use(write("one.txt", "1\n")), say("Wrote one."))
    async with ShellLink.listen() as link:
        shell = await boxed.service.shell(run.id, Terminal(socket=str(link.path)))
        await asyncio.wait_for(link.connected.wait(), 60)
        link.send_keys(b"echo 2 >> one.txt; echo is-$((40 + 2))\n")
        async for data in link.output():
            if b"is-42" in data:
                break
        link.close()
        ended = await asyncio.wait_for(boxed.service.wait(shell.id), 30)
    assert (ended.state, ended.reason, ended.changes and ended.changes.files) == (State.SUCCEEDED, "kept", 1), ended.summary


PROBES = """
echo "uid=$(id -u)"
echo "caps=$(grep CapEff /proc/self/status | cut -f2)"
echo "nnp=$(grep NoNewPrivs /proc/self/status | cut -f2)"
echo "sockets=$(find / -xdev -type s 2>/dev/null | grep -v '^/tmp/cc-socks' | tr '\\n' ' ')"
echo "env=$(env | grep -v ^CCTERM_MARK= | grep -iE 'dagger|otel|ccterm_|github|git_server|baggage|traceparent' | cut -d= -f1 | tr '\\n' ' ')"
echo "init=$(cat /proc/1/environ 2>&1 | tr '\\0' '\\n' | grep -c . )"
echo "root=$(ls /proc/1/root/ccterm 2>&1 | head -1)"
echo "supervisor=$(cat /proc/$(pgrep -f supervise | head -1)/environ 2>/dev/null | tr '\\0' '\\n' | grep -c .)"
echo "connect=$(python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/box/control.sock")' 2>&1 | tail -1)"
echo "gateway=$(python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/box/gateway.sock")' 2>&1 | tail -1)"
echo "write=$(touch /ccterm/x 2>&1; echo x > /etc/passwd 2>&1)"
echo "docker=$(ls /var/run/docker.sock /run/docker.sock 2>/dev/null)"
echo "home=$(ls -A ~ | tr '\\n' ' ')"
echo "host=$(ls -d /root/.ssh /home/*/.ssh /Users 2>/dev/null)"
"""


async def test_from_inside_its_box_an_agent_finds_nothing_of_the_host(boxed: Claude) -> None:
    run = await boxed.run(use(bash(f"({PROBES}) > probes.txt 2>&1")), say("Looked around."))
    assert run.state is State.SUCCEEDED, run.summary
    found = dict(line.split("=", 1) for line in files_at(boxed.remote, "agent/x")["probes.txt"].decode().splitlines() if "=" in line)
    assert found["uid"] == "1001"
    assert int(found["caps"], 16) == 0
    assert found["nnp"] == "1"
    assert {*found["sockets"].split()} <= {"/box/control.sock", "/box/gateway.sock"}
    assert found["env"].split() == []
    assert found["supervisor"] == "0"
    for name in ("connect", "gateway"):
        assert any(words in found[name] for words in ("Permission denied", "refused", "No such file")), found[name]
    assert found["docker"] == found["host"] == ""
    assert any(words in found["write"] for words in ("Permission denied", "Read-only")), found["write"]


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
