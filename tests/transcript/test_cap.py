from pathlib import Path

import pytest

from ccterm.events import Finished, Notice, Printed, Said, StepFinished, Typing
from ccterm.models import State
from ccterm.transcript import AGENT_FILE, EVENTS_FILE, Transcript
from tests.transcript.conftest import RUN, Stored

MIB = 1024 * 1024
FLOOD = Printed(stream="stdout", text="x" * 10_000)
STEP = StepFinished(step="agent", ok=True, seconds=1.0)
END = Finished(state=State.SUCCEEDED, summary="done")


def size(directory: Path) -> int:
    return sum((directory / name).stat().st_size for name in (EVENTS_FILE, AGENT_FILE))


@pytest.fixture
async def full(directory: Path) -> Transcript:
    """A transcript of 1 MiB after 3 MB of output."""
    transcript = Transcript(directory, RUN, cap=MIB)
    transcript.append([FLOOD] * 300)
    return transcript


async def test_a_flood_ends_at_the_cap(full: Transcript, directory: Path) -> None:
    await full.close()
    assert MIB * 0.98 < size(directory) < MIB * 1.01


async def test_the_cap_is_noted_at_once_and_the_dropped_bytes_at_the_end(full: Transcript, stored: Stored) -> None:
    full.append([END])
    await full.close()
    kept = sum(event.kind == "printed" for event in stored())
    first, last = [event.text for event in stored() if isinstance(event, Notice)]
    assert first == "the record of this run is full (1 MiB): only its state is kept from here on"
    count, words = last.split(" ", 1)
    assert words == "bytes dropped: a run's record is limited to 1 MiB"
    assert (300 - kept) * 10_000 < int(count) < (300 - kept) * 10_200


async def test_the_runs_state_is_written_beyond_the_cap(full: Transcript, stored: Stored) -> None:
    full.append([Said(text="small"), Typing(text="t"), STEP, Notice(level="error", text="n"), END])
    await full.close()
    assert [event.kind for event in stored()][-4:] == ["notice", "step_finished", "notice", "finished"]


async def test_numbers_have_no_gaps_beyond_the_cap(full: Transcript, stored: Stored) -> None:
    full.append([STEP, FLOOD, STEP, END])
    await full.close()
    assert [event.seq for event in stored()] == list(range(len(stored())))


async def test_even_essential_events_are_bounded(full: Transcript, directory: Path, stored: Stored) -> None:
    full.append([StepFinished(step="agent", ok=True, seconds=0, detail="d" * 10_000)] * 1000)
    full.append([END])
    await full.close()
    assert size(directory) < 2.1 * MIB
    assert stored()[-1].kind == "finished"


async def test_the_agents_lines_leave_room_for_events(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN, cap=MIB)
    for _ in range(300):
        transcript.archive("y" * 10_000)
    transcript.append([Said(text="still heard"), END])
    await transcript.close()
    assert MIB * 0.7 < size(directory) < MIB * 0.8
    assert [event.kind for event in stored()] == ["notice", "said", "notice", "finished"]


async def test_one_line_larger_than_the_cap_is_left_out(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN, cap=MIB)
    transcript.archive("z" * 3 * MIB)
    transcript.append([Said(text="still heard"), END])
    await transcript.close()
    assert (directory / AGENT_FILE).read_bytes() == b""
    assert [event.kind for event in stored()] == ["notice", "said", "notice", "finished"]


async def test_a_reopened_transcript_is_as_full_as_before(full: Transcript, directory: Path) -> None:
    await full.close()
    again = Transcript(directory, RUN, cap=MIB)
    again.append([FLOOD] * 100)
    await again.close()
    assert size(directory) < MIB * 1.01


async def test_text_being_typed_leaves_room_for_what_is_said(directory: Path, stored: Stored) -> None:
    transcript = Transcript(directory, RUN, cap=MIB)
    for _ in range(400):
        transcript.append([Typing(text="x" * 4000)])
        await transcript.sync()
    transcript.append([Said(text="said"), END])
    await transcript.close()
    assert MIB * 0.2 < size(directory) < MIB * 0.3
    assert [event.kind for event in stored()][-2:] == ["said", "finished"]
