"""`ccterm serve` as a process: how it starts and ends, what it prints, and what remains of its orders when its daemon is killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from ccterm.api.app import make_app, openapi
from tests.api.events import following
from tests.api.process import Serving, serving
from tests.api.served import BATCH, RUN, SCRIPTED
from tests.api.test_runs import HANGING
from tests.conftest import Command
from tests.support.core import EDIT, ccterm, script, start


@pytest.mark.slow
async def test_a_server_starts_a_daemon_and_ends_without_it(remote: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", [remote], "--allow-local") as server:
        daemon = server.daemon()
        run = server.curl(
            "-X",
            "POST",
            f"{server.origin}{RUN}?wait=60",
            "-H",
            "Content-Type: application/json",
            "-d",
            json.dumps({**SCRIPTED, "task": EDIT, "branch": "x"}),
        )
        assert run["state"] == "succeeded", run["summary"]
        assert server.state.server_token.read_text().strip() == server.token
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0
        assert not server.state.server_token.exists()
        assert not server.state.server_socket.exists()
        assert server.daemon() == daemon


@pytest.mark.slow
def test_a_second_server_is_refused(remote: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", [remote]) as server:
        second = ccterm("serve", "--port", "0", env={"CCTERM_STATE_DIR": str(server.state.path)})
        assert (second.returncode, "runs already" in second.stderr) == (2, True)
        other = ccterm("serve", "--port", str(server.port), env={"CCTERM_STATE_DIR": str(tmp_path / "other")})
        assert other.returncode == 3
        assert (
            other.stderr == f"ccterm: port {server.port} is taken or not allowed\n  ccterm serve --port N takes another one, 0 a free one\n"
        )


def test_without_a_server_there_is_no_token(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))
    done = command("token")
    assert (done.returncode, done.stderr) == (2, "ccterm: no server runs\n  start one: ccterm serve\n")


def test_the_openapi_document_is_printed(command: Command) -> None:
    document = json.loads(command("serve", "--openapi").stdout)
    body = document["paths"][RUN]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]["a pushed branch"]["value"]["branch"] == "feature/my-task"
    assert set(body["schema"]["properties"]) >= {"task", "execution_mode", "model", "branch", "repo", "base", "timeout"}
    assert not {"skip_permissions", "allow_path", "setup", "verify", "agent_args"} & set(body["schema"]["properties"])
    assert document["components"]["schemas"]["Run"]["properties"]["state"]
    assert body["schema"]["properties"]["egress"]["description"].endswith("; several as a list. [default: open]")
    assert set(document["paths"]) >= {"/healthz", "/api/v1/runs/{run}/events", BATCH}


def test_the_openapi_document_says_what_the_fields_of_its_documents_mean() -> None:
    schemas = openapi(make_app())["components"]["schemas"]
    assert [name for name, each in schemas["CheckResult"]["properties"].items() if not each.get("description")] == ["seconds"]
    told = {name: each.get("description") for name, each in schemas["Run"]["properties"].items()}
    assert told["denied"] == "What the agent was not allowed to do, each call on one line; the first of them."
    assert all(told[name] for name in ("held", "cause", "action", "pushed", "synced", "salvage", "waiting_until", "refused_hosts", "asked"))
    assert schemas["Manifest"]["properties"]["credential"]["description"] == "Where the Claude login was, and its kind, never its value."


def test_the_examples_of_the_openapi_document_are_what_its_schemas_say() -> None:
    document = openapi(make_app())
    found = list(examples(document))
    assert len(found) > 30
    for schema, example in found:
        jsonschema_rs.validate({**schema, "components": document["components"]}, example)


def examples(part: object) -> Iterator[tuple[dict[str, Any], object]]:
    """Yield each example of a document, with its schema."""
    if isinstance(part, dict):
        if "schema" in part and "example" in part:
            yield part["schema"], part["example"]
        for each in part.get("examples", {}).values() if "schema" in part else ():
            yield part["schema"], each["value"]
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from examples(each)


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [
        pytest.param("", "'ccterm[serve,mcp]'", id="from an index"),
        pytest.param('{"url": "file:///code/ccterm", "dir_info": {}}', "'ccterm[serve,mcp] @ file:///code/ccterm'", id="from a checkout"),
        pytest.param(
            '{"url": "https://git.example/ccterm", "vcs_info": {"vcs": "git"}}',
            "'ccterm[serve,mcp] @ git+https://git.example/ccterm'",
            id="from a repository",
        ),
    ],
)
@pytest.mark.parametrize(("name", "library"), [("serve", "fastapi"), ("mcp", "mcp")])
def test_without_its_libraries_it_says_what_to_install(
    name: str, library: str, installed: str, wanted: str, monkeypatch: pytest.MonkeyPatch, command: Command, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.syspath_prepend(str(tmp_path))
    described = tmp_path / "ccterm-0.1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: ccterm\nVersion: 0.1.0\n")
    if installed:
        (described / "direct_url.json").write_text(installed)
    done = command(name)
    assert done.returncode == 3
    assert done.stderr.endswith(f"\n  install ccterm with it: uv tool install {wanted}, or pipx install --force {wanted}\n")


@pytest.mark.parametrize("name", ["serve", "mcp"])
@pytest.mark.parametrize(
    ("repo", "said"),
    [
        ("nowhere", "there is no directory"),
        ("https://user:word@git.example/o/r", "password"),
        ("ext::sh -c id", "remote helper"),
    ],
)
def test_a_repository_that_cannot_be_served_is_refused(
    name: str, repo: str, said: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))
    done = command(name, "--repo", repo)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "state").exists()


async def test_what_was_accepted_is_there_once_when_the_daemon_is_killed(remote: Path, tmp_path: Path) -> None:
    await _check_killed_under_load(tmp_path / "state", remote, orders=8, kills=1)


@pytest.mark.slow
async def test_what_was_accepted_is_there_once_however_often_it_is_killed(remote: Path, tmp_path: Path) -> None:
    await _check_killed_under_load(tmp_path / "state", remote, orders=60, kills=6)


async def _check_killed_under_load(state: Path, remote: Path, *, orders: int, kills: int) -> None:
    with serving(state, [remote], "--allow-local") as server:
        async with httpx.AsyncClient(base_url=server.origin, headers={"Authorization": f"Bearer {server.token}"}, timeout=60) as client:
            killing = asyncio.ensure_future(_kill(server, kills))
            accepted = await asyncio.gather(*(_insist(client, number) for number in range(orders)))
            await killing
            again = [await _insist(client, number) for number in range(orders)]
            runs = (await client.get("/api/v1/runs?limit=1000")).json()["runs"]
        assert accepted == again
        assert sorted(run["id"] for run in runs) == sorted(run for batch in accepted for run in batch)
        assert len({run["task"]["branch"] for run in runs}) == 2 * orders


async def _insist(client: httpx.AsyncClient, number: int) -> list[str]:
    """Send an order until it is accepted, as often as it takes; return the ids of its runs."""
    tasks = [{"task": script({"sleep": 0.5}), "branch": f"b/{number}-{part}"} for part in (1, 2)]
    while True:
        answer = await client.post(BATCH, json={**SCRIPTED, "tasks": tasks}, headers={"Idempotency-Key": f"order-{number}"})
        if answer.status_code in (200, 202):
            return [run["id"] for run in answer.json()["runs"]]
        assert answer.status_code in (429, 503), answer.text
        await asyncio.sleep(0.2)


async def _kill(server: Serving, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0.3)
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(await asyncio.to_thread(server.daemon), signal.SIGKILL)


@pytest.mark.slow
async def test_a_follower_sees_the_end_of_a_run_whose_daemon_was_killed(remote: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", [remote], "--allow-local") as server:
        async with httpx.AsyncClient(base_url=server.origin, headers={"Authorization": f"Bearer {server.token}"}, timeout=60) as client:
            run = (await client.post(RUN, json={**SCRIPTED, "task": HANGING, "branch": "x"})).json()
            async with following(client, f"/api/v1/runs/{run['id']}/events") as events:
                async for event in events:
                    if event.data.get("text") == "hanging":
                        os.kill(server.daemon(), signal.SIGKILL)
                    last = event
            assert (last.kind, last.data["state"], last.data["cause"]) == ("finished", "failed", "lost")


@pytest.mark.slow
async def test_a_server_stops_although_somebody_follows(remote: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", [remote], "--allow-local") as server:
        async with httpx.AsyncClient(base_url=server.origin, headers={"Authorization": f"Bearer {server.token}"}, timeout=60) as client:
            async with following(client, "/api/v1/events") as events:
                server.process.send_signal(signal.SIGTERM)
                assert [event async for event in events] == []
            assert await asyncio.to_thread(server.process.wait, 60) == 0


@pytest.mark.slow
def test_a_server_that_was_killed_leaves_nothing_in_the_way(remote: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", [remote]) as server:
        server.process.kill()
        server.process.wait()
        assert ccterm("token", env={"CCTERM_STATE_DIR": str(server.state.path)}).returncode == 2
        again = start("serve", "--port", "0", env={"CCTERM_STATE_DIR": str(server.state.path)}, cwd=tmp_path)
        try:
            assert again.stderr is not None
            assert "localhost" in again.stderr.readline()
        finally:
            again.terminate()
            again.communicate()
