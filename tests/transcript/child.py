"""Programs that tests start as processes of their own, to be killed, starved of disk, or measured."""

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from ccterm.events import Finished, Printed, Said, StepFinished
from ccterm.models import RunId, State
from ccterm.state_dir import Reserve
from ccterm.transcript import EVENTS_FILE, Transcript, follow, read_events

END = Finished(state=State.SUCCEEDED)


def say(text: object) -> None:
    print(text, flush=True)


async def endless(directory: Path) -> None:
    """Write for ever; print the number of the last event after each sync that succeeded."""
    transcript = Transcript(directory, RunId(directory.name))
    while True:
        *_, last = transcript.append([Printed(stream="stdout", text="x" * 50_000)] * 4 + [Said(text="short")])
        transcript.archive("y" * 100_000)
        if await transcript.sync():
            say(last.seq)


async def ticking(directory: Path) -> None:
    """Write an event for each line of stdin, and the last one at its end."""
    transcript = Transcript(directory, RunId(directory.name))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        transcript.append([Said(text=line.strip())])
    transcript.append([END])
    await transcript.close()


async def starved(directory: Path, *, fed_again: bool) -> None:
    """Write until files may not grow any more; then end the run, with room again or without. Print the reported fault."""
    transcript = Transcript(directory, RunId(directory.name), on_fault=lambda fault: say(type(fault).__name__))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    while not transcript.fault:
        transcript.append([Printed(stream="stdout", text="x" * 5000), StepFinished(step="agent", ok=True, seconds=0)])
        transcript.archive("y" * 1000)
        await asyncio.sleep(0)
    if fed_again:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    transcript.append([Said(text="kept out"), END])
    say(await transcript.sync())
    await transcript.close()


async def on_a_full_disk(directory: Path) -> None:
    """Fill the disk except for a reserve, then run until it is full."""
    reserve = Reserve(directory.parent / "reserve", size=256 * 1024)
    say(reserve.keep())
    transcript = Transcript(directory, RunId(directory.name), reserve=reserve)
    while not transcript.fault:
        transcript.append([Printed(stream="stdout", text="x" * 5000)])
        await asyncio.sleep(0)
    say(transcript.fault.strerror)
    with (directory.parent / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"f" * 100):
            pass  # what the cut-off line left free
    transcript.append([END.model_copy(update={"summary": "more than a block " * 1000})])
    await transcript.close()


def most_memory() -> int:
    """Return how large this process has been, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


async def many(directory: Path, count: int) -> None:
    """Write and follow many events; print by how many KiB the process grew meanwhile, and how many events came."""
    transcript = Transcript(directory, RunId(directory.name))
    transcript.append([Said(text="warm")])
    await transcript.sync()
    before = most_memory()
    seen = 0

    async def read() -> None:
        nonlocal seen
        async for batch in transcript.follow():
            seen += len(batch)

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        for _ in range(count // 1000):
            transcript.append([Printed(stream="stdout", text="x" * 100)] * 1000)
            await transcript.sync()
        transcript.append([END])
        await transcript.close()
    async for batch in follow(directory):
        seen += len(batch)
    seen += sum(1 for _ in read_events(directory / EVENTS_FILE))
    say(most_memory() - before)
    say(seen)


PROGRAMS: dict[str, Callable[[Path], Awaitable[None]]] = {
    "endless": endless,
    "ticking": ticking,
    "starved": lambda directory: starved(directory, fed_again=False),
    "fed-again": lambda directory: starved(directory, fed_again=True),
    "full-disk": on_a_full_disk,
    "many": lambda directory: many(directory, 200_000),
}


async def main() -> None:
    await PROGRAMS[sys.argv[1]](Path(sys.argv[2]))


if __name__ == "__main__":
    asyncio.run(main())
