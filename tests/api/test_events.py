"""Following runs: of one run each event once and in order, whoever else follows and however slowly."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from ccterm.api import limits
from ccterm.models import RunId
from tests.api.events import Sent, all_of, following
from tests.api.raw import host, request, token
from tests.api.served import Served, served
from tests.support.core import EDIT, script
from tests.support.waiting import until


def waiting_for(go: Path) -> str:
    """Return a task whose agent goes on once a file exists."""
    return script({"say": "ready"}, {"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}, {"write": "new.txt", "text": "new\n"})


def chatty(go: Path, lines: int, size: int = 200) -> str:
    """Return a task whose agent prints much once a file exists. size: of a line, in bytes."""
    return script({"bash": f"while [ ! -e {go} ]; do sleep 0.02; done"}, {"flood": lines, "bytes": size})


async def recorded(api: Served, run: str) -> list[int]:
    return [event.seq async for event in api.service.follow(RunId(run), live=False)]


async def test_a_run_is_followed_to_its_end(api: Served, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run = await api.run(task=waiting_for(go), wait=0)
    seen: list[Sent] = []
    async with following(api.client, f"/api/v1/runs/{run['id']}/events") as events:
        async for event in events:
            seen.append(event)
            if event.data.get("text") == "ready":
                go.touch()
    assert [int(event.id) for event in seen] == await recorded(api, run["id"])
    assert (seen[0].kind, seen[-1].kind, seen[-1].data["state"]) == ("queued", "finished", "succeeded")


async def test_a_follower_goes_on_where_it_was(api: Served) -> None:
    run = await api.run()
    events = await all_of(api.client, "/api/v1/runs/last/events")
    for cut in (0, len(events) // 2, len(events) - 2):
        assert await all_of(api.client, f"/api/v1/runs/{run['id']}/events", events[cut].id) == events[cut + 1 :]
    for beyond in (events[-1].id, "999999999"):
        assert await all_of(api.client, f"/api/v1/runs/{run['id']}/events", beyond) == []


@pytest.mark.slow
async def test_followers_from_everywhere_get_the_same_of_a_run_under_way(api: Served, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run = await api.run(task=chatty(go, 300), wait=0)
    at = f"/api/v1/runs/{run['id']}/events"
    followers = [asyncio.ensure_future(all_of(api.client, at, last)) for last in (None, "0", "2", "999999") for _ in range(3)]
    await until(lambda: '"kind":"tool_called"' in api.service.transcript(RunId(run["id"])).read_text())
    go.touch()
    everything = await recorded_at_end(api, run["id"])
    found = [[int(event.id) for event in await follower] for follower in followers]
    assert found[:3] == [everything] * 3
    assert found[3:6] == [everything[1:]] * 3
    assert found[6:9] == [everything[3:]] * 3
    assert all(each == everything[len(everything) - len(each) :] for each in found[9:])


async def recorded_at_end(api: Served, run: str) -> list[int]:
    await api.service.wait(RunId(run))
    return await recorded(api, run)


@pytest.fixture
async def small_feed(tmp_path: Path, remote: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, remote, kept_bytes=2000) as api:
        yield api


@pytest.mark.slow
async def test_a_follower_who_begins_in_the_middle_gets_what_the_feed_no_longer_has(small_feed: Served, tmp_path: Path) -> None:
    api = small_feed
    go, stop = tmp_path / "go", tmp_path / "stop"
    task = script(*[{"say": f"line {n}"} for n in range(100)], {"bash": f"touch {go}; while [ ! -e {stop} ]; do sleep 0.02; done"})
    run = await api.run(task=task, wait=0)
    at = f"/api/v1/runs/{run['id']}/events"
    first = asyncio.ensure_future(all_of(api.client, at))
    await until(go.exists)
    second = asyncio.ensure_future(all_of(api.client, at))
    third = asyncio.ensure_future(all_of(api.client, at, "5"))
    await asyncio.sleep(0)
    stop.touch()
    everything = await recorded_at_end(api, run["id"])
    assert [int(event.id) for event in await first] == everything
    assert [int(event.id) for event in await second] == everything
    assert [int(event.id) for event in await third] == everything[6:]


@pytest.mark.slow
async def test_all_runs_are_followed_in_one_stream(api: Served) -> None:
    ended, seen = set[str](), list[Sent]()
    async with following(api.client, "/api/v1/events") as events:
        runs = [(await api.run(f"x/{n}", wait=0))["id"] for n in range(3)]
        async for event in events:
            seen.append(event)
            ended |= {event.data["run"]} if event.kind == "finished" else set()
            if ended == set(runs):
                break
    for run in runs:
        assert [event.data["seq"] for event in seen if event.data["run"] == run] == await recorded(api, run)


async def test_what_happened_between_two_connections_is_sent_to_the_second(api: Served, tmp_path: Path) -> None:
    go, last, seen = tmp_path / "go", "", list[Sent]()
    before = await api.run("before", EDIT)
    under_way = await api.run("under-way", waiting_for(go), wait=0)
    async with following(api.client, "/api/v1/events") as events:
        async for event in events:
            seen.append(event)
            last = event.id or last
            if event.id and any(each.data.get("text") == "ready" for each in seen):
                break
    go.touch()
    await api.service.wait(RunId(under_way["id"]))
    meanwhile = await api.run("meanwhile", EDIT)
    wanted = {run["id"]: await recorded(api, run["id"]) for run in (under_way, meanwhile)}
    async with following(api.client, "/api/v1/events", last) as events:
        async for event in events:
            seen.append(event)
            if all(sum(each.data["run"] == run for each in seen) >= len(seqs) for run, seqs in wanted.items()):
                break
    for run, seqs in wanted.items():
        assert [event.data["seq"] for event in seen if event.data["run"] == run] == seqs
    assert [event for event in seen if event.data["run"] == before["id"]] == []


@pytest.mark.slow
async def test_streams_beyond_the_limit_are_refused(api: Served, tmp_path: Path) -> None:
    run = await api.run(task=waiting_for(tmp_path / "never"), wait=0)
    held = [await asyncio.open_connection("127.0.0.1", api.address.port) for _ in range(limits.STREAMS)]
    for reader, writer in held:
        writer.write(request("GET", f"/api/v1/runs/{run['id']}/events", host(api), token(api)))
        assert b" 200 " in await reader.readline()
    refused = await api.get("/api/v1/events")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:ccterm:problem:too-many-streams")
    for _, writer in held:
        writer.close()
    async with asyncio.timeout(60):
        while (await api.client.get("/api/v1/runs/999/events")).status_code != 404:
            continue
    await api.post(f"/api/v1/runs/{run['id']}/cancel", {"now": True})


@pytest.mark.slow
async def test_a_follower_who_does_not_read_is_dropped_and_slows_nobody(api: Served, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run = await api.run(task=chatty(go, 2_000, 5_000), wait=0)
    at = f"/api/v1/runs/{run['id']}/events"
    asking = socket.create_connection(("127.0.0.1", api.address.port))
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    reader, writer = await asyncio.open_connection(sock=asking, limit=1024)
    writer.write(request("GET", at, host(api), token(api)))
    others = [asyncio.ensure_future(all_of(api.client, at)) for _ in range(3)]
    go.touch()
    everything = await recorded_at_end(api, run["id"])
    for other in others:
        assert [int(event.id) for event in await other] == everything
    await asyncio.sleep(limits.SLOW_SECONDS + 1)
    seen = b""
    with suppress(ConnectionResetError):  # what the system keeps of a connection that was dropped long ago
        while data := await reader.read(65536):
            seen += data
    assert b"event: queued" in seen
    assert b"event: finished" not in seen
    writer.close()


@pytest.mark.slow
async def test_a_quiet_stream_sends_signs_of_life(api: Served, tmp_path: Path) -> None:
    run = await api.run(task=waiting_for(tmp_path / "never"), wait=0)
    async with api.client.stream("GET", f"/api/v1/runs/{run['id']}/events") as answer, asyncio.timeout(3 * limits.HEARTBEAT_SECONDS):
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                break
        else:
            pytest.fail("the stream ended without a sign of life")
    await api.post(f"/api/v1/runs/{run['id']}/cancel", {"now": True})
