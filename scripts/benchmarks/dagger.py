"""Runs in containers of a real engine against their lower bounds: the agent itself, plain execs. Prints ratios; asserts nothing."""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from ccterm import AgentService
from ccterm.box.protocol import Frame
from ccterm.daemon.executors import dagger_executor
from ccterm.executors.base import Step
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.models import Run, RunId, State, new_id
from ccterm.service.protocol import Service
from ccterm.settings import load_settings
from ccterm.values import ImageChoice

sys.path[0] = str(Path(__file__).resolve().parents[2])  # the checkout, not this directory: a module here is called as the SDK is
from tests.servers.git_http import GitServer  # noqa: E402 - see above
from tests.support.git import add_commit, make_remote  # noqa: E402

NAMED = ("CCTERM_ENGINE", "CCTERM_DAGGER_CLI")
ROUNDS = 5
AGENT_SECONDS = 1.0


def _script(seconds: float) -> str:
    """Return what a scripted agent does that takes so long."""
    return json.dumps({"script": [{"say": "Working."}, {"sleep": seconds}, {"write": "new.txt", "text": "new\n"}, {"say": "Done."}]})


SCRIPT = _script(AGENT_SECONDS)


def row(name: str, value: float, unit: str, bar: str) -> None:
    """Print one measurement."""
    print(f"{name:<58} {value:>9.3f} {unit:<8} bar: {bar}")


@asynccontextmanager
async def bench() -> AsyncIterator[tuple[Service, Path, str]]:
    """Yield a service with its own state directory, a remote, and its URL."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        remote = make_remote(place / "served" / "remote.git", {f"src/file_{n}.txt": f"{n}\n" * 50 for n in range(200)}, "main")
        with GitServer(place / "served") as server:
            async with AgentService.open(place / "state") as service:
                yield service, remote, server.url("remote.git")


async def carried_out(service: Service, url: str, count: int = 1) -> Sequence[Run]:
    """Run tasks concurrently, each on its own branch."""
    fields = [
        {"task": SCRIPT, "repo": url, "branch": f"b/{new_id()}", "agent": "scripted", "execution_mode": "dagger"} for _ in range(count)
    ]
    runs = await service.run_parallel(fields, max_concurrent=count)  # type: ignore[arg-type]  # a TypedDict, made in a loop
    assert all(run.state is State.SUCCEEDED for run in runs), [run.summary for run in runs]
    return runs


def overhead(run: Run) -> float:
    """Return the seconds of a run beyond its agent's one second."""
    return (run.seconds or 0.0) - AGENT_SECONDS


def steps(run: Run) -> Mapping[str, float]:
    """Return how long each step took."""
    return {step.name: step.seconds for step in run.steps}


