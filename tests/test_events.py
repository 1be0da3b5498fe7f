"""What readers find in a transcript's line without parsing it is what `to_line` writes, whatever the texts in it are."""

import json
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm import events
from ccterm.event_lines import HOW_OFTEN, ID_OF_CALL, KIND_OF_LINE, NOT_OK, OK, REFUSED_HOST, SEQ_OF_LINE, answer_to
from ccterm.events import AnyEvent, Event, from_line, to_line
from ccterm.kept_refs import KeptRef
from ccterm.models import RunId, State
from ccterm.values import Changes, Verdict

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TEXTS = st.text(max_size=40) | st.sampled_from(
    ['"kind":"tool_returned","id":"c","ok":true', '{"seq":7,', "\\", '"', "\n\x00\x1f\x7f", "é😀\ud800"]
)
SAMPLES: list[AnyEvent] = [
    events.Queued(target="x", prompt="p"), events.Held(reason="busy"), events.Started(), events.StepStarted(step="agent"),
    events.StepFinished(step="agent", ok=True, seconds=1.0), events.Said(text="hello"), events.Typing(text="hel"), events.Thought(tokens=3),
    events.ToolCalled(id="c", name="Bash", summary="ls"), events.ToolReturned(id="c", ok=True, text=""), events.Printed(stream="stdout", text="x"),
    events.Notice(level="info", text="x"), events.Limited(limit="five_hour", status="allowed"), events.Retrying(attempt=1, of=3, wait=1, why="busy"),
    events.Spent(cost_usd=0.1), events.Told(text="x"), events.Steered(text="x", taken=True), events.HoldChanged(on=True), events.Waiting(until=None),
    events.PermissionAsked(id="q", tool="Bash", summary="curl x"), events.PermissionAnswered(id="q", answer="denied"),
    events.HostAsked(host="h", port=443, allowed=False, count=2, more=1), events.Judged(verdict=Verdict(ok=True), changes=Changes()),
    events.Pushed(remote="r", ref="f", sha="1", verified=True), events.Synced(files=1), events.Salvaged(directory="/d", commit=None),
    events.SideKept(refs=(KeptRef(name="heads/x", sha="1", commits=2),)), events.BoxesKept(directory="/b"),
    events.Finished(state=State.SUCCEEDED),
]  # fmt: skip


def line_of(event: Event, seq: int = 7) -> bytes:
    return to_line(event.stamped(seq=seq, at=NOON, run=RunId("01STAGE")))


def test_there_is_a_sample_of_every_event() -> None:
    assert [type(sample) for sample in SAMPLES] == list(get_args(AnyEvent))


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_number_and_kind_are_found_at_the_start_of_every_line(event: Event) -> None:
    line = line_of(event)
    number, kind = SEQ_OF_LINE.match(line), KIND_OF_LINE.match(line)
    assert number is not None
    assert kind is not None
    assert (int(number[1]), kind[1].decode()) == (7, event.kind)
    assert from_line(line) == event.stamped(seq=7, at=NOON, run=RunId("01STAGE"))


@given(TEXTS, TEXTS)
def test_how_often_a_host_was_refused_is_found_and_of_no_other_host(host: str, text: str) -> None:
    line = line_of(events.HostAsked(host=host, port=80, allowed=False, count=12, more=3, why=text))
    found = REFUSED_HOST.match(line)
    assert found is not None
    told = HOW_OFTEN.match(line, found.end())
    assert told is not None
    assert told.groups() == (b"12", b"3")
    for other in (
        events.HostAsked(host=text, port=80, allowed=True, count=1, more=1, why=host),
        events.Said(text=host),
        events.Said(text=found[1].decode()),
    ):
        assert found[1] not in line_of(other)


@given(TEXTS, TEXTS)
def test_the_id_of_a_tool_call_is_found_and_no_other_events(call: str, text: str) -> None:
    found = ID_OF_CALL.match(line_of(events.ToolCalled(id=call, name=text, summary=text)))
    assert found is not None
    assert json.loads(found[1]) == call.encode(errors="replace").decode()
    assert ID_OF_CALL.match(line_of(events.ToolReturned(id=call, ok=True, text=text))) is None


@given(TEXTS, TEXTS, st.booleans())
def test_the_answer_to_a_call_is_found_with_its_outcome(call: str, text: str, ok: bool) -> None:
    line = line_of(events.ToolReturned(id=call, ok=ok, text=text))
    _, found, rest = line.partition(answer_to(call))
    assert found
    assert rest.startswith(OK if ok else NOT_OK)
    assert (OK in line, NOT_OK in line) == (ok, not ok)


@given(TEXTS)
def test_a_text_is_never_taken_for_an_answer(text: str) -> None:
    assert answer_to("c") not in line_of(events.Said(text=text))
