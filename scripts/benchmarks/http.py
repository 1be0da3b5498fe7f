"""The HTTP API: listing, starting, following, and what following costs. Prints figures beside their bars; asserts nothing."""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

from ccterm.models import ExecutionMode, Run, RunId, State, Task, new_id, now
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.values import StepRecord

FOLLOWERS = 50
RUNS = 1000
EVENTS = 3000
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
AT = re.compile(rb'data: \{"seq":\d+,"at":"([^"]+)"')
QUICK = {"agent": "scripted", "execution_mode": "local"}


def row(name: str, figure: float, unit: str, bar: str = "") -> None:
    """Print one figure."""
    print(f"{name:<52} {figure:>10.1f} {unit:<10} {f'bar: {bar}' if bar else ''}")


def repository(place: Path) -> Path:
    """Make a bare repository with one commit."""
    for words in (
        ("init", "-q", "-b", "main", "seed"),
        ("-C", "seed", "commit", "-q", "--allow-empty", "-m", "seed"),
        ("clone", "-q", "--bare", "seed", "remote.git"),
    ):
        subprocess.run(["git", *words], cwd=place, env={**os.environ, **GIT}, check=True)
    return place / "remote.git"


def fill(state: StateDir, remote: Path) -> None:
    """Save as many ended runs as are listed."""
    store = Store.open(state.prepare().db)
    steps = tuple(
        StepRecord(name=name, ok=True, seconds=0.3, detail="fine") for name in ("resolve", "checkout", "agent", "commit", "policy", "push")
    )
    runs = []
    for number in range(RUNS):
        task = Task(prompt="Add a LICENSE file", repo=str(remote), branch=f"agent/{number}", execution_mode=ExecutionMode.LOCAL)
        runs.append(Run(id=RunId(new_id()), task=task, state=State.SUCCEEDED, created=now(), steps=steps, summary="Added it."))
    store.submit(runs)
    store.close()


@contextmanager
def server(place: Path, remote: Path) -> Iterator[tuple[int, str, psutil.Process]]:
    """Serve on a free port; yield it with the token and the process."""
    words = [sys.executable, "-m", "ccterm"]
    process = subprocess.Popen(
        [*words, "serve", "--port", "0", "--repo", str(remote), "--allow-local"], stderr=subprocess.PIPE, text=True, cwd=place
    )
    assert process.stderr
    try:
        found = re.search(r"localhost:(\d+)", process.stderr.readline())
        assert found
        token = subprocess.run([*words, "token"], capture_output=True, text=True, check=True).stdout.strip()
        yield int(found[1]), token, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


async def median_of(work: "Sequence[float]") -> float:
    """Return a median in milliseconds."""
    return statistics.median(work) * 1000


async def listing(client: httpx.AsyncClient) -> None:
    """List all runs, whole and page by page."""

    async def timed(path: str) -> float:
        taken, following = 0.0, path
        while following:
            begin = time.perf_counter()
            answer = await client.get(following)
            taken += time.perf_counter() - begin  # without what the client makes of it
            following = answer.json()["next"] or ""
        return taken

    row(f"{RUNS} runs listed whole", await median_of([await timed(f"/api/v1/runs?limit={RUNS}") for _ in range(9)]), "ms", "100 ms")
    row(f"{RUNS} runs listed in pages of 100", await median_of([await timed("/api/v1/runs?limit=100") for _ in range(5)]), "ms")


