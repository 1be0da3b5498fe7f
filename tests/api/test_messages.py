"""A message to an agent arrives whole through each door, however long it is, or is refused in one sentence before anything is sent."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from ccterm.draft import MESSAGE_LENGTH
from ccterm.errors import UsageError
from ccterm.event_lines import TEXT_CAP
from ccterm.events import Steered, Told
from ccterm.models import State
from tests.api.served import Served
from tests.support.core import script
from tests.support.git import files_at
from tests.support.waiting import until

LONG = 400_000
Steer = Callable[[Served, str], Awaitable[str]]
"""Sends a message to run 1 and returns the refusal, or ""."""


async def by_python(api: Served, text: str) -> str:
    try:
        await api.service.steer("1", text)
    except UsageError as error:
        return str(error)
    return ""


async def by_http(api: Served, text: str) -> str:
    answer = await api.client.post(
        "/api/v1/runs/1/steer",
        content=json.dumps({"text": text}, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json"},
    )
    return "" if answer.status_code == 200 else f"{answer.json()['detail']}; {answer.json()['action']}"


async def by_command(api: Served, text: str) -> str:
    arguments = ["-m", "ccterm", "steer", "1", "-", "--json"]
    env = {"CCTERM_STATE_DIR": str(api.state.path)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate(text.encode())
    return "; ".join(line.strip() for line in told.decode().removeprefix("ccterm: ").splitlines()) if process.returncode else ""


async def by_mcp(api: Served, text: str) -> str:
    async with (
        httpx2.AsyncClient(headers=api.headers) as http,
        streamable_http_client(f"http://127.0.0.1:{api.address.port}/mcp", http_client=http) as (answers, requests),
        ClientSession(answers, requests) as session,
    ):
        await session.initialize()
        answer = await session.call_tool("steer", {"run": "1", "text": text})
    [content] = answer.content
    assert isinstance(content, TextContent)
    return content.text if answer.is_error else ""


DOORS = {"python": by_python, "http": by_http, "command": by_command, "mcp": by_mcp}
each_door = pytest.mark.parametrize(
    "steer", [pytest.param(door, id=name, marks=[pytest.mark.slow] * (name in ("command", "mcp"))) for name, door in DOORS.items()]
)


async def busy(api: Served, tmp_path: Path) -> Path:
    """Start run 1, whose agent uses a tool until the returned file exists."""
    go, begun = tmp_path / "go", tmp_path / "begun"
    await api.run(task=script({"bash": f"touch {begun}; while [ ! -e {go} ]; do sleep 0.02; done"}, {"say": "done"}), wait=0)
    await until(begun.exists)
    return go


@each_door
async def test_a_long_message_arrives_whole_and_its_answer_is_recognised(api: Served, tmp_path: Path, steer: Steer) -> None:
    go = await busy(api, tmp_path)
    sending = asyncio.ensure_future(steer(api, script({"write": "long.txt", "text": "x" * LONG}, {"say": "written"})))
    await until(lambda: any(b'"told"' in path.read_bytes() for path in api.state.path.glob("runs/*/transcript.ndjson")))
    go.touch()
    assert await sending == ""
    ended = await api.service.wait("1")
    assert (ended.state, ended.summary) == (State.SUCCEEDED, "written")
    assert files_at(api.remote, "agent/x")["long.txt"].decode() == "x" * LONG
    told, steered = [event async for event in api.service.follow("1") if isinstance(event, Told | Steered)]
    assert isinstance(told, Told)
    assert isinstance(steered, Steered)
    assert steered.taken
    assert told.message == steered.message != ""
    assert told.text == steered.text
    assert told.text[TEXT_CAP:].startswith("\n[")


@each_door
async def test_what_cannot_be_sent_whole_is_refused_before_anything_is_sent(api: Served, tmp_path: Path, steer: Steer) -> None:
    go = await busy(api, tmp_path)
    long = await steer(api, "x" * (MESSAGE_LENGTH + 1))
    assert "longer than 1,000,000 characters" in long or "write at most 1,000,000 characters" in long
    if steer is not by_command:  # stdin is decoded, and a NUL is text
        assert "NUL character; remove it" in await steer(api, "a\0b")
    go.touch()
    assert (await api.service.wait("1")).summary == "done"
    assert not [event async for event in api.service.follow("1") if isinstance(event, Told | Steered)]


async def test_a_message_that_no_run_could_take_is_a_wrong_body(api: Served) -> None:
    await api.run()
    for order in ("steer", "continue"):
        answer = await api.post(f"/api/v1/runs/1/{order}", {"text": " "})
        assert (answer.status_code, answer.json()["detail"]) == (422, '"text" is empty')


@pytest.mark.parametrize(
    ("text", "told"),
    [("x" * (MESSAGE_LENGTH + 1), "longer than"), ("\ud800", "half a character"), (" ", "is empty")],
    ids=["long", "surrogate", "empty"],
)
async def test_so_are_messages_to_ended_runs_and_answers(api: Served, text: str, told: str) -> None:
    await api.run()
    for order in (api.service.continue_, api.service.steer):
        with pytest.raises(UsageError, match=told):
            await order("1", text)
    with pytest.raises(UsageError, match=told if text.strip() else "no longer asks|has ended"):
        await api.service.decide("1", "x", "deny", text)
    assert len(await api.service.runs()) == 1
