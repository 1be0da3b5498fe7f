"""Other agents delegate work over MCP: what each tool does and refuses, for the client of the SDK and for the real Claude CLI."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent, TextResourceContents
from pydantic import JsonValue

from ccterm import AgentService, Service
from tests.api.served import Served
from tests.conftest import MakeRemote
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import ToolUse, say, use
from tests.support.core import EDIT, script
from tests.support.git import files_at, make_repository

LOCAL = {"agent": "scripted", "execution_mode": "local"}
WAITS = script({"write": "half.txt", "text": "half\n"}, {"say": "Half is done."}, {"sleep": 60})


@dataclass
class Client:
    """A client of `ccterm mcp`, and the service that it works with."""

    session: ClientSession
    service: Service
    told: list[str] = field(default_factory=list)
    """The progress of all calls."""

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool and return what it answers."""
        answer = await self.session.call_tool(tool, arguments, progress_callback=self._note)
        [content] = answer.content
        assert isinstance(content, TextContent)
        assert not answer.is_error, content.text
        found: dict[str, Any] = json.loads(content.text)
        assert found == answer.structured_content
        return found

    async def refusal(self, tool: str, **arguments: object) -> str:
        """Call a tool and return why it refused."""
        answer = await self.session.call_tool(tool, arguments)
        [content] = answer.content
        assert isinstance(content, TextContent)
        assert answer.is_error, content.text
        return content.text

    async def _note(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append(message or "")


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"README.md": "hello\n"})


def command(*flags: str) -> list[str]:
    return ["-m", "ccterm", "mcp", *flags]


@asynccontextmanager
async def connected(state: Path, cwd: Path, *flags: str) -> AsyncIterator[Client]:
    """Start the server as clients do. The daemon is the test's own process."""
    env = os.environ | {"CCTERM_STATE_DIR": str(state)}
    async with AgentService.open(state) as service:
        server = StdioServerParameters(command=sys.executable, args=command(*flags), env=env, cwd=cwd)
        async with stdio_client(server) as (answers, requests), ClientSession(answers, requests) as session:
            await session.initialize()
            yield Client(session, service)
        await service.cancel_all(now=True)


async def test_an_agent_starts_runs_waits_for_them_and_reads_what_they_did(remote: Path, tmp_path: Path) -> None:
    async with connected(tmp_path / "state", tmp_path, "--repo", str(remote), "--allow-local") as client:
        unasked = script({"permit": "echo b > b.txt"}, {"fail": "server_error"})
        tasks = [{"task": EDIT, "branch": "agent/a"}, {"task": unasked, "branch": "agent/b"}]
        started = await client.call("run_agents", tasks=tasks, max_concurrent=2, **LOCAL)
        assert [(run["run"], run["branch"], run["repo"]) for run in started["runs"]] == [
            ("1", "agent/a", str(remote)),
            ("2", "agent/b", str(remote)),
        ]
        waited = await client.call("wait", runs=["1", "agent/b"])
        assert waited["ended"]
        assert [(run["state"], run["cause"]) for run in waited["runs"]] == [("succeeded", None), ("failed", "agent")]
        assert waited["runs"][0]["pushed"]["verified"]
        assert [run["denied"] for run in waited["runs"]] == [[], ["Bash echo b > b.txt"]]
        assert client.told[-1].startswith("2 of 2 ended; #")
        shown = await client.call("diff", run="1")
        assert ("+new\n" in shown["patch"], shown["changes"]["files"], shown["next"]) == (True, 1, None)
        log = await client.call("read_log", run="1", after=-1)
        assert ("Added new.txt." in log["lines"], log["ended"]) == (True, True)
        listed = await client.call("status")
        assert [run["run"] for run in listed["runs"]] == ["1", "2"]
        again = await client.call("continue_run", run="1", text=script({"write": "more.txt", "text": "more\n"}))
        assert (await client.call("wait", runs=[again["run"]]))["runs"][0]["state"] == "succeeded"
    assert files_at(remote, "agent/a").keys() >= {"new.txt", "more.txt"}


