"""A token for a remote serves resolve, checkout and push, reaches only that server, and appears nowhere else."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.credentials.git import git_access
from ccterm.models import State
from ccterm.remotes import parse_remote
from ccterm.service.protocol import Service
from ccterm.settings import Settings
from tests.conftest import Command, MakeRemote
from tests.e2e.arranged import carried_out, command_lines, configure, forms, found_below
from tests.servers.git_http import Drop, GitServer, Hang, Kind, Redirect, Status
from tests.servers.loopback import Gate
from tests.support.core import documents, draft, local, script
from tests.support.git import add_submodule, branches, files_at, git, install_hook, make_remote, tip, write_files

TOKEN = "glpat-Zx81kQ0vLr5tYw2m"
SOURCE = "CORP_LOGIN"
"""A name that does not look like a secret's."""
ENVIRONMENTS = "p=$PPID; for i in 1 2; do tr '\\0' '\\n' < /proc/$p/environ; p=$(cut -d' ' -f4 /proc/$p/stat); done > parents.txt"
"""The environment of the agent and its supervisor, as a command of the agent sees it."""


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"README.md": "hello\n"})


@pytest.fixture
def server(remote: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setenv(SOURCE, TOKEN)
    with GitServer(remote.parent, token=TOKEN) as server:
        configure(isolation, f'[host."127.0.0.1:{server.port}"]\ntoken = "env:{SOURCE}"\n')
        yield server


@pytest.fixture
def url(server: GitServer, remote: Path) -> str:
    return server.url(remote.name)


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
async def service(state_dir: Path, server: GitServer) -> AsyncIterator[Service]:
    async with AgentService.open(state_dir) as opened:
        yield opened


async def test_a_remote_that_requires_a_token_for_each_request_gets_the_work(
    service: Service, server: GitServer, remote: Path, url: str
) -> None:
    run = await carried_out(service, draft(url))
    assert run.state is State.SUCCEEDED, run.summary
    assert run.pushed is not None
    assert (run.pushed.remote, run.pushed.sha) == (url, tip(remote, "agent/x"))
    assert files_at(remote, "agent/x")["new.txt"] == b"new\n"
    assert {request.login for request in server.requests} == {("x-access-token", TOKEN)}


async def test_a_token_of_gits_own_credential_helper_serves_a_run_and_stays_out_of_sight(
    state_dir: Path, isolation: Path, server: GitServer, remote: Path, url: str
) -> None:
    configure(isolation, "")
    write_files(
        isolation,
        {".gitconfig": "[credential]\n\thelper = store\n", ".git-credentials": f"http://octocat:{TOKEN}@127.0.0.1:{server.port}\n"},
    )
    async with AgentService.open(state_dir) as service:
        run = await carried_out(service, draft(url))
    assert tip(remote, "agent/x") == run.commit is not None
    assert {request.login for request in server.requests} == {("octocat", TOKEN)}
    assert found_below(state_dir, forms(TOKEN, "octocat")) == []


@pytest.fixture
def private(remote: Path) -> Path:
    """A repository that the same token opens, and that the remote names as its submodule."""
    private = make_remote(remote.parent / "private.git", {"p.txt": "TOPSECRETSOURCE\n"})
    add_submodule(remote, "x", git(private, "rev-parse", "main"), "../private.git")
    return private


@pytest.mark.parametrize("permitted", [False, True], ids=["true", "named"])
async def test_a_repository_gets_no_other_one_by_naming_it_as_a_submodule(
    state_dir: Path, isolation: Path, server: GitServer, remote: Path, private: Path, url: str, *, permitted: bool
) -> None:
    submodules = f'["127.0.0.1:{server.port}/private"]' if permitted else "true"
    table = f'[repo."{url.removesuffix(".git")}"]\nsubmodules = {submodules}\n'
    configure(isolation, f'[host."127.0.0.1:{server.port}"]\ntoken = "env:{SOURCE}"\n{table}')
    async with AgentService.open(state_dir) as service:
        run = await carried_out(service, draft(url, task=script({"bash": "cp x/p.txt stolen.txt"}, {"say": "ok"})))
    assert ("stolen.txt" in files_at(remote, "agent/x") if "agent/x" in branches(remote) else False) == permitted
    if not permitted:
        assert (run.cause, run.reason) == (Cause.CHECKOUT, "submodule")
        assert "submodules = [...]" in run.summary
        assert not any(request.login for request in server.requests if "private" in request.path)


async def test_no_command_line_holds_the_token(service: Service, server: GitServer, url: str) -> None:
    gates = {kind: Gate() for kind in (Kind.DISCOVER_FETCH, Kind.DISCOVER_PUSH, Kind.FETCH, Kind.PUSH)}
    for kind, gate in gates.items():
        server.fail(kind, Hang(gate), times=1)
    [queued] = await service.submit([draft(url)])
    for kind, gate in gates.items():
        assert await asyncio.to_thread(gate.reached), kind
        lines = list(command_lines())
        gate.open()
        assert any(server.origin.encode() in line for line in lines), kind
        assert not [line for line in lines if any(form in line for form in forms(TOKEN))], kind
    assert (await service.wait(queued.id)).state is State.SUCCEEDED


async def test_while_the_agent_works_no_file_below_the_state_directory_holds_the_token(service: Service, state_dir: Path, url: str) -> None:
    [queued] = await service.submit([draft(url, hold=True)])
    async for event in service.follow(queued.id):
        if event.kind == "waiting" and event.until is not None:
            assert list(state_dir.glob("runs/*/boxes/*-agent"))
            assert found_below(state_dir, forms(TOKEN)) == []
            await service.release(queued.id)
    assert (await service.find(queued.id)).state is State.SUCCEEDED


async def test_afterwards_neither_the_record_nor_the_mirror_holds_it(
    service: Service, state_dir: Path, server: GitServer, url: str
) -> None:
    server.fail(Kind.PUSH, Status(403))
    run = await carried_out(service, draft(url))
    assert run.salvage is not None
    assert list((state_dir / "mirrors").iterdir())
    assert found_below(state_dir, forms(TOKEN)) == []
    events = [event.model_dump_json() async for event in service.follow(run.id)]
    told = "".join([json.dumps(run.document()), *events]).encode()
    assert not [form for form in forms(TOKEN) if form in told]


async def test_no_environment_of_setup_agent_verify_or_above_the_agent_holds_the_token(service: Service, remote: Path, url: str) -> None:
    task = script({"env": "env.txt"}, {"bash": ENVIRONMENTS}, {"say": "Looked around."})
    look = "env > seen-$STEP.txt; ! grep -q -e CORP_LOGIN -e Authorization seen-$STEP.txt"
    run = await carried_out(service, draft(url, task=task, setup=f"STEP=setup; {look}", verify=f"STEP=verify; {look}"))
    assert run.state is State.SUCCEEDED, run.summary  # a commit with the token in it would have been refused
    seen = files_at(remote, "agent/x")
    assert b"PATH=" in seen["env.txt"]
    assert len([line for line in seen["parents.txt"].splitlines() if line.startswith(b"PATH=")]) == 2
    everything = b"".join(seen.values())
    assert not [form for form in (*forms(TOKEN), SOURCE.encode(), b"Authorization") if form in everything]
    assert {step.name for step in run.steps if step.ok} >= {"setup", "verify"}


def test_what_the_command_line_prints_does_not_hold_it(command: Command, url: str, state_dir: Path) -> None:
    done = command(*local(url, "x", script({"env": True}, {"write": "n", "text": "n\n"}, {"say": "ok"})), "--json")
    [run] = documents(done.stdout)
    assert run["state"] == "succeeded", run["summary"]
    others = [command(*words).stdout for words in (("logs", "last"), ("show", "last"), ("runs", "--json"))]
    told = "".join([done.stdout, done.stderr, *others])
    assert not [form for form in forms(TOKEN) if form in told.encode()]
    assert found_below(state_dir, forms(TOKEN)) == []


async def test_another_server_gets_no_header(service: Service, remote: Path, server: GitServer) -> None:
    with GitServer(remote.parent) as other:
        run = await carried_out(service, draft(other.url(remote.name)))
        assert run.state is State.SUCCEEDED, run.summary
        assert {request.authorization for request in other.requests} == {None}
    assert server.requests == []


@pytest.mark.parametrize(
    "kind", [*(pytest.param(kind, marks=pytest.mark.slow) for kind in (Kind.DISCOVER_FETCH, Kind.DISCOVER_PUSH)), Kind.FETCH, Kind.PUSH]
)
async def test_a_redirect_elsewhere_is_a_clear_failure_and_is_not_followed(
    kind: Kind, service: Service, server: GitServer, remote: Path, url: str
) -> None:
    with GitServer(remote.parent) as other:
        server.fail(kind, Redirect(other.origin))
        run = await carried_out(service, draft(url))
        assert other.requests == []
    assert (run.state, run.cause) == (State.FAILED, Cause.PUSH if kind is Kind.PUSH else Cause.CHECKOUT)
    assert "redirect" in run.summary
    assert (run.salvage is not None) is (kind is Kind.PUSH)
    assert branches(remote).keys() == {"main"}


async def test_a_wrong_token_fails_the_run_before_any_agent_starts(service: Service, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOURCE, "another-0123456789")
    run = await carried_out(service, draft(url))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CHECKOUT, "auth")
    assert [step.name for step in run.steps] == ["resolve"]


