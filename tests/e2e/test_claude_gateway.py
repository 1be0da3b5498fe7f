"""Whole runs of the real CLI on this machine whose login the gateway has: no process and no file of theirs ever holds it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.events import Held, Notice, Spent, ToolReturned
from ccterm.models import RunId, State
from ccterm.service.credential_gate import PROBE
from tests.conftest import MakeRemote
from tests.e2e.arranged import configure
from tests.e2e.claude import TOKEN, Claude, gateway_process
from tests.gateway.conftest import api_ca, proxy, secure_api  # noqa: F401 - fixtures
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.loopback import Gate
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import bash, say, unauthorized, use, write
from tests.support.core import ccterm
from tests.support.git import files_at
from tests.support.waiting import until

pytestmark = pytest.mark.claude
OLD, NEW = ("sk-ant-oat01-" + letter * 95 for letter in "DE")
"""Setup-tokens."""
LOOK_AROUND = """
process=$$
while [ "$process" -gt 1 ]; do
    echo "process $process"
    tr '\\0' '\\n' < /proc/$process/environ
    tr '\\0' ' ' < /proc/$process/cmdline
    case "$(cat /proc/$process/comm)" in python*) break ;; esac
    process=$(cut -d ' ' -f 4 /proc/$process/stat)
done > seen.txt 2>&1
cat seen.txt
"""
"""Writes down what the agent's processes hold, up to its supervisor. Those above are the user's own, as on this machine all is."""


@pytest.fixture
def gateway(claude: Claude) -> Claude:
    """Runs whose login the gateway has, of a user with a base URL: way A."""
    return replace(claude, fields={"login": "gateway"})


@pytest.fixture
async def first_party(
    secure_api: MessagesServer,  # noqa: F811
    proxy: ConnectProxy,  # noqa: F811
    api_ca: Path,  # noqa: F811
    claude_bin: Path,
    make_remote: MakeRemote,
    tmp_path: Path,
    isolation: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Claude]:
    """Runs whose login the gateway has, which reaches api.anthropic.com by the user's own proxy and certificates: way B."""
    configure(isolation, '[env]\nCLAUDE_CODE_MAX_RETRIES = "3"\n')
    for name, value in {
        "HTTPS_PROXY": proxy.origin,
        "SSL_CERT_FILE": str(api_ca),
        "CLAUDE_CODE_OAUTH_TOKEN": TOKEN,
        "CCTERM_CLAUDE_BIN": str(claude_bin),
    }.items():
        monkeypatch.setenv(name, value)
    remote = make_remote({"README.md": "hello\n", "src/a.py": "a = 1\n"})
    async with AgentService.open(tmp_path / "state") as service:
        yield Claude(service, secure_api, remote, tmp_path / "state", fields={"login": "gateway"})
        await service.cancel_all(now=True)


def tokens_seen(claude: Claude) -> set[str]:
    return {call.headers["authorization"].removeprefix("Bearer ") for call in claude.api.calls}


def logins_of_the_cli(claude: Claude) -> list[str]:
    """Return the logins of all requests but ccterm's own, which asks whether a refused one is taken after all."""
    return [call.headers["authorization"].removeprefix("Bearer ") for call in claude.api.calls if call.session]


async def notices(claude: Claude, run: RunId) -> list[str]:
    return [event.text for event in await claude.events(run) if isinstance(event, Notice)]


async def looks_around(claude: Claude) -> None:
    """Have an agent look for its login; the API saw it, and the box holds a pass."""
    run = await claude.run(use(bash(LOOK_AROUND)), use(write("docs/new.txt", "one\n")), say("Looked around."))
    assert (run.state, run.summary) == (State.SUCCEEDED, "Looked around.")
    assert (run.manifest.login, run.manifest.credential, run.secrets_seen) == ("gateway", "env", ())
    seen = files_at(claude.remote, "agent/x")["seen.txt"]
    assert b" supervise" in seen
    assert b"CLAUDE_CODE_OAUTH_TOKEN=ccterm-pass-" in seen
    assert TOKEN.encode() not in seen
    assert tokens_seen(claude) == {TOKEN}
    assert claude.files_with([TOKEN.encode()]) == []
    assert {path.parent.name for path in claude.files_with([b"ccterm-pass-"])} == {"work"}  # the commit itself
    assert (run.requests, run.throttled) == (len(claude.api.calls), 0)
    spent = [event for event in await claude.events(run.id) if isinstance(event, Spent)]
    assert run.tokens.model_dump() == {name: getattr(spent[-1], name) for name in ("input", "output", "cache")}