@pytest.mark.slow
async def test_a_log_is_read_in_parts_from_either_end(remote: Path, tmp_path: Path) -> None:
    async with connected(tmp_path / "state", tmp_path, "--repo", str(remote), "--allow-local") as client:
        await client.call("run_agents", tasks=[{"task": EDIT, "branch": "agent/a"}], **LOCAL)
        await client.call("wait", runs=["1"])
        whole = (await client.call("read_log", run="1", after=-1))["lines"]
        parts: list[str] = []
        position, ended = -1, False
        while not ended:
            part = await client.call("read_log", run="1", after=position, most=3)
            parts += part["lines"]
            position, ended = part["next"], part["ended"]
        assert parts == whole
        assert (await client.call("read_log", run="1", most=2))["lines"] == whole[-2:]


@pytest.mark.slow
async def test_a_running_agent_is_steered_cancelled_and_its_work_is_kept_and_pushed(remote: Path, tmp_path: Path) -> None:
    async with connected(tmp_path / "state", tmp_path, "--repo", str(remote), "--allow-local") as client:
        await client.call("run_agents", tasks=[{"task": WAITS, "branch": "agent/a"}], **LOCAL)
        while "Half is done." not in (await client.call("read_log", run="1", after=-1))["lines"]:  # noqa: ASYNC110 - asked over MCP
            await asyncio.sleep(0.05)
        waited = await client.call("wait", runs=["1"], seconds=3)
        assert (waited["ended"], waited["runs"][0]["state"]) == (False, "running")
        assert any(line.startswith("0 of 1 ended; #1 ") for line in client.told)
        assert (await client.call("steer", run="1", text="hurry"))["taken"] in (True, None)
        assert "has not ended" in await client.refusal("push", run="1")
        cancelled = await client.call("cancel", run="1")
        assert (cancelled["state"], cancelled["kept"]) == ("cancelled", True)
        assert "+half" in (await client.call("diff", run="1"))["patch"]
        pushed = await client.call("push", run="1")
        assert pushed["pushed"]["ref"] == "refs/heads/agent/a"
    assert "half.txt" in files_at(remote, "agent/a")


@pytest.mark.slow
async def test_without_a_branch_the_changes_come_into_the_working_copy_of_the_client(tmp_path: Path) -> None:
    copy = make_repository(tmp_path / "copy", {"README.md": "hello\n"})
    async with connected(tmp_path / "state", copy, "--allow-local") as client:
        await client.call("run_agents", tasks=[{"task": EDIT}], **LOCAL)
        [run] = (await client.call("wait", runs=["last"]))["runs"]
        assert (run["state"], run["applied"]) == ("succeeded", 1)
    assert (copy / "new.txt").read_text() == "new\n"


@pytest.mark.slow
async def test_transcripts_are_resources(remote: Path, tmp_path: Path) -> None:
    async with connected(tmp_path / "state", tmp_path, "--repo", str(remote), "--allow-local") as client:
        await client.call("run_agents", tasks=[{"task": EDIT, "branch": "agent/a"}], **LOCAL)
        await client.call("wait", runs=["1"])
        [listed] = (await client.session.list_resources()).resources
        assert (str(listed.uri), listed.description) == ("ccterm://runs/1/transcript", "agent/a: succeeded")
        [content] = (await client.session.read_resource(str(listed.uri))).contents
        assert isinstance(content, TextResourceContents)
        assert "Added new.txt." in content.text
        [template] = (await client.session.list_resource_templates()).resource_templates
        assert template.uri_template == "ccterm://runs/{RUN}/transcript"
        for uri in ("ccterm://runs/7/transcript", "ccterm://runs/../transcript", "file:///etc/passwd"):
            with pytest.raises(MCPError, match="there is no"):
                await client.session.read_resource(uri)