async def test_a_token_that_may_only_read_fails_the_run_before_any_agent_starts(
    service: Service, server: GitServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.public_read = True
    monkeypatch.setenv(SOURCE, "readonly-0123456789")
    run = await carried_out(service, draft(url))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CHECKOUT, "no_push")
    assert "the remote would refuse the push" in run.summary
    assert [step.name for step in run.steps] == ["resolve"]


def test_the_command_line_refuses_a_branch_that_cannot_be_pushed_with_exit_3(command: Command, server: GitServer, url: str) -> None:
    server.fail(Kind.DISCOVER_PUSH, Status(403))
    done = command(*local(url, "x", script({"say": "never"})))
    assert done.returncode == 3
    assert "the remote would refuse the push" in done.stderr + done.stdout
    assert Kind.PUSH not in {request.kind for request in server.requests}


def test_a_token_that_is_not_where_the_settings_say_is_exit_3(command: Command, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOURCE)
    done = command(*local(url, "x", script({"say": "never"})))
    assert (done.returncode, SOURCE in done.stdout + done.stderr) == (3, True)


async def test_a_token_that_may_no_longer_write_keeps_the_work_for_one_that_may(
    service: Service, server: GitServer, remote: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail(Kind.PUSH, Status(403))
    run = await carried_out(service, draft(url))
    assert (run.cause, run.reason) == (Cause.PUSH, "auth")
    assert run.salvage is not None
    server.heal()
    server.token = "another-0123456789"
    monkeypatch.setenv(SOURCE, server.token)
    delivered = await service.push(run.id)
    assert delivered.pushed is not None
    assert tip(remote, "agent/x") == run.commit


async def test_a_push_whose_reply_is_lost_has_succeeded(service: Service, server: GitServer, remote: Path, url: str) -> None:
    server.fail(Kind.PUSH, Drop("after"))
    run = await carried_out(service, draft(url))
    assert run.state is State.SUCCEEDED, run.summary
    assert run.pushed is not None
    assert run.pushed.verified
    assert tip(remote, "agent/x") == run.commit


@pytest.mark.slow
async def test_a_git_directory_of_ours_that_the_agent_wrote_to_takes_no_token_anywhere(
    service: Service, server: GitServer, remote: Path, url: str, tmp_path: Path
) -> None:
    with GitServer(tmp_path) as other:
        planted = f'[http "{url}"]\\n\\tproxy = {other.origin}\\n[url "{other.origin}/"]\\n\\tinsteadOf = {server.origin}/\\n'
        task = script({"bash": f"printf '{planted}' | tee -a ../../*-checkout/clean.git/config; echo b > b.txt"}, {"say": "Done."})
        run = await carried_out(service, draft(url, task=task))
        assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.AGENT, "changed")
        assert tip(remote, "agent/x") is None
        await service.push(run.id)  # once the user wants it, from a clone of its own
        assert other.requests == []
    assert files_at(remote, "agent/x")["b.txt"] == b"b\n"


