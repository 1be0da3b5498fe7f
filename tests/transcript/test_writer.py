import asyncio
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.errors import StateError
from ccterm.events import (
    AnyEvent,
    Event,
    Finished,
    Notice,
    Printed,
    Queued,
    Said,
    Spent,
    StepFinished,
    StepStarted,
    ToolCalled,
    ToolReturned,
    Typing,
)
from ccterm.models import RunId, State
from ccterm.transcript import AGENT_FILE, EVENTS_FILE, Transcript, read_events
from tests.support.waiting import until
from tests.transcript.conftest import RUN, Stored

END = Finished(state=State.SUCCEEDED)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
some_events: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(Queued, target=st.text(), prompt=st.text()),
    st.builds(StepFinished, step=st.just("agent"), ok=st.booleans(), seconds=st.floats(0, 1e6), detail=st.text()),
    st.builds(Said, text=st.text(), agent=st.text()),
    st.builds(ToolCalled, id=st.text(), name=st.text(), summary=st.text(), input=st.dictionaries(st.text(), json_values, max_size=4)),
    st.builds(ToolReturned, id=st.text(), ok=st.booleans(), text=st.text()),
    st.builds(Printed, stream=st.sampled_from(["stdout", "stderr"]), text=st.text()),
    st.builds(Spent, cost_usd=st.floats(0, 1e9), input=st.integers(0, 2**53)),
)


@given(st.lists(some_events, max_size=20))
async def test_events_read_back_equal_the_appended_ones(events: list[AnyEvent]) -> None:
    with tempfile.TemporaryDirectory() as name:
        transcript = Transcript(Path(name) / RUN, RUN)
        stamped = transcript.append(events)
        await transcript.close()
        assert list(read_events(Path(name) / RUN / EVENTS_FILE)) == stamped


async def test_events_are_numbered_without_gaps_and_carry_time_and_run(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    for _ in range(3):
        transcript.append([Said(text="a"), Said(text="b")])
        await transcript.sync()
    await transcript.close()
    assert [event.seq for event in stored()] == list(range(6))
    assert all(event.run == RUN and event.at is not None for event in stored())


async def test_appended_events_reach_the_disk_without_a_sync(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Said(text="first")])
    await until(lambda: len(stored()) == 1)
    transcript.append([Said(text="second")])
    await until(lambda: len(stored()) == 2)
    await transcript.close()


async def test_text_being_typed_is_dropped_when_superseded(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Typing(text="H"), Typing(text="Hel"), Said(text="Hello")])
    transcript.append([Typing(text="W"), Typing(text="Wor")])
    await transcript.close()
    assert [(event.kind, event.seq) for event in stored()] == [("said", 0), ("typing", 1)]


async def test_text_being_typed_stays_in_front_of_another_event(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Typing(text="Hel"), Said(text="from another", agent="helper"), Said(text="Hello")])
    await transcript.close()
    assert [event.kind for event in stored()] == ["typing", "said", "said"]


async def test_the_agents_lines_are_kept_in_order(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    for number in range(100):
        transcript.archive(f'{{"n":{number}}}')
    await transcript.close()
    assert (directory / AGENT_FILE).read_text().splitlines() == [f'{{"n":{number}}}' for number in range(100)]


async def test_nothing_is_written_after_the_last_event(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([END])
    late = transcript.append([Said(text="late"), END])
    await transcript.close()
    assert [event.kind for event in stored()] == ["finished"]
    assert [event.seq for event in late] == [-1, -1]
    assert all(event.at for event in late), "they can still be folded into the run document"


async def test_the_last_event_closes_a_reopened_transcript_too(directory: Path, stored: Stored) -> None:
    for _ in range(2):
        transcript = Transcript(directory, RUN)
        transcript.append([END])
        await transcript.close()
    assert transcript.finished
    assert [event.kind for event in stored()] == ["finished"]


async def test_a_reopened_transcript_continues_numbering(directory: Path, stored: Stored) -> None:
    for _ in range(3):
        transcript = Transcript(directory, RUN)
        transcript.append([Said(text="x")])
        await transcript.close()
    assert [event.seq for event in stored()] == [0, 1, 2]


@pytest.mark.parametrize("torn", [b'{"seq":1,"at"', b"\0" * 5000, b"x" * 200_000], ids=["half-a-line", "zeros", "long"])
async def test_an_unfinished_line_is_cut_off_on_reopening(directory: Path, stored: Stored, torn: bytes) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Said(text="whole")])
    await transcript.close()
    for name in (EVENTS_FILE, AGENT_FILE):
        with (directory / name).open("ab") as file:
            file.write(torn)
    transcript = Transcript(directory, RUN)
    transcript.archive("line")
    transcript.append([END])
    await transcript.close()
    assert [(event.kind, event.seq) for event in stored()] == [("said", 0), ("finished", 1)]
    assert (directory / AGENT_FILE).read_bytes() == b"line\n"