REFUSED: Mapping[str, tuple[str, Mapping[str, object], str]] = {
    "local mode": ("run_agents", {"tasks": [{"task": "x", "branch": "b", "execution_mode": "local"}]}, "ccterm mcp --allow-local"),
    "scripted": ("run_agents", {"tasks": [{"task": "x", "branch": "b"}], "agent": "scripted"}, "no scripted agents"),
    "elsewhere": ("run_agents", {"tasks": [{"task": "x", "repo": "/etc"}]}, "/etc is not below a repository that this server serves"),
    **{
        name: ("run_agents", {"tasks": [{"task": "x", "branch": "b", name: value}]}, f'"{name}" cannot be set by a program')
        for name, value in {
            "allow_deletions": 5, "allow_lines": 5, "allow_files": 5, "allow_path": ["*"], "allow_default_branch": True, "skip_permissions": True,
            "setup": "true", "verify": "true", "agent_args": ["--x"],
        }.items()
    },
    **{
        name: ("run_agents", {"tasks": [{"task": "x", "branch": "b"}], name: {}}, f'unknown field "{name}"')
        for name in ("image", "services", "secrets", "settings")
    },
    "allowance to push": ("push", {"run": "1", "allow_deletions": 100}, "unknown key allow_deletions"),
    "allowance to continue": ("continue_run", {"run": "1", "text": "x", "skip_permissions": True}, "unknown key skip_permissions"),
    "kill": ("cancel", {"run": "1", "now": True}, "unknown key now"),
    "no run": ("diff", {"run": "7"}, "there is no run '7'"),
    "a path": ("status", {"runs": ["../../etc/passwd"]}, "there is no run"),
    "wrong type": ("wait", {"runs": "1"}, "runs is not a list"),
    "no task": ("run_agents", {"tasks": []}, '"tasks" is not a list of tasks'),
}  # fmt: skip


async def test_what_is_refused_is_refused_in_a_sentence_and_starts_nothing(remote: Path, tmp_path: Path) -> None:
    async with connected(tmp_path / "state", tmp_path, "--repo", str(remote)) as client:
        for name, (tool, arguments, words) in REFUSED.items():
            refusal = await client.refusal(tool, **arguments)
            assert words in refusal, name
            assert "\n" not in refusal
        assert await client.service.runs() == []


@pytest.mark.slow
async def test_a_run_that_a_person_gave_more_is_left_to_persons(remote: Path, tmp_path: Path) -> None:
    async with connected(tmp_path / "state", tmp_path, "--repo", str(remote), "--allow-local") as client:
        run = await client.service.run(
            task=EDIT, repo=str(remote), branch="agent/a", agent="scripted", execution_mode="local", allow_lines=5
        )
        assert "was given more than a program may give" in await client.refusal("continue_run", run=run.ref, text="go on")


async def test_each_tool_says_what_it_takes_and_answers(tmp_path: Path) -> None:
    async with connected(tmp_path / "state", tmp_path) as client:
        tools = (await client.session.list_tools()).tools
    assert [tool.name for tool in tools] == [
        "run_agents", "wait", "status", "read_log", "diff", "steer", "continue_run", "cancel", "push",
    ]  # fmt: skip
    for tool in tools:
        assert tool.description
        assert tool.output_schema is not None
        assert tool.input_schema["additionalProperties"] is False
        assert [name for name, each in tool.input_schema["properties"].items() if not each.get("description")] == []
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (tool.name in ("wait", "status", "read_log", "diff"))
    reports = {tool.name: tool.output_schema or {} for tool in tools}
    report = reports["wait"]["$defs"]["RunReport"]["properties"]
    assert report["denied"]["description"].endswith("such a run is no clean success, though its work is delivered.")
    assert report["kept"]["description"] == reports["push"]["properties"]["kept"]["description"]


