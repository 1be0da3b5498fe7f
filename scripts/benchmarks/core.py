"""The core against its peers: local pipeline, start-up, scheduler, and the path of an agent's line. Prints ratios; asserts nothing."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ccterm import AgentService
from ccterm.agents.stream import StreamParser
from ccterm.draft import DraftFields
from ccterm.executors.guest_bundle import guest_bundle
from ccterm.models import BatchId, ExecutionMode, Run, RunId, State, Task, now
from ccterm.output.clean import Cleaner
from ccterm.output.mask import Masker
from ccterm.output.pipeline import OutputPipeline
from ccterm.service.gates import BusyGate, CapacityGate, QueueEntry, UnderWay
from ccterm.service.scheduler import Scheduler

ROUNDS = 7
SCRIPT = json.dumps({"script": [{"say": "Working."}, {"sleep": 1.0}, {"write": "new.txt", "text": "new\n"}, {"say": "Done."}]})
QUICK = json.dumps({"script": [{"write": "new.txt", "text": "new\n"}, {"say": "Done."}]})
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def row(name: str, ours: float, peer: float, unit: str, bar: str) -> None:
    """Print one measurement beside its peer's."""
    print(f"{name:<44} {ours:>10.3f} {peer:>10.3f} {unit:<6} ratio {ours / peer:>6.2f}   bar: {bar}")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turn(ours: Callable[[], object], peer: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the medians of two alternating calls, after one warm-up of each."""
    ours(), peer()
    pairs = [(timed(ours), timed(peer)) for _ in range(rounds)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def command(*words: str, **env: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, **GIT, **env})


def remote(place: Path) -> Path:
    """Make a bare repository with one commit of 200 files."""
    tree, bare = place / "seed", place / "remote.git"
    for n in range(200):
        (tree / f"d{n % 10}").mkdir(parents=True, exist_ok=True)
        (tree / f"d{n % 10}" / f"f{n}.txt").write_text(f"{n}\n" * 50)
    command("git", "init", "-q", "--bare", "-b", "main", str(bare))
    here = (f"--git-dir={bare}", f"--work-tree={tree}")
    command("git", *here, "add", "-A")
    command("git", *here, "commit", "-qm", "seed")
    return bare


def shell_script(bare: Path, place: Path, lib: Path, prompt: str) -> Callable[[], None]:
    """Return the same work as a shell script: clone, agent, commit, push."""
    line = json.dumps({"type": "user", "message": {"role": "user", "content": prompt}})
    count = iter(range(10**6))

    def run() -> None:
        n = next(count)
        (place / f"in-{n}").write_text(line + "\n")
        script = (
            f"set -e; git clone -q '{bare}' 't{n}'; cd 't{n}'; git checkout -qb 'peer-{place.name}/{n}';"
            f"'{sys.executable}' -I '{lib}' scripted <../in-{n} >/dev/null; git add -A; git commit -qm work; git push -q origin 'peer-{place.name}/{n}'"
        )
        subprocess.run(["sh", "-c", script], check=True, cwd=place, env={**os.environ, **GIT}, capture_output=True)

    return run


async def pipeline_row(bare: Path, place: Path) -> None:
    """One run with an agent of one second, against the shell script."""
    os.environ["CCTERM_STATE_DIR"] = str(place / "state")
    script = shell_script(bare, place, guest_bundle(place / "lib"), SCRIPT)
    ours, peers = [], []
    async with AgentService.open() as service:
        for n in range(ROUNDS + 1):
            begin = time.perf_counter()
            run = await service.run(task=SCRIPT, repo=str(bare), branch=f"bench/{n}", agent="scripted", execution_mode="local")
            assert run.state is State.SUCCEEDED, run.summary
            ours.append(time.perf_counter() - begin)
            peers.append(await asyncio.to_thread(timed, script))
    row("local pipeline, 1 s agent", statistics.median(ours[1:]), statistics.median(peers[1:]), "s", "1.3 x + 0.3 s")


async def many_row(bare: Path, place: Path, runs: int = 200, at_once: int = 32) -> None:
    """Many short runs, against as many of the shell scripts at once."""
    (place / "many").mkdir()
    script = shell_script(bare, place / "many", guest_bundle(place / "lib"), QUICK)
    limit = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with limit:
            await asyncio.to_thread(script)

    lag = 0.0
    drafts: list[DraftFields] = [
        {"task": QUICK, "repo": str(bare), "branch": f"many/{n}", "agent": "scripted", "execution_mode": "local"} for n in range(runs)
    ]

    async def watch() -> None:
        nonlocal lag
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(0.02)
            lag = max(lag, time.perf_counter() - begin - 0.02)

    async with AgentService.open() as service:
        watcher = asyncio.ensure_future(watch())
        begin = time.perf_counter()
        ended = await service.run_parallel(drafts, max_concurrent=at_once)
        ours = time.perf_counter() - begin
        watcher.cancel()
    assert all(run.state is State.SUCCEEDED for run in ended)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(at_once))
    begin = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(runs)))
    row(f"{runs} runs, {at_once} at once", ours, time.perf_counter() - begin, "s", "-")
    print(f"{'  longest time the loop was not free':<44} {lag * 1000:>10.1f} ms")


async def scheduler_row(runs: int = 200, at_once: int = 32) -> None:
    """What the scheduler itself adds to a run that does nothing."""
    done = 0

    async def start(run: RunId) -> Run:
        nonlocal done
        await asyncio.sleep(0)
        done += 1
        return Run(id=run, task=Task(prompt="p", repo="/r"), created=now())

    begin = time.perf_counter()
    under_way = UnderWay()
    gates = [BusyGate(under_way), CapacityGate(under_way)]
    async with Scheduler(under_way, gates, start=start, hold=lambda *_: None).running() as pool:
        for n in range(runs):
            pool.submit(QueueEntry(RunId(str(n)), BatchId("b"), ("remote", str(n)), ExecutionMode.LOCAL, pool=at_once))
        await pool.idle()
    print(f"{f'scheduler, {runs} runs that do nothing':<44} {(time.perf_counter() - begin) / runs * 1000:>10.3f} ms a run   bar: 2 ms")
    assert done == runs


def help_row(place: Path) -> None:
    """`ccterm --help` against a hello-world typer app."""
    hello = place / "hello.py"
    hello.write_text("import typer\napp = typer.Typer()\n@app.command()\ndef hello(name: str = 'world') -> None:\n    print(name)\napp()\n")
    ours, peer = in_turn(
        lambda: command(sys.executable, "-m", "ccterm", "--help"), lambda: command(sys.executable, str(hello), "--help"), rounds=15
    )
    row("ccterm --help", ours, peer, "s", "2.0 x")


def preflight_row(place: Path) -> None:
    """`ccterm check` for containers where there is no engine, login or token: all questions, each answered."""
    home = place / "home"
    home.mkdir()
    env = {"HOME": str(home), "CCTERM_STATE_DIR": str(home / "state"), "XDG_CONFIG_HOME": str(home), "PATH": "/usr/bin:/bin"}

    def check() -> None:
        done = subprocess.run([sys.executable, "-m", "ccterm", "check", "--mode", "dagger"], env=env, capture_output=True, check=False)
        assert done.returncode == 3, done.stderr

    check()
    print(f"{'cold preflight without an engine':<44} {statistics.median(timed(check) for _ in range(5)):>10.3f} s        bar: 2 s")


def line_rows() -> None:
    """Sanitise, mask, parse: MB/s of agent lines through the output pipeline, and of text through sanitiser and masker."""
    masker = Masker({f"SECRET_{n}": f"s3cr3t-value-{n:04}-{'abcdefghij'[n % 10] * 12}" for n in range(40)})
    prose = "The refresh path still trusts the old cookie; I'll fix session.py first and then run the tests – that's all.\n"
    text = prose * (4096 // len(prose))
    cleaner, size = Cleaner(masker), 2_000
    rate = size * len(text.encode()) / statistics.median(timed(lambda: [cleaner.text(text) for _ in range(size)]) for _ in range(5)) / 1e6
    print(f"{'sanitise + mask, 40 values, 4 KiB chunks':<44} {rate:>10.1f} MB/s   bar: 20 MB/s")
    line = json.dumps(
        {"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": text[:2_000]}], "usage": {"output_tokens": 1}}}
    )
    lines: Sequence[str] = [line] * 5_000

    def through_the_pipeline() -> None:
        events: list[object] = []
        pipeline = OutputPipeline(Cleaner(masker), events.extend, later=lambda *_: _Timer(), parser=StreamParser(), archive=lambda _: None)
        for n, body in enumerate(lines):
            pipeline.frame({"n": n, "t": 0.0, "k": "line", "s": 1, "d": body})

    ours, peer = in_turn(through_the_pipeline, lambda: [json.loads(body) for body in lines], rounds=5)
    print(f"{'sanitise + mask + parse, 2 KiB agent lines':<44} {len(lines) * len(line) / ours / 1e6:>10.1f} MB/s")
    row("  against json.loads alone", ours, peer, "s", "-")


class _Timer:
    def cancel(self) -> None:
        """Do nothing."""


def main() -> None:
    """Print all rows."""
    print(f"{'':<44} {'ccterm':>10} {'peer':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        bare = remote(place)
        asyncio.run(pipeline_row(bare, place))
        help_row(place)
        preflight_row(place)
        asyncio.run(scheduler_row())
        asyncio.run(many_row(bare, place))
    line_rows()


if __name__ == "__main__":
    main()
