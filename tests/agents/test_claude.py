"""The launch line of the Claude CLI: what it always contains, what a user may add, and where the program is found."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.agents.base import Command, Launch
from ccterm.agents.claude import CLAUDE_VERSION, REFUSED_ARGS, ClaudeAgent, check_args
from ccterm.errors import PreflightError, UsageError
from ccterm.models import ExecutionMode
from ccterm.values import Limits

SESSION = "0f7e4b6e-2f3a-4a52-9d0a-111111111111"
LAUNCH = Launch(session_id=SESSION, execution_mode=ExecutionMode.DAGGER, token=SecretStr("sk-ant-oat01-test"))


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    return fake_cli(tmp_path, f"echo '{CLAUDE_VERSION} (Claude Code)'")


def fake_cli(directory: Path, script: str) -> Path:
    file = directory / "claude"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def local(binary: Path, *, uid: int = 1000, user_settings: Path | None = None, **fields: object) -> Command:
    launch = LAUNCH.model_copy(update={"execution_mode": ExecutionMode.LOCAL, **fields})
    return ClaudeAgent(str(binary), uid=uid, user_settings=user_settings).command(launch)


def value(command: Command, flag: str) -> str:
    return command.argv[command.argv.index(flag) + 1]


def pinned(command: Command) -> str:
    return str(json.loads(value(command, "--settings"))["env"]["ANTHROPIC_BASE_URL"])


def test_in_a_container_the_launch_line_is_exactly_this() -> None:
    command = ClaudeAgent().command(LAUNCH.model_copy(update={"model": "sonnet"}))
    assert command.argv == (
        "claude", "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose", "--include-partial-messages",
        "--dangerously-skip-permissions", "--model", "sonnet", "--session-id", SESSION, "--setting-sources", "user", "--strict-mcp-config",
        "--settings", '{"env": {"ANTHROPIC_BASE_URL": "https://api.anthropic.com"}}',
    )  # fmt: skip


def test_the_token_is_in_no_argument_and_in_no_plain_variable() -> None:
    command = ClaudeAgent().command(LAUNCH)
    assert not any("sk-ant" in word for word in (*command.argv, *command.env.values()))
    assert command.secrets["CLAUDE_CODE_OAUTH_TOKEN"].get_secret_value() == "sk-ant-oat01-test"


def test_nothing_phones_home_or_runs_in_the_background() -> None:
    env = ClaudeAgent().command(LAUNCH).env
    assert env["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == env["DISABLE_AUTOUPDATER"] == env["DISABLE_TELEMETRY"] == "1"


def test_the_conversation_is_kept() -> None:
    assert ClaudeAgent().command(LAUNCH).keep == ({"glob": f".claude/projects/*/{SESSION}.jsonl", "to": "session"},)


def test_limits_become_flags() -> None:
    command = ClaudeAgent().command(LAUNCH.model_copy(update={"limits": Limits(budget_usd=2.5, max_turns=7)}))
    assert value(command, "--max-turns") == "7"
    assert value(command, "--max-budget-usd") == "2.5"


def test_a_round_budget_keeps_its_zeros() -> None:
    command = ClaudeAgent().command(LAUNCH.model_copy(update={"limits": Limits(budget_usd=100)}))
    assert value(command, "--max-budget-usd") == "100"


def test_a_local_run_asks_before_more_than_edits(binary: Path) -> None:
    command = local(binary)
    assert value(command, "--permission-mode") == "acceptEdits"
    assert "--dangerously-skip-permissions" not in command.argv
    assert "IS_SANDBOX" not in command.env


@pytest.mark.parametrize(("uid", "sandbox"), [(0, "1"), (1000, None)])
def test_skipping_permissions_as_root_needs_one_more_variable(binary: Path, uid: int, sandbox: str | None) -> None:
    command = local(binary, uid=uid, skip_permissions=True)
    assert "--dangerously-skip-permissions" in command.argv
    assert command.env.get("IS_SANDBOX") == sandbox


def test_with_a_token_the_home_is_private(binary: Path) -> None:
    assert local(binary).private_home


def test_without_a_token_the_user_s_home_and_login_are_used(binary: Path) -> None:
    command = local(binary, token=None)
    assert not command.private_home
    assert not command.secrets


def test_a_container_never_has_the_user_s_home() -> None:
    assert ClaudeAgent().command(LAUNCH.model_copy(update={"token": None})).private_home


def test_the_base_url_is_pinned_to_the_user_s() -> None:
    command = ClaudeAgent().command(LAUNCH.model_copy(update={"base_url": "http://127.0.0.1:8787"}))
    assert pinned(command) == command.env["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8787"


def test_the_user_s_own_base_url_applies_to_the_user_s_own_login(binary: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://gateway.corp"}}')
    assert pinned(local(binary, user_settings=settings, token=None)) == "https://gateway.corp"
    assert pinned(local(binary, user_settings=settings)) == "https://api.anthropic.com"


@pytest.mark.parametrize("text", ["", "[", "[]", '{"env": 7}', '{"env": {"ANTHROPIC_BASE_URL": 1}}'])
def test_without_a_base_url_in_the_settings_the_api_itself_is_pinned(binary: Path, tmp_path: Path, text: str) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(text)
    assert pinned(local(binary, user_settings=settings, token=None)) == "https://api.anthropic.com"


def test_a_local_run_names_the_program_by_its_absolute_path(binary: Path) -> None:
    launch = LAUNCH.model_copy(update={"execution_mode": ExecutionMode.LOCAL})
    assert ClaudeAgent(path=str(binary.parent)).command(launch).argv[0] == str(binary)


def test_a_missing_program_names_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"npm install -g @anthropic-ai/claude-code@2\.1\.330"):
        ClaudeAgent(path=str(tmp_path)).found()


@pytest.mark.parametrize("option", sorted(REFUSED_ARGS))
def test_arguments_that_would_break_the_run_are_refused(option: str) -> None:
    for spelled in (option, f"{option}=x"):
        with pytest.raises(UsageError, match="cannot be used"):
            check_args(["--effort", "high", spelled])


@pytest.mark.parametrize("args", [["-p"], ["-c"], ["-rabc"], ["-pc"], ["--"], ["do this"], ["update"], ["-h"]])
def test_short_forms_and_prompts_are_refused(args: list[str]) -> None:
    with pytest.raises(UsageError):
        check_args(args)


@pytest.mark.parametrize(
    "args",
    [[], ["--effort", "high"], ["--append-system-prompt=be brief"], ["--allowedTools", "Bash(git *)"], ["-d"], ["--mcp-config", "x.json"]],
)
def test_other_arguments_come_last(args: list[str]) -> None:
    command = ClaudeAgent().command(LAUNCH.model_copy(update={"agent_args": tuple(args)}))
    assert command.argv == (*ClaudeAgent().command(LAUNCH).argv, *args)


async def test_the_version_is_asked_of_the_program(binary: Path) -> None:
    assert await ClaudeAgent(str(binary)).version() == CLAUDE_VERSION


@pytest.mark.parametrize("script", ["exit 1", "echo hello", "echo 1.2.3; exit 3"])
async def test_a_program_that_is_not_the_claude_cli_is_refused(tmp_path: Path, script: str) -> None:
    with pytest.raises(PreflightError, match="not a working Claude CLI"):
        await ClaudeAgent(str(fake_cli(tmp_path, script))).version()


@pytest.mark.claude
async def test_the_real_program_has_the_pinned_version(claude_bin: Path) -> None:
    assert await ClaudeAgent(str(claude_bin)).version() == CLAUDE_VERSION


@pytest.mark.parametrize(
    ("base_url", "no_proxy", "direct"),
    [
        ("http://127.0.0.1:8787", "", "127.0.0.1"),
        ("http://localhost:8787/x", "corp.example,10.0.0.0/8", "corp.example,10.0.0.0/8,localhost"),
        ("http://loopback-8787:8787", "", "loopback-8787"),
        ("https://gateway.example", "corp.example", None),
        ("http://[fd00::1]:80", "", None),
        (None, "corp.example", None),
    ],
)
def test_an_api_on_this_machine_is_asked_without_a_proxy(base_url: str | None, no_proxy: str, direct: str | None) -> None:
    env = ClaudeAgent().command(LAUNCH.model_copy(update={"base_url": base_url, "no_proxy": no_proxy})).env
    assert (env.get("NO_PROXY"), env.get("no_proxy")) == (direct, direct)


def test_nor_is_another_cloud_at_an_address_on_this_machine() -> None:
    variables = {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:1"}
    assert ClaudeAgent().command(LAUNCH.model_copy(update={"variables": variables})).env["no_proxy"] == "127.0.0.1"