async def test_the_http_server_answers_agents_that_have_its_token_by_the_same_rules(api: Served) -> None:
    address = f"http://127.0.0.1:{api.address.port}/mcp"
    async with (
        httpx2.AsyncClient(headers=api.headers, timeout=60) as http,
        streamable_http_client(address, http_client=http) as streams,
        ClientSession(*streams[:2]) as session,
    ):
        await session.initialize()
        client = Client(session, api.service)
        await client.call("run_agents", tasks=[{"task": EDIT, "branch": "agent/a"}], **LOCAL)
        assert (await client.call("wait", runs=["1"]))["runs"][0]["state"] == "succeeded"
        assert client.told[-1].startswith("1 of 1 ended")
        refusal = await client.refusal("run_agents", tasks=[{"task": "x", "branch": "b", "setup": "true"}])
        assert refusal.startswith('tasks[0]: "setup" cannot be set by a program')
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, api.headers | {"Origin": "http://localhost"}):
        async with httpx2.AsyncClient(headers=headers) as http:
            assert (await http.post(address, json=hello)).status_code in (401, 403)


@pytest.mark.slow
@pytest.mark.claude
async def test_the_real_cli_delegates_two_tasks_waits_and_reads_a_diff(claude_bin: Path, remote: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    flags = command("--repo", str(remote), "--allow-local")
    async with AgentService.open(state) as service:
        await _check_delegation(
            claude_bin, service, {"command": sys.executable, "args": flags, "env": {"CCTERM_STATE_DIR": str(state)}}, tmp_path
        )
    assert {"new.txt"} <= files_at(remote, "agent/a").keys() & files_at(remote, "agent/b").keys()


@pytest.mark.slow
@pytest.mark.claude
async def test_the_real_cli_does_so_over_http(claude_bin: Path, api: Served, tmp_path: Path) -> None:
    config = {"type": "http", "url": f"http://localhost:{api.address.port}/mcp", "headers": api.headers}
    await _check_delegation(claude_bin, api.service, config, tmp_path)


async def _check_delegation(claude_bin: Path, service: Service, server: Mapping[str, object], place: Path) -> None:
    """Have the real CLI, as a model directs it, start two runs, wait for them and read the diff of one."""
    prompt, tools = "Please delegate two tasks.", ("run_agents", "wait", "diff")
    (place / "mcp.json").write_text(json.dumps({"mcpServers": {"ccterm": server}}))
    tasks: list[JsonValue] = [{"task": EDIT, "branch": f"agent/{name}"} for name in "ab"]
    allowed = ",".join(f"mcp__ccterm__{name}" for name in tools)
    flags = ["--mcp-config", str(place / "mcp.json"), "--strict-mcp-config", "--allowedTools", allowed]
    with MessagesServer() as model:
        model.script(
            prompt,
            use(_tool("run_agents", tasks=tasks, **LOCAL)),
            use(_tool("wait", runs=["1", "2"])),
            use(_tool("diff", run="2")),
            say("Both tasks are done."),
        )
        done = await _claude(claude_bin, model, place, ["-p", prompt, "--model", "sonnet", "--output-format", "json", *flags])
        assert "Both tasks are done." in done.stdout, done.stdout + done.stderr
        assert [run.state.value for run in await service.runs()] == ["succeeded", "succeeded"]
        *_, waited, patch = model.calls[-1].tool_results
        assert waited.count("succeeded") == 2
        assert "+new" in patch


def _tool(name: str, **arguments: JsonValue) -> ToolUse:
    return ToolUse(f"mcp__ccterm__{name}", arguments)


async def _claude(program: Path, api: MessagesServer, cwd: Path, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {
        "ANTHROPIC_BASE_URL": api.origin,
        "ANTHROPIC_API_KEY": "sk-ant-api03-test",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return await asyncio.to_thread(
        subprocess.run,
        [str(program), *arguments],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
