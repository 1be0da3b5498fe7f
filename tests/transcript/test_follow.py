import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ccterm.events import Event, Finished, Printed, Said
from ccterm.models import State
from ccterm.transcript import EVENTS_FILE, Transcript, follow
from tests.support.waiting import until
from tests.transcript.conftest import RUN

END = Finished(state=State.SUCCEEDED)
CHILD = Path(__file__).with_name("child.py")


async def collect(batches: AsyncIterator[list[Event]], into: list[Event] | None = None) -> list[Event]:
    into = [] if into is None else into
    async with asyncio.timeout(60):
        async for batch in batches:
            into += batch
    return into


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


async def test_a_follower_gets_past_and_coming_events(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    stamped = transcript.append([Said(text="before")])
    await transcript.sync()
    async with asyncio.TaskGroup() as group:
        follower = group.create_task(collect(transcript.follow()))
        await asyncio.sleep(0)
        stamped += transcript.append([Said(text="after"), END])
        await transcript.close()
    assert follower.result() == stamped


async def test_each_event_wakes_the_follower(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    seen: list[Event] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(transcript.follow(), seen))
        for number in range(10):
            transcript.append([Said(text="x")])
            await until(lambda number=number: len(seen) == number + 1)  # type: ignore[misc] # mypy cannot infer a lambda's default
        await transcript.close()


async def test_a_transcript_closed_before_its_end_ends_its_followers(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Said(text="x")])
    async with asyncio.TaskGroup() as group:
        follower = group.create_task(collect(transcript.follow()))
        await asyncio.sleep(0)
        await transcript.close()
    assert kinds(follower.result()) == ["said"]


@pytest.mark.parametrize("after", [-1, 0, 3, 4, 99])
async def test_following_continues_after_a_number(directory: Path, after: int) -> None:
    transcript = Transcript(directory, RUN)
    stamped = transcript.append([Said(text="x")] * 4 + [END])
    await transcript.close()
    assert await collect(transcript.follow(after)) == stamped[after + 1 :]
    assert await collect(follow(directory, after)) == stamped[after + 1 :]


async def test_many_may_follow(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    async with asyncio.TaskGroup() as group:
        inside = [group.create_task(collect(transcript.follow())) for _ in range(30)]
        outside = [group.create_task(collect(follow(directory))) for _ in range(30)]
        for _ in range(20):
            transcript.append([Said(text="x")] * 10)
            await transcript.sync()
        transcript.append([END])
        await transcript.close()
    assert {len(task.result()) for task in inside + outside} == {201}


async def test_a_slow_follower_blocks_nobody_and_misses_nothing(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    slow = transcript.follow()
    transcript.append([Said(text="first")])
    seen = await anext(slow)
    for _ in range(100):
        transcript.append([Printed(stream="stdout", text="x" * 1000)] * 10)
        assert await transcript.sync()
    transcript.append([END])
    await transcript.close()
    assert len(seen + await collect(slow)) == 1002


async def test_a_batch_is_bounded(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Printed(stream="stdout", text="x" * 1000)] * 10_000)
    transcript.append([END])
    await transcript.close()
    sizes = [len(batch) async for batch in transcript.follow()]
    assert max(sizes) < 100
    assert sum(sizes) == 10_001


async def test_a_follower_may_start_before_the_writer(directory: Path) -> None:
    async with asyncio.TaskGroup() as group:
        follower = group.create_task(collect(follow(directory)))
        await asyncio.sleep(0)
        transcript = Transcript(directory, RUN)
        transcript.append([END])
        await transcript.close()
    assert kinds(follower.result()) == ["finished"]


async def test_a_follower_that_goes_away_frees_the_file(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Said(text="x")])
    follower = transcript.follow()
    assert kinds(await anext(follower)) == ["said"]
    await follower.aclose()
    await transcript.close()
    held = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()] if Path("/proc/self/fd").exists() else []
    assert directory / EVENTS_FILE not in held


@pytest.fixture
def writer(directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that writes an event for each line it is given, and the last one when there are no more."""
    command = [sys.executable, str(CHILD), "ticking", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


def tell(writer: "subprocess.Popen[str]", text: str) -> None:
    assert writer.stdin is not None
    writer.stdin.write(f"{text}\n")
    writer.stdin.flush()


async def test_another_process_is_followed(directory: Path, writer: "subprocess.Popen[str]") -> None:
    seen: list[Event] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(follow(directory), seen))
        for number in range(5):
            tell(writer, f"line {number}")
            await until(lambda number=number: len(seen) == number + 1)  # type: ignore[misc] # mypy cannot infer a lambda's default
        assert writer.stdin is not None
        writer.stdin.close()
    assert kinds(seen) == ["said"] * 5 + ["finished"]


async def test_a_follower_ends_when_the_writer_is_killed(directory: Path, writer: "subprocess.Popen[str]") -> None:
    seen: list[Event] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(follow(directory, alive=lambda: writer.poll() is None), seen))
        tell(writer, "only")
        await until(lambda: seen)
        writer.kill()
    assert kinds(seen) == ["said"]


async def test_what_a_dead_writer_left_is_read_to_its_end(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Said(text="x")] * 5000)
    await transcript.close()
    assert len(await collect(follow(directory, alive=lambda: False))) == 5000
