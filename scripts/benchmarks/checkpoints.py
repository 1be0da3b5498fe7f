"""What checkpoints cost an agent in a container: processor time, and how long its lines wait. Prints figures; asserts nothing."""

import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ccterm.executors.guest_bundle import guest_bundle

SECONDS = 60.0
FILES = (200, 20_000)
AGENT = """
import os, sys, time
end, count = time.time() + float(sys.argv[1]), 0
while time.time() < end:
    print(f"at {time.time()}", flush=True)
    time.sleep(0.002)
    count += 1
    if count % 200 == 0:
        open(f"d{count % 10}/new-{count}.txt", "w").write("new\\n" * 100)
"""
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "b",
    "PATH": os.environ["PATH"],
}
GIT |= {"GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "b"}


def box(place: Path, files: int) -> str:
    """Make a box with a tree of so many files and the clean git directory of it; return the commit."""
    tree = place / "work"
    for number in range(files):
        path = tree / f"d{number % 10}" / f"e{number % 100}" / f"f{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * 20)
    for words in ("init -q -b main", "add -A", "commit -qm seed", "clone -q --bare . ../private/clean.git"):
        (place / "private").mkdir(exist_ok=True)
        subprocess.run(["git", *words.split()], cwd=tree, check=True, env=GIT)
    (place / "home").mkdir()
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, check=True, env=GIT, capture_output=True, text=True).stdout.strip()


def request(base: str, *, checkpoint: bool) -> dict[str, object]:
    """Return a request to supervise the agent, which says nothing that the supervisor understands."""
    commit = {
        "tree": "work", "clean": "private/clean.git", "out": "out", "base": base, "subject": None, "fallback": "x", "body": "", "author": "A <a@b>",
        "max_file_bytes": 50 << 20, "max_total_bytes": 200 << 20, "lfs": False,
    }  # fmt: skip
    return {
        "argv": [sys.executable, "-c", AGENT, str(SECONDS)], "cwd": "work", "env": {}, "home": "home", "prompt": "", "hold": False,
        "hold_seconds": 60.0, "wall_seconds": 600.0, "silence_seconds": 600.0, "mark": "bench", "control": None, "user": None, "keep": [],
        "checkpoint": {"commit": commit, "seconds": 1.0} if checkpoint else None,
    }  # fmt: skip


def measured(place: Path, lib: Path, base: str, *, checkpoint: bool) -> tuple[list[float], list[float]]:
    """Run the agent; return how long its lines took to come, and what each checkpoint cost, in seconds."""
    (place / "request.json").write_text(json.dumps(request(base, checkpoint=checkpoint)))
    command = [sys.executable, "-I", "-S", str(lib / "__main__.py"), "supervise", "request.json"]
    waits, costs = list[float](), list[float]()
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}) as process:
        assert process.stdout
        for line in process.stdout:
            now, frame = time.time(), json.loads(line)
            if frame["k"] == "line" and frame["d"].startswith("at "):
                waits.append(now - float(frame["d"][3:]))
            elif frame["k"] == "checkpoint" and frame["what"] == "whole":
                costs.append(json.loads(base64.b64decode(frame["d"]))["seconds"])
    return waits, costs


def main() -> None:
    """Measure small and large repositories, without and with checkpoints."""
    with tempfile.TemporaryDirectory() as directory:
        lib = guest_bundle(Path(directory) / "lib")
        for files in FILES:
            place = Path(directory) / str(files)
            base = box(place, files)
            for checkpoint in (False, True):
                waits, costs = measured(place, lib, base, checkpoint=checkpoint)
                waits.sort()
                figures = (
                    f"line waits: median {statistics.median(waits) * 1000:.2f} ms, 99.9 % {waits[int(len(waits) * 0.999)] * 1000:.1f} ms"
                )
                share = (
                    f"{len(costs)} checkpoints of {', '.join(f'{cost:.2f}' for cost in costs)} s: {sum(costs) / SECONDS:.2%} of a processor"
                )
                print(f"{files:>6} files, {'with' if checkpoint else 'without'} checkpoints: {figures}; {share if checkpoint else ''}")


if __name__ == "__main__":
    main()
