"""Tries all ways, each in a process of its own, and prints for each one line of JSON: its name, whether it led out, and how it ended."""

import json
import os
import select
import signal
import time
from contextlib import suppress
from functools import partial

from tests.support.ways_out.base import BOX, SECONDS, WAYS, Way
from tests.support.ways_out.by_proxy import ask

AT_ONCE = 16


def requests() -> dict[str, Way]:
    """Return a way for each of the requests to the proxy."""
    return {name: partial(ask, text.encode("latin-1")) for name, text in BOX["requests"].items()}


def begin(test: Way) -> tuple[int, int]:
    """Run a way in a process of its own, for what is killed then is not this one; return the process, and where it says how it ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = "out"
        try:
            test()
        except BaseException as error:  # noqa: BLE001 - however it fails, it is closed
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode("utf-8", "replace")[:300])
        os._exit(0)
    os.close(write)
    return child, read


def ended(child: int, read: int, end: float) -> str:
    """Return how a way ended: "out", or why not."""
    ready = select.select([read], [], [], max(0.0, end - time.monotonic()))[0]
    said = os.read(read, 400).decode() if ready else "it does not end"
    os.close(read)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return said or f"signal {status & 127}"


def main() -> None:
    """Try them all, some at a time."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    ways = [*WAYS.items(), *requests().items()]
    for first in range(0, len(ways), AT_ONCE):
        some = [(name, *begin(test)) for name, test in ways[first : first + AT_ONCE]]
        end = time.monotonic() + SECONDS
        for name, child, read in some:
            said = ended(child, read, end)
            print(json.dumps({"way": name, "out": said == "out", "detail": said}), flush=True)


if __name__ == "__main__":
    main()