async def starting(client: httpx.AsyncClient) -> None:
    """Start runs one after the other."""
    taken = []
    for number in range(15):
        begin = datetime.now(UTC)
        answer = await client.post(
            "/api/v1/agents/run", json={**QUICK, "task": json.dumps([{"say": "Done."}]), "branch": f"start/{number}"}
        )
        run = answer.json()["id"]
        while (found := (await client.get(f"/api/v1/runs/{run}")).json())["started"] is None:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.005)
        taken.append((datetime.fromisoformat(found["started"]) - begin).total_seconds())
        while (await client.get(f"/api/v1/runs/{run}")).json()["finished"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    row("POST -> run started", await median_of(taken[2:]), "ms", "30 ms")


@asynccontextmanager
async def follower(port: int, token: str, run: str) -> AsyncIterator[asyncio.StreamReader]:
    """Follow a run over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    head = f"GET /api/v1/runs/{run}/events HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    await reader.readuntil(b"retry: 1000")
    try:
        yield reader
    finally:
        writer.close()


async def latencies(reader: asyncio.StreamReader, since: datetime) -> tuple[int, list[float]]:
    """Read a run's events to its end; return how many came, and how late each of those was that happened since a moment, in seconds."""
    late, count, rest = list[float](), 0, b""
    while b"event: finished" not in rest:
        data = await reader.read(1 << 18)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n\n")
        moment = datetime.now(UTC)
        for line in lines:
            if found := AT.search(line):
                count += 1
                if (at := datetime.fromisoformat(found[1].decode())) > since:
                    late.append((moment - at).total_seconds())
            if b"event: finished" in line:
                return count, late
    return count, late


async def following(client: httpx.AsyncClient, port: int, token: str, process: psutil.Process) -> None:
    """Follow one run with many followers: one that says something now and then, and one that says much at once."""
    now_and_then = json.dumps([each for n in range(40) for each in ({"say": f"{n}"}, {"sleep": 0.1})])
    flood = json.dumps([{"sleep": 2.0}, {"flood": EVENTS, "bytes": 200}])
    for name, task in (("now and then", now_and_then), ("at once", flood)):
        before = process.memory_info().rss
        run = (await client.post("/api/v1/agents/run", json={**QUICK, "task": task, "branch": f"follow/{name.replace(' ', '-')}"})).json()[
            "id"
        ]
        readers = [follower(port, token, run) for _ in range(FOLLOWERS)]
        opened = [await each.__aenter__() for each in readers]
        held = process.memory_info().rss
        spent = sum(process.cpu_times()[:2])
        begin, moment = time.perf_counter(), datetime.now(UTC)
        found = await asyncio.gather(*(latencies(reader, moment) for reader in opened))
        took, cost = time.perf_counter() - begin, sum(process.cpu_times()[:2]) - spent
        for each in readers:
            await each.__aexit__(None, None, None)
        late = sorted(each for _, all_late in found for each in all_late)
        count = sum(number for number, _ in found)
        if task is now_and_then:
            row(f"SSE latency p95, {FOLLOWERS} followers", late[int(len(late) * 0.95)] * 1000, "ms", "100 ms")
            row("memory per follower", (held - before) / FOLLOWERS / 1024, "KiB")
        else:
            row(f"events to {FOLLOWERS} followers of a flood", count / (took - 2.0), "events/s")
            row("the same, for a second of the server's processor", count / max(cost, 0.001), "events/s")


def helps() -> None:
    """Show the help, which knows nothing of the server's libraries."""

    def timed(*words: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *words], capture_output=True, check=True)
        return time.perf_counter() - begin

    pairs = [(timed("-m", "ccterm", "--help"), timed("-c", "import typer")) for _ in range(7)]
    ours, peer = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    row("ccterm --help", ours * 1000, "ms", f"as before; import typer takes {peer * 1000:.0f} ms")


async def measure(port: int, token: str, process: psutil.Process) -> None:
    """Measure everything that goes over HTTP."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}, timeout=120) as client:
        await listing(client)
        await starting(client)
        await following(client, port, token, process)


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:
        place = Path(directory)
        os.environ |= {**GIT, "CCTERM_STATE_DIR": str(place / "state"), "HOME": directory}
        remote = repository(place)
        fill(StateDir(place / "state"), remote)
        with server(place, remote) as (port, token, process):
            asyncio.run(measure(port, token, process))
    helps()


if __name__ == "__main__":
    main()