async def test_a_run_is_pushed_and_its_login_is_in_no_process_of_its_box(gateway: Claude) -> None:
    await looks_around(gateway)


async def test_the_same_at_the_address_of_the_api_behind_the_users_own_proxy(first_party: Claude, proxy: ConnectProxy) -> None:  # noqa: F811
    await looks_around(first_party)


async def test_with_its_login_as_a_secret_a_run_holds_it(claude: Claude) -> None:
    """The control of the test above: what it searches would hold a login that is in the box."""
    run = await claude.run(use(bash(LOOK_AROUND)), use(bash("rev seen.txt > turned.txt; rm seen.txt")))
    assert run.manifest.login == "secret"
    assert TOKEN[::-1].encode() in files_at(claude.remote, "agent/x")["turned.txt"]


@pytest.mark.slow
async def test_a_run_goes_on_with_the_next_login_when_its_own_is_refused(
    gateway: Claude, stored_setup_token: Callable[[str], None]
) -> None:
    stored_setup_token(OLD)
    gate = Gate()
    run = await gateway.start(
        use(write("one.txt", "1\n")), replace(unauthorized(), times=1), use(write("two.txt", "2\n"), gate=gate), say("Done.")
    )
    async for event in gateway.service.follow(run):
        if isinstance(event, Notice) and "was refused" in event.text:
            assert event.text == "the Claude login was refused; this run waits for the next one: run claude once, or ccterm auth setup"
            stored_setup_token(NEW)
            await gateway.service.look_again()
            gate.open()
            break
    ended = await gateway.service.wait(run)
    assert (ended.state, ended.summary) == (State.SUCCEEDED, "Done.")
    assert [call.headers["authorization"].removeprefix("Bearer ") for call in gateway.api.calls] == [OLD, OLD, NEW, NEW]
    assert any("goes on with the next Claude login" in text for text in await notices(gateway, run))
    assert await gateway.service.refused() == []


@pytest.mark.slow
async def test_sixteen_runs_that_are_refused_at_once_go_on_together_with_the_next_login(
    gateway: Claude, isolation: Path, stored_setup_token: Callable[[str], None]
) -> None:
    configure(isolation, "max_concurrent = 16\n")
    stored_setup_token(OLD)
    gateway.api.refused.add(OLD)
    queued = await gateway.service.submit([gateway.draft(say("Done."), branch=f"agent/{number}") for number in range(16)])
    await until(lambda: len(logins_of_the_cli(gateway)) == 16, limit=600)
    stored_setup_token(NEW)
    await gateway.service.look_again()
    ended = [await gateway.service.wait(run.id) for run in queued]
    assert [(run.state, run.summary) for run in ended] == [(State.SUCCEEDED, "Done.")] * 16
    assert logins_of_the_cli(gateway) == [OLD] * 16 + [NEW] * 16  # none asked again before there was another login
    for run in queued:
        told = [text for text in await notices(gateway, run.id) if "Claude login" in text]
        assert (len(told), "goes on with the next Claude login" in told[1]) == (2, True), told


@pytest.mark.slow
async def test_to_wait_for_a_login_is_not_the_agents_silence_but_takes_its_time(gateway: Claude) -> None:
    for seconds in (5, 50):  # on a busy machine the CLI may be silent for the first ones before it asks at all
        run = await gateway.run(unauthorized(), silence=f"{seconds}s", timeout=f"{2.4 * seconds:.0f}s")
        if run.cause is not Cause.STALLED:
            break
    assert (run.state, run.cause) == (State.FAILED, Cause.TIMEOUT), run.summary


