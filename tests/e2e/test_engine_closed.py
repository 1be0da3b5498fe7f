"""Whole runs whose boxes reach a list of hosts, on a real engine: from setup to push, by hand, and with one more host."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.events import HostAsked, Printed, StepStarted
from ccterm.executors.shell_link import ShellLink
from ccterm.models import Run, State
from ccterm.values import Terminal
from tests.e2e.arranged import configure
from tests.e2e.claude import TOKEN, Claude
from tests.servers.git_http import GitServer
from tests.servers.loopback import Handler, Loopback
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import bash, say, use
from tests.support.engine import name_engine, require_engine
from tests.support.git import files_at, make_remote
from tests.support.upstream import UpstreamProxy

require_engine()
pytestmark = pytest.mark.engine
ASK = """python3 -c '
import sys, urllib.request
for host in sys.argv[1:]:
    try:
        said = urllib.request.urlopen(f"http://{host}/", timeout=20).status
    except OSError as error:
        said = getattr(error, "code", error)
    print(host, said)
'"""
"""Prints for each host what it answered."""


class _Answer(Handler):
    """Answers all that is asked for, as servers of the internet behind the user's own proxy."""

    def do_GET(self) -> None:
        self.answer(200, b"ok")


@pytest.fixture
async def closed(
    api: MessagesServer, isolation: Path, tmp_path: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Claude]:
    """A service for a repository whose settings hold a list of one host, and a proxy of the user's behind which every host is."""
    name_engine(monkeypatch, engine_cache)
    remote = make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n"}, "main")
    with (
        GitServer(tmp_path / "served") as server,
        Loopback(_Answer) as internet,
        UpstreamProxy(lambda *_: ("127.0.0.1", internet.port)).running() as upstream,
    ):
        monkeypatch.setenv("HTTP_PROXY", upstream.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        repository = f'[repo."127.0.0.1:{server.port}/remote"]\negress = ["listed.example"]\n'
        configure(isolation, f'{repository}\n[env]\nCLAUDE_CODE_MAX_RETRIES = "3"\n')
        async with AgentService.open(tmp_path / "state") as service:
            fields = {"mode": "dagger", "skip_permissions": None}
            yield Claude(service, api, remote, tmp_path / "state", repo=server.url("remote.git"), fields=fields)
            await service.cancel_all(now=True)


async def printed(closed: Claude, run: Run, step: str) -> list[str]:
    """Return what the command of a step printed."""
    lines, current = list[str](), ""
    for event in await closed.events(run.id):
        if isinstance(event, StepStarted):
            current = event.step
        elif isinstance(event, Printed) and current == step:
            lines += event.text.splitlines()
    return lines


async def asked(closed: Claude, run: Run) -> dict[str, bool]:
    """Return whether a run was let through to each host, in the order in which it asked for them."""
    return {f"{event.host}:{event.port}": event.allowed for event in await closed.events(run.id) if isinstance(event, HostAsked)}


async def test_a_list_counts_from_setup_to_push_and_what_goes_on_reaches_one_host_more(closed: Claude) -> None:
    look = f"({ASK} listed.example other.example; id -un)"
    run = await closed.run(
        use(bash(f"{look} > seen.txt; env > env.txt")),
        say("Asked."),
        use(bash(f"{look} > seen.txt")),
        say("Asked again."),
        setup=look,
        verify=look,
    )
    assert run.state is State.SUCCEEDED, run.summary
    seen = ["listed.example 200", "other.example 403", "agent"]
    pushed = files_at(closed.remote, "agent/x")
    assert pushed["seen.txt"].decode().splitlines() == await printed(closed, run, "setup") == await printed(closed, run, "verify") == seen
    assert TOKEN.encode() not in pushed["env.txt"]
    assert {call.headers["authorization"] for call in closed.api.calls} == {f"Bearer {TOKEN}"}
    assert (run.manifest.login, run.manifest.egress) == ("gateway", "2 hosts")
    assert [(each.host, each.count) for each in run.refused_hosts] == [("other.example:80", 3)]
    assert await asked(closed, run) == {"listed.example:80": True, "other.example:80": False}

    assert (await closed.service.allow_hosts(run.id, ["other.example"])).allowed_hosts == ("other.example",)
    again = await closed.service.retry(run.id)
    assert again.task.egress.hosts == (*run.task.egress.hosts, "other.example")
    await closed.service.cancel(again.id, now=True)
    more = await closed.service.wait((await closed.service.continue_(run.id, "And now?")).id)
    assert (more.state, more.manifest.egress, more.refused_hosts) == (State.SUCCEEDED, "3 hosts", ()), more.summary
    assert files_at(closed.remote, "agent/x")["seen.txt"].decode().splitlines()[:2] == [seen[0], "other.example 200"]
    assert await asked(closed, more) == {"listed.example:80": True, "other.example:80": True}


async def test_a_shell_in_a_closed_box_is_as_closed_as_the_run(closed: Claude) -> None:
    run = await closed.run(use(bash("echo 1 > one.txt")), say("Wrote one."))
    async with ShellLink.listen() as link:
        shell = await closed.service.shell(run.id, Terminal(socket=str(link.path)))
        await asyncio.wait_for(link.connected.wait(), 60)
        link.send_keys(f"{ASK} listed.example other.example > seen.txt; exit\n".encode())
        async for _ in link.output():
            pass
    ended = await closed.service.wait(shell.id)
    assert (ended.state, ended.manifest.egress) == (State.SUCCEEDED, "2 hosts"), ended.summary
    assert [each.host for each in ended.refused_hosts] == ["other.example:80"]
    await closed.service.push(ended.id)
    assert files_at(closed.remote, "agent/x")["seen.txt"].decode().splitlines() == ["listed.example 200", "other.example 403"]
