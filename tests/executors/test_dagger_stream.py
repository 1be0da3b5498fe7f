"""From the bytes of a session's log stream to the frames of each step: on recordings of a real engine, and on arbitrary streams."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import dagger
import pytest
from dagger import ReturnType
from hypothesis import given
from hypothesis import strategies as st

from ccterm.box.protocol import Frame
from ccterm.executors.dagger.cli_session import cli_session
from ccterm.executors.dagger.frame_feed import FrameFeed
from ccterm.executors.dagger.log_stream import SseEvent, SseSplitter
from ccterm.executors.dagger.records import LogRecord, log_records
from ccterm.executors.dagger.session import Session, open_session, traced
from ccterm.executors.frames import FrameError
from tests.dagger_engine.recorded import Recording, recording
from tests.support.fake_engine import Fake, Listening
from tests.support.waiting import until

RECORDINGS = ("eof_order", "sse_resume", "two_agents", "unicode_loss", "big_output")


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut bytes at these places."""
    places = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


def split(chunks: Iterable[bytes]) -> list[SseEvent]:
    splitter = SseSplitter()
    return [event for chunk in chunks for event in splitter.feed(chunk)]


def records(found: Recording, stream: int = 1) -> list[LogRecord]:
    return [record for event in split([found.events(stream)]) for record in log_records(event.data)]


def text_of(found: Sequence[LogRecord], trace: str, stream: int = 1) -> str:
    return "".join(record.text for record in found if (record.trace, record.stream) == (trace, stream))


