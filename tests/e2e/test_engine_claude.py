"""The real Claude CLI in containers of a real engine, from a remote that requires a token to a pushed branch."""

import asyncio
import json
from pathlib import Path

import pytest

from ccterm.events import Said, StepFinished, ToolReturned, Waiting
from ccterm.executors.shell_link import ShellLink
from ccterm.models import State
from ccterm.values import Terminal
from tests.e2e.arranged import forms, found_below
from tests.e2e.claude import TOKEN, Claude
from tests.e2e.conftest import GIT_TOKEN
from tests.servers.model_script import bash, edit, read, say, use, write
from tests.support.engine import require_engine
from tests.support.git import files_at, git, tip

require_engine()
pytestmark = pytest.mark.engine


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