async def test_an_unreadable_last_line_keeps_its_number(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([Said(text="whole")])
    await transcript.close()
    with (directory / EVENTS_FILE).open("ab") as file:
        file.write(b"\0\0\0\n")
    transcript = Transcript(directory, RUN)
    transcript.append([END])
    await transcript.close()
    assert [(event.kind, event.seq) for event in stored()] == [("said", 0), ("notice", 1), ("finished", 2)]


async def test_text_that_utf8_cannot_encode_is_still_written(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    transcript.archive("c\ud83dd")
    transcript.append([Finished(state=State.FAILED, summary="a\udcffb")])
    await transcript.close()
    assert [event.summary for event in stored() if isinstance(event, Finished)] == ["a?b"]
    assert (directory / AGENT_FILE).read_text() == "c?d\n"


async def test_a_hanging_disk_blocks_nobody(directory: Path, stored: Stored) -> None:
    hanging = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(hanging.wait, 30)
        transcript = Transcript(directory, RUN, pool=pool)
        for number in range(1000):
            transcript.append([Typing(text="…"), Printed(stream="stdout", text=str(number))])
            await asyncio.sleep(0)
        assert stored() == []
        hanging.set()
        await transcript.close()
    assert len([event for event in stored() if event.kind == "printed"]) == 1000


async def test_events_that_arrive_during_a_write_are_written_afterwards(directory: Path, stored: Stored) -> None:
    busy = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        transcript = Transcript(directory, RUN, pool=pool)
        pool.submit(busy.wait, 30)
        transcript.append([Said(text="handed to the disk")])
        await asyncio.sleep(0.001)
        transcript.append([Said(text="waits for it")])
        busy.set()
        await until(lambda: len(stored()) == 2)
        await transcript.close()


async def test_synced_means_on_the_disk(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)
    stamped: list[Event] = []
    for number in range(50):
        stamped += transcript.append([Said(text=str(number))])
        assert await transcript.sync()
        assert stored() == stamped
    await transcript.close()


async def test_several_may_sync_at_once(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN)

    async def write(name: str) -> None:
        for number in range(20):
            transcript.append([Notice(level="info", text=f"{name}{number}")])
            assert await transcript.sync()

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(write(name))
    await transcript.close()
    assert [event.seq for event in stored()] == list(range(60))


async def test_closing_twice_is_closing_once(directory: Path) -> None:
    transcript = Transcript(directory, RUN)
    transcript.append([END])
    await transcript.close()
    await transcript.close()
    assert transcript.fault is None


async def test_a_cancelled_close_leaves_no_partial_line(directory: Path, stored: Stored) -> None:
    with ThreadPoolExecutor(1) as pool:  # whose end is that of the write in progress
        transcript = Transcript(directory, RUN, pool=pool)
        transcript.append([StepStarted(step="agent")] * 1000)
        closing = asyncio.ensure_future(transcript.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
    assert (directory / EVENTS_FILE).read_bytes()[-1:] in (b"\n", b"")


def test_an_unusable_directory_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / EVENTS_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="symbolic link"):
        Transcript(tmp_path / "run", RunId("run"))
    assert not (tmp_path / "elsewhere").exists()
