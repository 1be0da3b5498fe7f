"""The login of the real CLI is in its environment and nowhere else, and no other login of the user gets there."""

import base64
import json
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.events import ToolReturned, Waiting
from ccterm.models import State
from tests.conftest import MakeRemote
from tests.e2e.arranged import command_lines
from tests.e2e.claude import TOKEN, Claude
from tests.servers.loopback import Handler, Loopback
from tests.servers.model_script import bash, say, use, write
from tests.support.core import draft
from tests.support.git import files_at, tip
from tests.support.waiting import until

pytestmark = pytest.mark.claude
GITHUB = "ghp_Vb7nM2kQ9sX4zL1wT6yR3cF8dH5jP0aG"
NAME = "CLAUDE_CODE_OAUTH_TOKEN"
LOOK = (
    "env; tr '\\0' '\\n' < /proc/$PPID/environ",
    f"for pad in '' x xx; do {{ printf %s $pad; tr '\\0' '\\n' < /proc/$PPID/environ | grep ^{NAME}= | cut -d= -f2; }} | base64 -w0; echo; done",
    f"tr '\\0' '\\n' < /proc/$PPID/environ | grep ^{NAME}= >&2; exit 3",
)
"""Commands that print everything the agent can find out about its login."""


def forms(secret: str) -> tuple[bytes, ...]:
    """Return a secret as it is, and the parts of its base64 that are the same at every offset."""
    whole = secret.encode()
    inner = [base64.b64encode(b"x" * pad + whole)[4 if pad else 0 :] for pad in range(3)]
    return (whole, whole[::-1], whole.hex().encode(), *(text[: (len(whole) - 3) // 3 * 4 - 4] for text in inner))


async def test_however_it_is_printed_the_login_is_in_no_file_of_the_record(claude: Claude) -> None:
    run = await claude.run(*(use(bash(command)) for command in LOOK), use(write("n.txt", "n\n")), say(f"It is {TOKEN}, I think."))
    assert run.state is State.SUCCEEDED, run.summary
    assert run.secret_seen
    events = await claude.events(run.id)
    returned = [event.text for event in events if isinstance(event, ToolReturned)]
    assert len(returned) == 4
    assert all("the Claude login" in text for text in returned[:3]), returned
    assert claude.files_with(forms(TOKEN)) == []
    told = "".join([json.dumps(run.document()), *(event.model_dump_json() for event in events)]).encode()
    assert not [form for form in forms(TOKEN) if form in told]


@pytest.mark.slow
async def test_while_it_works_no_file_and_no_command_line_holds_the_login(claude: Claude) -> None:
    run = await claude.start(use(write("n.txt", "n\n")), say("Done."), hold=True)
    async for event in claude.service.follow(run):
        if isinstance(event, Waiting) and event.until:
            assert list(claude.state.glob("runs/*/boxes/*-agent"))
            assert claude.files_with(forms(TOKEN)) == []
            assert not [line for line in command_lines() if any(form in line for form in forms(TOKEN))]
            await claude.service.release(run)
    assert (await claude.service.find(run)).state is State.SUCCEEDED


@pytest.mark.slow
async def test_a_file_with_the_login_is_not_pushed(claude: Claude) -> None:
    run = await claude.run(use(bash(f"tr '\\0' '\\n' < /proc/$PPID/environ | grep ^{NAME}= > leak.txt")), say("Written."))
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.POLICY, "secret"), run.summary
    assert tip(claude.remote, "agent/x") is None
    assert run.salvage is not None


@pytest.mark.slow
async def test_other_logins_of_the_user_do_not_reach_the_agent(claude: Claude, monkeypatch: pytest.MonkeyPatch) -> None:
    others = ("GH_TOKEN", "GITHUB_TOKEN", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "GIT_CONFIG_PARAMETERS", "SSH_AUTH_SOCK")
    for name in others:
        monkeypatch.setenv(name, GITHUB)
    monkeypatch.setenv("TZ", "Etc/UTC")
    look = f"{{ env; tr '\\0' '\\n' < /proc/$PPID/environ; }} | grep -v ^{NAME}= > seen.txt; gh auth token >> seen.txt 2>&1; true"
    run = await claude.run(use(bash(look)), say("Looked around."))
    assert run.state is State.SUCCEEDED, run.summary
    seen = files_at(claude.remote, "agent/x")["seen.txt"].decode()
    assert f"\n{seen}".count("\nTZ=Etc/UTC\n") == 2
    assert GITHUB not in seen
    assert not [name for name in others if f"\n{name}=" in f"\n{seen}"]


class Bedrock(Loopback):
    """Records who asks for which model, and refuses."""

    def __init__(self) -> None:
        super().__init__(_BedrockHandler)
        self.asked: list[tuple[str, str | None]] = []


class _BedrockHandler(Handler):
    server: Bedrock

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        b"".join(self.body())
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.answer(403, b"{}")


@pytest.mark.slow
async def test_the_cli_uses_another_cloud_with_what_is_passed_on(
    claude_bin: Path, make_remote: MakeRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCTERM_CLAUDE_BIN", str(claude_bin))
    with Bedrock() as cloud:
        given = {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK": TOKEN}
        for name, value in {**given, "ANTHROPIC_BEDROCK_BASE_URL": cloud.origin}.items():
            monkeypatch.setenv(name, value)
        async with AgentService.open(tmp_path / "state") as service:
            [queued] = await service.submit([draft(make_remote(), agent="claude", model="sonnet")])
            await until(lambda: bool(cloud.asked), 60)
            await service.cancel(queued.id, now=True)
            run = await service.wait(queued.id)
    assert {authorization for _, authorization in cloud.asked} == {f"Bearer {TOKEN}"}
    assert run.manifest.credential == "provider"


@pytest.mark.slow
async def test_no_proxy_sees_the_login_on_its_way_to_an_api_on_this_machine(claude: Claude, monkeypatch: pytest.MonkeyPatch) -> None:
    with Bedrock() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        run = await claude.run(use(write("n.txt", "n\n")), say("Done."))
    assert (run.state, proxy.asked) == (State.SUCCEEDED, [])
