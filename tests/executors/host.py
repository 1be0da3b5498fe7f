"""A host process that tests kill: runs one step and prints the step's output. `python3 host.py STATE_DIR RUN WHAT`."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # it is started as a program from any directory

from ccterm.box.protocol import Frame
from ccterm.executors.base import Step
from ccterm.executors.local.executor import LocalExecutor
from ccterm.models import RunId
from ccterm.values import ImageChoice

COMMANDS = {
    "hang": "mkdir work; echo kept > work/file; echo began; sleep 600",
    "deaf": "trap '' TERM INT HUP; echo began; while :; do sleep 1; done",
    "daemon": "(setsid sh -c 'sleep 600; :' </dev/null >/dev/null 2>&1 &) ; echo began; sleep 600",
}


def show(frame: Frame) -> None:
    print(frame.get("d", ""), flush=True)


async def main(state: Path, run: RunId, what: str) -> None:
    request = {"command": COMMANDS[what], "cwd": ".", "env": {}, "timeout_seconds": 600.0, "mark": "x"}
    values = {"name": "agent", "program": "shell", "request": request, "outputs": ["work"], "image": "agent"}
    async with LocalExecutor(state) as executor, executor.open_run(run, ImageChoice()) as boxes:
        await boxes.execute(Step.model_validate(values), show)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), RunId(sys.argv[2]), sys.argv[3]))