@pytest.mark.first_is_fast
@pytest.mark.parametrize("name", RECORDINGS)
@given(cuts=st.lists(st.integers(min_value=1, max_value=40_000), max_size=60))
def test_events_are_the_same_however_they_arrive(name: str, cuts: list[int]) -> None:
    data = recording(name).events()
    events = split([data])
    assert split(pieces(data, cuts)) == events
    assert events[0] == SseEvent("subscribed", "", b"")
    assert {event.name for event in events[1:]} == {"logs"}
    assert all(json.loads(event.data) for event in events[1:])


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"\n\n", b"data: x", b"id: 1\n", b"\n"])))
def test_bytes_of_any_kind_split_into_the_same_events(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert split([data]) == split(parts) == split(bytes([byte]) for byte in data)


def test_the_execs_of_a_session_are_distinguished_and_end_once() -> None:
    found = recording("eof_order")
    got = records(found)
    for line in (each for each in found.results_in_the_sdk if str(each["what"]).startswith("eof of: ")):
        trace = str(line["trace_id"])
        assert [record.stream for record in got if record.trace == trace and record.eof] == [1, 2]
        value = found.result(str(line["what"]).removeprefix("eof of: "))["value"]
        if isinstance(value, str) and value != "Container":
            assert text_of(got, trace) == value


def test_two_runs_in_the_same_events_get_their_own_output() -> None:
    found = recording("two_agents")
    got = records(found)
    for name, trace in (("A", found.named("trace_a")), ("B", found.named("trace_b"))):
        assert text_of(got, trace) == found.result(f"{name} stdout()")["value"]


def test_a_resumed_stream_continues_where_it_was() -> None:
    found = recording("sse_resume")
    trace = found.named("trace_id")
    whole = text_of(records(found), trace)
    assert whole == found.result("stdout()")["value"]
    replayed = {stream: text_of(records(found, stream), trace) for stream in range(2, 9)}
    lines = whole.splitlines(keepends=True)
    after = {2: lines, 3: lines[2:], 4: [], 5: lines[1:], 6: [], 7: lines, 8: []}
    assert replayed == {stream: "".join(rest) for stream, rest in after.items()}


def test_the_answer_to_a_wrong_id_has_no_records() -> None:
    assert [event.name for event in split([recording("sse_resume").events(8)])] == ["subscribed"]


def test_a_split_character_is_lost_live_and_its_exec_still_ends() -> None:
    found = recording("unicode_loss")
    got, trace = records(found), found.named("trace split char")
    assert text_of(got, trace) == "end\n"
    assert [record.stream for record in got if record.trace == trace and record.eof] == [1, 2]


def test_repeated_results_are_skipped() -> None:
    found = recording("big_output")
    assert len([record for record in records(found) if record.text]) == found.result("sizes")["records"]


@pytest.mark.parametrize(
    "data",
    [b"", b"no JSON", b"[]", b"3", b'{"resourceLogs": 3}', b'{"resourceLogs": [{"scopeLogs": [null, {"scope": "x"}]}]}', b"\xff"],
)
def test_an_event_of_another_shape_has_no_records(data: bytes) -> None:
    assert list(log_records(data)) == []


@pytest.mark.timeout(60)
def test_an_event_of_64_megabytes_costs_no_more_than_its_bytes() -> None:
    """Copying or searching all of it again for each of its 65,000 chunks would take hours."""
    splitter, chunk = SseSplitter(), b"x" * 1024
    assert list(splitter.feed(b"event: logs\nid: 7\ndata: ")) == []
    for _ in range(64 * 1024):
        assert list(splitter.feed(chunk)) == []
    [event] = splitter.feed(b"\n\n")
    assert (event.id, len(event.data)) == ("7", 64 * 1024 * 1024)


# frames


def frames_of(lines: Sequence[str]) -> list[Frame]:
    """Return frames as a step program numbers them."""
    found = [Frame(n=number, t=0.0, k="line", s=1, d=text) for number, text in enumerate(lines)]
    return [*found, Frame(n=len(found), t=0.0, k="report", report={"ok": True}), Frame(n=len(found) + 1, t=0.0, k="end")]


def printed(frame: Frame) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def record(data: bytes, *, stream: int = 1, span: str = "a", eof: bool = False) -> LogRecord:
    return LogRecord("t", span, stream, data.decode(), eof)


@st.composite
def broken_streams(draw: st.DrawFn) -> tuple[list[Frame], list[LogRecord | None]]:
    """Draw frames, and a stream of them: split anywhere, with lines missing or repeated, restarted (None) from the first record."""
    frames = frames_of(draw(st.lists(st.text(max_size=20), max_size=12)))
    lines = [printed(frame) for frame in frames]
    stream: list[LogRecord | None] = []
    for _ in range(draw(st.integers(min_value=0, max_value=3))):
        sent = lines[: draw(st.integers(min_value=0, max_value=len(lines)))]
        stream += [*map(record, cut(draw, b"".join(sent))), None]
    kept = [line for line in lines for _ in range(draw(st.sampled_from([1, 1, 1, 1, 0, 2])))]
    stream += map(record, cut(draw, b"".join(kept)))
    for place in draw(st.lists(st.integers(min_value=0, max_value=40), max_size=3)):
        stream.insert(place, record(b"a complaint\n", stream=2))
    return frames, stream


def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    return [piece for piece in pieces(data, draw(st.lists(st.integers(min_value=1, max_value=600), max_size=8))) if piece]


@given(broken_streams())
async def test_whatever_the_stream_does_each_frame_is_delivered_once_and_in_order(
    drawn: tuple[list[Frame], list[LogRecord | None]],
) -> None:
    frames, stream = drawn
    got: list[Frame] = []
    feed = FrameFeed(got.append)
    for each in stream:
        if each is None:
            feed.restart()
        else:
            feed.record(each)
        assert got == frames[: len(got)]
    feed.complete(b"".join(map(printed, frames)).decode())
    assert got == frames
    assert feed.report == frames[-2]


async def test_a_complete_stream_needs_no_stdout() -> None:
    got: list[Frame] = []
    feed, frames = FrameFeed(got.append), frames_of(["one", "two"])
    feed.record(record(b"".join(map(printed, frames))))
    assert got == frames
    assert feed.ended
    assert feed.over.is_set()


@pytest.mark.parametrize("live", [False, True])
async def test_hosts_that_a_reused_program_asked_for_are_told_only_if_it_ran_now(live: bool) -> None:
    got: list[Frame] = []
    feed, (first, *rest) = FrameFeed(got.append, may_repeat=True), frames_of(["one"])
    asked = Frame(n=1, t=0.0, k="note", what="egress", d="a.example:443", taken=True, detail="", number=1)
    whole = [first, asked, *[Frame(**{**frame, "n": frame["n"] + 1}) for frame in rest]]
    if live:
        feed.record(record(printed(first)))
    feed.complete(b"".join(map(printed, whole)).decode())
    assert (asked in got, [frame["k"] for frame in got if frame != asked]) == (live, [frame["k"] for frame in (first, *rest)])
    feed.deliver_asked()
    assert got.count(asked) == 1


async def test_a_program_that_breaks_off_is_an_error_with_its_last_output() -> None:
    feed = FrameFeed(lambda _: None)
    whole = printed(frames_of(["one"])[0]).decode()
    feed.record(record(whole.encode()))
    feed.record(record(b"Traceback: it broke\n", stream=2))
    with pytest.raises(FrameError):
        feed.complete(whole + '{"n":1,"k"')
    assert feed.last_output == "Traceback: it broke"


async def test_an_error_of_the_sink_ends_the_step_and_not_the_stream() -> None:
    def full(frame: Frame) -> None:
        raise OSError("no space")

    feed = FrameFeed(full)
    feed.record(record(printed(frames_of(["one"])[0])))
    with pytest.raises(OSError, match="no space"):
        feed.failed.result()


# the stream of a session


@pytest.fixture
async def session(fake: Fake) -> AsyncIterator[Session]:
    async with cli_session(fake.cli, {"PATH": "/usr/bin:/bin"}, fake.engine.runner) as child, open_session(child) as session:
        yield session


def running(session: Session, base: Path, *args: str) -> dagger.Container:
    client = session.client
    return client.container().import_(client.host().file(str(base))).with_exec(list(args), expect=ReturnType.ANY)


async def test_a_stream_that_breaks_after_every_other_event_delivers_each_record_once(fake: Fake, session: Session) -> None:
    fake.engine.faults.break_logs = 2
    heard = Listening()
    with traced() as trace, session.stream.listening(trace, heard):
        stdout = await running(session, fake.base, "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do seq 1 500; sleep 0.05; done").stdout()
        await until(lambda: heard.eofs == 2)
    assert heard.text == stdout
    assert len(stdout.splitlines()) == 4500
    assert heard.restarts == 0


async def test_an_engine_with_a_log_route_streams_output(session: Session) -> None:
    assert await session.stream.live()


async def test_an_engine_without_a_log_route_is_noticed(fake: Fake) -> None:
    fake.engine.faults.no_logs = True
    async with cli_session(fake.cli, {"PATH": "/usr/bin:/bin"}, fake.engine.runner) as child, open_session(child) as session:
        assert not await session.stream.live()
        assert await session.answers()


async def test_two_concurrent_execs_reach_only_their_own_listeners(fake: Fake, session: Session) -> None:
    async def run(word: str) -> Listening:
        heard = Listening()
        with traced() as trace, session.stream.listening(trace, heard):
            _ = await running(session, fake.base, "sh", "-c", f"for i in 1 2 3; do echo {word} $i; sleep 0.1; done").sync()
            await until(lambda: heard.eofs == 2)
        return heard

    one, two = await asyncio.gather(run("one"), run("two"))
    assert [one.text, two.text] == ["one 1\none 2\none 3\n", "two 1\ntwo 2\ntwo 3\n"]