async def test_a_push_that_never_arrived_keeps_the_work_and_is_delivered_later(
    service: Service, server: GitServer, remote: Path, url: str
) -> None:
    server.fail(Kind.PUSH, Drop("before"))
    run = await carried_out(service, draft(url))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.PUSH, "network")
    assert tip(remote, "agent/x") is None
    server.heal()
    await service.push(run.id)
    assert tip(remote, "agent/x") == run.commit


@pytest.mark.parametrize(
    ("code", "reason"), [(403, "auth"), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((404, "not_found"), (500, "network")))]
)
async def test_a_server_that_refuses_reading_is_reported_with_the_reason(
    code: int, reason: str, service: Service, server: GitServer, url: str
) -> None:
    server.fail(Kind.DISCOVER_FETCH, Status(code))
    run = await carried_out(service, draft(url))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.CHECKOUT, reason)
    assert str(code) in run.summary or reason == "not_found"


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (Kind.PUSH, 403, "auth"),
        (Kind.DISCOVER_PUSH, 500, "network"),
        pytest.param(Kind.PUSH, 500, "network", marks=pytest.mark.slow),
    ],
)
async def test_a_server_that_refuses_the_push_leaves_work_that_can_be_pushed(
    kind: Kind, code: int, reason: str, service: Service, server: GitServer, remote: Path, url: str
) -> None:
    server.fail(kind, Status(code))
    run = await carried_out(service, draft(url))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.PUSH, reason)
    server.heal()
    await service.push(run.id)
    assert tip(remote, "agent/x") == run.commit


async def test_a_hook_of_the_server_is_quoted(service: Service, server: GitServer, remote: Path, url: str) -> None:
    install_hook(remote, "pre-receive", "echo no pushes on Fridays >&2; exit 1")
    run = await carried_out(service, draft(url))
    assert (run.cause, run.reason) == (Cause.PUSH, "hook")
    assert "no pushes on Fridays" in run.summary


def test_an_ssh_address_with_a_token_for_its_host_is_reached_over_https() -> None:
    settings = Settings.model_validate({"host": {"gitlab.corp:8443": {"token": "env:T"}}})
    access = git_access(parse_remote("git@gitlab.corp:o/r.git"), settings, {"T": TOKEN})
    assert access.remote.url == "https://gitlab.corp:8443/o/r.git"
    assert access.header is not None
    assert access.ssh_agent is None
