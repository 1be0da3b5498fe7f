"""Preflight: every answer comes when it is there, none waits for ever, none shows a secret, and each fault has its fix."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm.agents.claude import CLAUDE_VERSION, ClaudeAgent
from ccterm.executors.base import Check, CheckResult
from ccterm.models import ExecutionMode
from ccterm.preflight import ClaudeCheck, DiskCheck, StateCheck, core_checks, run_checks
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from tests.credentials.login_documents import login, soon
from tests.support.git import git, make_repository

TOKEN = "sk-ant-oat01-AAAAAAAAAAAAAAAAAAAA"
MakeCli = Callable[[str], Path]


class Answers:
    """A check that answers once it is told to."""

    group = "test"

    def __init__(self, name: str, ready: asyncio.Event | None = None) -> None:
        self.name = name
        self.ready = ready
        self.cancelled = False

    async def run(self) -> CheckResult:
        try:
            if self.ready:
                await self.ready.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return CheckResult(name=self.name, group=self.group, status="pass", text="here")


async def answer(check: Check, seconds: float = 10.0) -> CheckResult:
    (result,) = [result async for result in run_checks([check], seconds=seconds)]
    assert TOKEN not in result.model_dump_json()
    assert result.fix or result.status == "pass"
    return result


@pytest.fixture
def cli(tmp_path: Path) -> MakeCli:
    """Make a stand-in for the Claude CLI."""

    def make(body: str) -> Path:
        path = tmp_path / "claude"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return make


async def test_answers_come_as_they_are_ready() -> None:
    late = asyncio.Event()
    seen = []
    async for result in run_checks([Answers("late", late), Answers("early")]):
        seen.append(result.name)
        late.set()
    assert seen == ["early", "late"]


async def test_a_check_that_hangs_fails_in_time_and_holds_up_no_other() -> None:
    hanging = Answers("hanging", asyncio.Event())
    results = {result.name: result async for result in run_checks([hanging, Answers("fine")], seconds=0.2)}
    assert results["fine"].status == "pass"
    assert (results["hanging"].status, results["hanging"].text) == ("fail", "no answer within 0.2 s")
    assert hanging.cancelled


async def test_who_stops_listening_leaves_nothing_running() -> None:
    hanging = Answers("hanging", asyncio.Event())
    answers = run_checks([hanging, Answers("fine")])
    assert (await anext(answers)).name == "fine"
    await answers.aclose()
    assert hanging.cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_no_checks_have_no_answers() -> None:
    assert [result async for result in run_checks([])] == []


@pytest.mark.parametrize(
    ("body", "status", "words", "fix"),
    [
        (f"echo '{CLAUDE_VERSION} (Claude Code)'", "pass", f"the Claude CLI {CLAUDE_VERSION}", ""),
        ("echo '1.0.3 (Claude Code)'", "warn", f"is 1.0.3; ccterm was tested with {CLAUDE_VERSION}", f"claude-code@{CLAUDE_VERSION}"),
        ("exit 1", "fail", "not a working Claude CLI", "npm install"),
        ("echo hello", "fail", "not a working Claude CLI", "npm install"),
    ],
)
async def test_the_claude_cli_is_asked_for_its_version(cli: MakeCli, body: str, status: str, words: str, fix: str) -> None:
    result = await answer(ClaudeCheck(ClaudeAgent(str(cli(body))), CLAUDE_VERSION))
    assert (result.status, result.group) == (status, "claude")
    assert words in result.text
    assert fix in result.fix


async def test_a_missing_claude_cli_says_how_to_install_it(tmp_path: Path) -> None:
    result = await answer(ClaudeCheck(ClaudeAgent(path=str(tmp_path)), CLAUDE_VERSION))
    assert (result.status, "npm install" in result.fix, "CCTERM_CLAUDE_BIN" in result.fix) == ("fail", True, True)


async def test_a_claude_cli_that_hangs_is_ended(cli: MakeCli, tmp_path: Path) -> None:
    result = await answer(ClaudeCheck(ClaudeAgent(str(cli("exec sleep 300"))), CLAUDE_VERSION), seconds=0.5)
    assert result.text == "no answer within 0.5 s"


async def test_a_state_directory_that_can_be_used_is_made(tmp_path: Path) -> None:
    result = await answer(StateCheck(StateDir(tmp_path / "state")))
    assert (result.status, result.text) == ("pass", str(tmp_path / "state"))


async def test_a_state_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    result = await answer(StateCheck(StateDir(tmp_path / "state")))
    assert (result.status, "chmod 700" in result.fix) == ("fail", True)


async def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert (await answer(StateCheck(StateDir(tmp_path / "state")))).status == "fail"


async def test_the_free_room_is_measured_where_the_state_directory_will_be(tmp_path: Path) -> None:
    result = await answer(DiskCheck(tmp_path / "not" / "yet", enough=1))
    assert result.status == "pass"
    assert result.text.endswith(f"GiB free at {tmp_path}")


async def test_a_disk_that_is_nearly_full_fails(tmp_path: Path) -> None:
    result = await answer(DiskCheck(tmp_path, enough=1024**6))
    assert (result.status, "free " in result.fix) == ("fail", True)


async def test_the_core_checks_ask_for_claude_login_state_and_disk(tmp_path: Path, cli: MakeCli, isolation: Path) -> None:
    settings = Settings(claude_bin=str(cli("echo 2.9.9")), claude_version="2.9.9")
    environ = {"HOME": str(isolation), "PATH": os.environ["PATH"], "CLAUDE_CODE_OAUTH_TOKEN": TOKEN}
    checks = core_checks(settings, StateDir(tmp_path / "state"), environ, ExecutionMode.LOCAL)
    results = {result.name: result async for result in run_checks(checks)}
    assert set(results) == {"claude", "login", "token github.com", "network", "state", "disk"}
    assert [results[name].status for name in ("claude", "login", "state")] == ["pass", "pass", "pass"]


async def test_the_api_on_this_machine_is_asked_for_whether_it_listens(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    checks = core_checks(Settings(base_url=url), StateDir(tmp_path), {}, ExecutionMode.DAGGER)
    [check] = [check for check in checks if check.name == "api"]
    assert (await answer(check)).status == "pass"
    server.close()
    await server.wait_closed()
    refused = await answer(check)
    assert refused.status == "fail"
    assert refused.text == f"the Claude API at {url} cannot be reached: nothing listens there"


@pytest.mark.parametrize(
    ("fields", "mode", "status", "text"),
    [
        ({}, ExecutionMode.DAGGER, "pass", "network: open · login: gateway"),
        ({"login": "secret"}, ExecutionMode.DAGGER, "pass", "network: open · login: in the box"),
        ({}, ExecutionMode.LOCAL, "pass", "network: open"),
        ({"login": "gateway"}, ExecutionMode.LOCAL, "pass", "network: open · login: gateway"),
        ({"egress": "record"}, ExecutionMode.DAGGER, "pass", "network: recorded · login: gateway"),
        ({"egress": ["npm"]}, ExecutionMode.DAGGER, "pass", "network: 3 hosts · login: gateway"),
        ({"repo": {"example.invalid/o/r": {"egress": []}}}, ExecutionMode.DAGGER, "pass", "network: 1 host · login: gateway"),
        ({"egress": ["npm"]}, ExecutionMode.LOCAL, "fail", "network: 3 hosts · login: gateway; this needs containers"),
        (
            {"egress": ["npm"], "login": "secret"},
            ExecutionMode.DAGGER,
            "fail",
            "network: 3 hosts · login: in the box; a list of hosts needs the login outside of the box",
        ),
    ],
)
async def test_a_check_tells_the_network_of_the_repository_and_whether_it_can_be(
    tmp_path: Path, fields: dict[str, object], mode: ExecutionMode, status: str, text: str
) -> None:
    settings, repo = Settings.model_validate(fields), "https://example.invalid/o/r"
    checks = core_checks(settings, StateDir(tmp_path), dict(os.environ), mode, repo=repo)
    [check] = [check for check in checks if check.name == "network"]
    result = await answer(check)
    assert (result.status, result.text) == (status, text)


@pytest.mark.parametrize("origin", ["https://example.invalid/o/r", ""])
async def test_the_network_is_that_of_the_working_copy_in_which_the_user_is(tmp_path: Path, origin: str) -> None:
    copy = make_repository(tmp_path / "copy", {"a.txt": "a\n"})
    if origin:
        git(copy, "remote", "add", "origin", origin)
    own = {"example.invalid/o/r" if origin else str(copy): {"egress": ["npm"]}}
    settings = Settings.model_validate({"egress": "record", "repo": own})
    told = []
    for place in (copy, tmp_path):
        checks = core_checks(settings, StateDir(tmp_path), dict(os.environ), ExecutionMode.DAGGER, repo=str(place))
        told += [(await answer(check)).text for check in checks if check.name == "network"]
    assert told == ["network: 3 hosts · login: gateway", "network: recorded · login: gateway"]


@pytest.mark.parametrize(("repo", "status"), [("https://example.invalid/o/r", "fail"), ("https://example.invalid/o/other", "warn")])
async def test_the_login_is_looked_for_where_runs_on_the_repository_would_have_it(
    tmp_path: Path, isolation: Path, repo: str, status: str
) -> None:
    """The gateway needs one that is good; on this machine the CLI renews its own."""
    (isolation / ".claude").mkdir()
    (isolation / ".claude" / ".credentials.json").write_bytes(login(expiresAt=soon(-1)))
    settings = Settings.model_validate({"repo": {"example.invalid/o/r": {"git_read": ["example.invalid/o/lib"]}}})
    checks = core_checks(settings, StateDir(tmp_path), {"HOME": str(isolation)}, ExecutionMode.LOCAL, repo=repo)
    [check] = [check for check in checks if check.name == "login"]
    assert (await answer(check)).status == status


@pytest.mark.parametrize("url", [None, "https://gateway.corp"])
def test_the_api_elsewhere_is_not_asked(tmp_path: Path, url: str | None) -> None:
    checks = core_checks(Settings(base_url=url), StateDir(tmp_path), {}, ExecutionMode.DAGGER)
    assert "api" not in [check.name for check in checks]