async def one_run(service: Service, remote: Path, url: str) -> None:
    """Measure single runs, on a new base and on a known one, and between them empty execs: the unit for this engine on this machine."""
    await carried_out(service, url)
    fresh, seen, empty, last = [], [], [], {}
    async with measured_executor() as executor, executor.connected() as (_, images):
        for number in range(ROUNDS):
            add_commit(remote, {f"more-{number}.txt": "more\n"})
            fresh.append(overhead((await carried_out(service, url))[0]))
            empty.append((await images.round_trip()).seconds)
            [run] = await carried_out(service, url)
            seen.append(overhead(run))
            empty.append((await images.round_trip()).seconds)
            last = dict(steps(run))
    exec_ = statistics.median(empty)
    row("an exec that does nothing", exec_, "s", "0.12 where the bars below were set")
    row("a run beside its agent, base never seen", statistics.median(fresh), "s", "")
    row("  the same in such execs", statistics.median(fresh) / exec_, "x", "<= 9")
    row("a run beside its agent, base seen before", statistics.median(seen), "s", "")
    row("  the same in such execs", statistics.median(seen) / exec_, "x", "<= 6.5")
    print("  steps of the last one: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in last.items()))


@asynccontextmanager
async def measured_executor() -> AsyncIterator[DaggerExecutor]:
    """Yield an executor of its own, its image prepared."""
    async with dagger_executor(load_settings(None, os.environ), os.environ) as executor:
        await executor.prepare(ImageChoice())
        yield executor


async def eight_runs(service: Service, url: str) -> None:
    """Measure eight runs at once against eight agents alone."""
    ratios, wholes, alones = [], [], []
    async with measured_executor() as executor:
        for _ in range(3):
            begin = time.perf_counter()
            await carried_out(service, url, 8)
            wholes.append(time.perf_counter() - begin)
            alones.append(await eight_agents(executor))
            ratios.append(wholes[-1] / alones[-1])
    seconds = f"({statistics.median(wholes):.2f} s, {statistics.median(alones):.2f} s)"
    row("eight runs at once / eight agents alone", statistics.median(ratios), "x", f"<= 1.8   {seconds}")


async def eight_agents(executor: DaggerExecutor) -> float:
    """Return the seconds of eight concurrent agent steps on existing trees."""
    with tempfile.TemporaryDirectory() as name:

        async def agent() -> None:
            async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
                tree = await boxes.provide(Path(name))
                await boxes.execute(_agent_step(SCRIPT, {"work": tree}), lambda _: None)

        begin = time.perf_counter()
        await asyncio.gather(*(agent() for _ in range(8)))
        return time.perf_counter() - begin


def lone_run(place: Path, url: str) -> None:
    """Measure the command from its start to its first step, and from its last line to its end."""
    started, left = [], []
    for number in range(ROUNDS):
        command = [
            sys.executable,
            "-m",
            "ccterm",
            "run",
            SCRIPT,
            "--repo",
            url,
            "--branch",
            f"l/{new_id()}",
            "--agent",
            "scripted",
            "--json",
        ]
        env = {**os.environ, "CCTERM_STATE_DIR": str(place / f"lone-{number}")}
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
            assert process.stdout
            at = [(time.perf_counter() - begin, line) for line in process.stdout]
        ended = time.perf_counter() - begin
        assert process.returncode == 0, at[-1]
        started.append(next(seconds for seconds, line in at if "step_started" in line))
        left.append(ended - at[-1][0])
    row("ccterm run, from Enter to its first step", statistics.median(started), "s", "<= 0.6")
    row("ccterm run, from its last line to its end", statistics.median(left), "s", "")


def _agent_step(prompt: str, inputs: Mapping[str, object]) -> Step:
    request: dict[str, object] = {
        "argv": ["@box", "scripted"],
        "cwd": "work",
        "env": {},
        "home": "home",
        "prompt": prompt,
        "hold": False,
        "mark": "bench",
    }
    limits: dict[str, object] = {
        "hold_seconds": 60.0,
        "wall_seconds": 600.0,
        "silence_seconds": 600.0,
        "control": None,
        "user": None,
        "keep": [],
    }
    values = {"name": "agent", "program": "supervise", "request": request | limits, "inputs": inputs, "outputs": ["work"], "image": "agent"}
    return Step.model_validate({**values, "timeout": timedelta(minutes=5)})


async def closed_boxes() -> None:
    """Measure agents whose network is closed against agents whose is open through the same proxy, and against none, one after the other."""
    for agent_seconds, rounds in ((1, 2 * ROUNDS), (10, 2)):
        await _closed_boxes(agent_seconds, rounds)


async def _closed_boxes(agent_seconds: int, rounds: int) -> None:
    networks: Mapping[str, Mapping[str, object] | None] = {
        "none": None,
        **{mode: {"mode": mode, "hosts": ["example.com"], "gateway": None, "ca": None, "services": {}} for mode in ("open", "list")},
    }
    took: dict[str, list[float]] = {name: [] for name in networks}
    async with measured_executor() as executor, executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
        with tempfile.TemporaryDirectory() as empty:
            tree = await boxes.provide(Path(empty))
        for number in range(rounds + 1):
            for network, request in networks.items():
                step = _agent_step(_script(agent_seconds if number else 0), {"work": tree})
                step = step.model_copy(update={"request": {**step.request, "network": request}, "closed_network": network == "list"})
                seconds = (await boxes.execute(step, lambda _: None)).seconds
                took[network] += [seconds] if number else []  # the first one warms up
    none, opened, closed = (statistics.median(took[name]) for name in networks)
    shown = f"({closed:.2f} s, {opened:.2f} s, {none:.2f} s without a proxy)"
    bar = "<= 1.05" if agent_seconds >= 10 else "the same cost, whatever the agent's time"
    row(f"an agent of {agent_seconds} s in a closed box / in an open one", closed / opened, "x", f"{bar} {shown}")
    row("  what closing a box costs", closed - opened, "s", "<= 0.3, most of it the engine's: no network of its pool for such a container")


async def lag() -> None:
    """Measure the time from printing a line in a container to its frame here; both use the same clock."""
    lags: list[float] = []

    def heard(frame: Frame) -> None:
        if frame["k"] == "line" and frame.get("d", "").startswith("at "):
            lags.append(time.time() - float(frame["d"].split()[1]))

    command = "for i in $(seq 60); do echo at $(date +%s.%N); sleep 0.05; done"
    request = {"command": command, "cwd": ".", "env": {}, "timeout_seconds": 60.0, "mark": "bench"}
    async with measured_executor() as executor, executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
        await boxes.execute(Step.model_validate({"name": "verify", "program": "shell", "request": request, "image": "agent"}), heard)
    lags.sort()
    row("line in a container -> frame, p50", lags[len(lags) // 2] * 1000, "ms", "")
    row("line in a container -> frame, p95", lags[int(len(lags) * 0.95)] * 1000, "ms", "<= 150")


async def memory(service: Service, url: str) -> None:
    """Measure the memory that sixteen more runs cost this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await carried_out(service, url, 16)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    row("memory of ccterm a run, sixteen more at once", (after - before) / 16 / 1024, "MiB", "")


async def main() -> None:
    """Measure everything."""
    async with bench() as (service, remote, url):
        await one_run(service, remote, url)
        await eight_runs(service, url)
        await memory(service, url)
        await asyncio.to_thread(lone_run, remote.parent.parent, url)
    await closed_boxes()
    await lag()


if __name__ == "__main__":
    if missing := [name for name in NAMED if not os.environ.get(name)]:
        print(f"bench dagger: skipped, no engine is named ({', '.join(missing)} not set)")
    else:
        asyncio.run(main())