@pytest.mark.slow
async def test_a_login_that_changes_between_two_turns_counts_for_the_next_run_and_the_conversation_goes_on(
    gateway: Claude, stored_setup_token: Callable[[str], None]
) -> None:
    stored_setup_token(OLD)
    first = await gateway.run(use(write("one.txt", "1\n")), say("One."), use(write("two.txt", "2\n")), say("Two."))
    stored_setup_token(NEW)
    await gateway.service.look_again()  # as `ccterm auth setup` has the daemon do
    queued = await gateway.service.continue_(first.id, "Now two, please.")
    second = await gateway.service.wait(queued.id)
    assert (second.state, second.summary, second.session_id) == (State.SUCCEEDED, "Two.", first.session_id)
    assert [call.headers["authorization"].removeprefix("Bearer ") for call in gateway.api.calls] == [OLD, OLD, NEW, NEW]


@pytest.mark.slow
async def test_a_gateway_that_is_killed_is_started_again_and_the_run_goes_on(gateway: Claude) -> None:
    gate = Gate()
    run = await gateway.start(use(write("one.txt", "1\n")), use(write("two.txt", "2\n"), gate=gate), say("Done."))
    async for event in gateway.service.follow(run):
        if isinstance(event, ToolReturned):
            killed = gateway_process()
            killed.send_signal(signal.SIGKILL)
            await asyncio.to_thread(killed.wait)
            gate.open()
            break
    ended = await gateway.service.wait(run)
    assert (ended.state, ended.summary) == (State.SUCCEEDED, "Done.")
    assert "one.txt" in files_at(gateway.remote, "agent/x")
    assert gateway_process().pid != killed.pid
    assert tokens_seen(gateway) == {TOKEN}


@pytest.mark.slow
async def test_a_run_ends_at_its_token_budget_and_its_work_is_kept(gateway: Claude) -> None:
    run = await gateway.run(use(write("one.txt", "1\n")), use(write("two.txt", "2\n")), say("Done."), max_tokens=1500)
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.BUDGET, "max_tokens")
    assert run.summary.startswith("the agent used 2,200 tokens of the 1,500 that it may (max_tokens)")
    assert run.salvage is not None
    delivered = await gateway.service.push(run.id)
    assert delivered.pushed is not None
    assert files_at(gateway.remote, "agent/x")["two.txt"] == b"2\n"


@pytest.mark.slow
async def test_a_cancelled_run_leaves_no_pass_behind(gateway: Claude) -> None:
    run = await gateway.start(use(write("one.txt", "1\n")), use(bash("tail -f /dev/null")))
    await gateway.hangs()
    (socket,) = {Path(str(each.laddr)) for each in gateway_process().net_connections("unix") if str(each.laddr).endswith(".gw")}
    assert socket.exists()
    await gateway.service.cancel(run, now=True)
    assert (await gateway.service.wait(run)).state is State.CANCELLED
    assert not socket.exists()


@pytest.mark.slow
async def test_a_run_that_waits_for_a_login_starts_as_soon_as_one_is_stored(gateway: Claude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAUDE_CODE_OAUTH_TOKEN")
    run = await gateway.start(use(write("one.txt", "1\n")), say("Done."))
    async for event in gateway.service.follow(run):
        if isinstance(event, Held) and "no Claude login" in event.reason:
            break
    stored = partial(ccterm, "auth", "setup", "--no-prove", stdin=NEW, env={"CCTERM_STATE_DIR": str(gateway.state)})
    assert (await asyncio.to_thread(stored)).returncode == 0
    ended = await asyncio.wait_for(gateway.service.wait(run), PROBE.total_seconds() / 2)  # it would look by itself only after that
    assert (ended.state, tokens_seen(gateway)) == (State.SUCCEEDED, {NEW})
