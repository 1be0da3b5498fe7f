from pathlib import Path

import pytest

from ccterm.events import Event, Finished, Notice, Printed, Said, to_line
from ccterm.models import State, now
from ccterm.transcript import EVENTS_FILE, last_event, read_events
from ccterm.transcript.reader import EventReader
from tests.transcript.conftest import RUN, Stored


def line(number: int, text: str = "text") -> bytes:
    return to_line(Said(text=text).stamped(seq=number, at=now(), run=RUN))


def write(directory: Path, data: bytes) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / EVENTS_FILE
    path.write_bytes(data)
    return path


def numbers(path: Path, after: int = -1) -> list[int]:
    return [event.seq for event in read_events(path, after)]


def test_a_missing_transcript_has_no_events(stored: Stored) -> None:
    assert stored() == []


def test_an_unfinished_last_line_is_not_read(directory: Path) -> None:
    assert numbers(write(directory, line(0) + line(1)[:-1])) == [0]


@pytest.mark.parametrize("bad", [b"{", b"", b"\0\0\0", b"\xff\xfe", b'{"kind":"unheard_of","seq":1}', b"[1]"])
def test_a_line_that_cannot_be_read_becomes_a_notice_in_its_place(directory: Path, bad: bytes) -> None:
    begin = line(0)
    path = write(directory, begin + bad + b"\n" + line(2))
    first, marker, last = read_events(path)
    assert (first.seq, marker.seq, last.seq) == (0, 1, 2)
    assert isinstance(marker, Notice)
    assert marker.text == f"a line of this transcript cannot be read: {len(bad)} bytes at {len(begin)} of transcript.ndjson"


def test_reading_continues_after_a_number(directory: Path) -> None:
    path = write(directory, b"".join(map(line, range(10))))
    assert numbers(path, after=6) == [7, 8, 9]
    assert numbers(path, after=9) == []
    assert numbers(path, after=99) == []


def test_an_unreadable_line_before_the_number_is_not_repeated(directory: Path) -> None:
    path = write(directory, line(0) + b"{\n" + line(2) + line(3))
    assert [event.kind for event in read_events(path, after=0)] == ["notice", "said", "said"]
    assert [event.kind for event in read_events(path, after=1)] == ["said", "said"]
    assert numbers(path, after=2) == [3]


@pytest.mark.parametrize("after", [-1, 0, 1, 777, 9_998, 9_999])
def test_reading_continues_after_any_number_of_a_long_transcript(directory: Path, after: int) -> None:
    path = write(directory, b"".join(line(number, "x" * (number % 300)) for number in range(10_000)))
    assert numbers(path, after) == list(range(after + 1, 10_000))


def test_continuing_does_not_read_the_distant_start(directory: Path) -> None:
    end = to_line(Finished(state=State.FAILED).stamped(seq=0, at=now(), run=RUN))
    reader = EventReader(write(directory, end + b"".join(line(number, "x" * 100) for number in range(1, 10_000))), after=9_000)
    assert reader.read()[0].seq == 9_001
    assert not reader.over, "it did not meet the planted end"
    reader.close()


def test_very_long_lines_are_read_whole(directory: Path) -> None:
    long = "x" * 3_000_000
    path = write(directory, line(0, long) + line(1) + line(2, long))
    assert [len(event.text) for event in read_events(path) if isinstance(event, Said)] == [3_000_000, 4, 3_000_000]
    assert numbers(path, after=0) == [1, 2]


def test_the_last_event_is_found_before_unreadable_lines(directory: Path) -> None:
    event, unreadable = last_event(write(directory, line(0) + line(1, "x" * 200_000) + b"{\n\0\n" + b"torn"))
    assert event is not None
    assert (event.seq, unreadable) == (1, 2)


def test_a_transcript_of_garbage_has_no_last_event(directory: Path) -> None:
    assert last_event(write(directory, b"a\nb\nc")) == (None, 2)
    assert last_event(directory / "missing") == (None, 0)


def test_every_kind_of_text_survives(directory: Path) -> None:
    text = "".join(map(chr, [*range(0x300), 0x2028, 0x2029, 0xFEFF, 0x1F600]))
    events: list[Event] = [Printed(stream="stderr", text=text), Finished(state=State.FAILED, summary=text)]
    path = write(directory, b"".join(to_line(event.stamped(seq=n, at=now(), run=RUN)) for n, event in enumerate(events)))
    assert [getattr(event, "text", getattr(event, "summary", None)) for event in read_events(path)] == [text, text]
