"""What is counted of answers, and what is told of it."""

import json
from itertools import pairwise

import pytest
from hypothesis import given as always
from hypothesis import strategies as st
from pydantic import JsonValue

from ccterm.gateway.client import LimitWindow, LimitWindows, RunNumbers
from ccterm.gateway.heads import RefusedRequest
from ccterm.gateway.run_numbers import Tally
from ccterm.gateway.usage import counter, limit_windows
from tests.gateway.boxes import Boxes, new_run
from tests.gateway.raw import RawBox, request
from tests.servers.model_script import overloaded, rate_limited, say
from tests.support.waiting import until


def event(kind: str, **fields: JsonValue) -> bytes:
    """Return one server-sent event."""
    return f"event: {kind}\r\ndata: {json.dumps({'type': kind, **fields})}\r\n\r\n".encode()


STREAM = b"".join(
    [
        event("message_start", message={"usage": {"input_tokens": 5, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 7, "output_tokens": 1}}),
        event("content_block_delta", delta={"text": 'data: {"usage": {"output_tokens": 9999}} "usage"'}),
        event("content_block_delta", delta={"text": "x" * 200_000}),
        event("ping"),
        event("message_delta", usage={"output_tokens": 11, "input_tokens": 5}),
        event("message_stop"),
    ]
)  # fmt: skip


@always(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_stream_is_counted_however_it_is_cut(cuts: list[int]) -> None:
    reading = counter(b"text/event-stream; charset=utf-8")
    for start, end in pairwise(sorted({0, len(STREAM), *cuts})):
        reading.feed(STREAM[start:end])
    assert reading.tokens() == RunNumbers(input=5, output=11, cache=77)


@pytest.mark.parametrize("usage", [None, 3, {"input_tokens": "5"}, {"input_tokens": -5}, [], {"output_tokens": 1e99}])
def test_odd_usage_counts_nothing(usage: JsonValue) -> None:
    reading = counter(b"text/event-stream")
    reading.feed(event("message_delta", usage=usage) + b'data: {"usage"\n' + b"data: [" * 1000 + b'"usage"\n')
    assert reading.tokens() == RunNumbers()


def test_usage_windows_are_read_from_headers() -> None:
    headers = {
        "status": "allowed_warning", "reset": "1700000000", "representative-claim": "five_hour",
        "5h-utilization": "0.91", "5h-reset": "1700000000", "5h-status": "allowed_warning", "7d-utilization": "many",
    }  # fmt: skip
    assert limit_windows(
        [(f"Anthropic-Ratelimit-Unified-{name}".encode(), value.encode()) for name, value in headers.items()]
    ) == LimitWindows(
        "allowed_warning",
        "five_hour",
        1.7e9,
        {"5h": LimitWindow("allowed_warning", 0.91, 1.7e9), "7d": LimitWindow("", None, None)},
    )
    assert limit_windows([]) is None


@pytest.mark.parametrize("number", ["inf", "nan", "-1", "1e300", ""])
def test_what_is_no_share_and_no_moment_is_not_told(number: str) -> None:
    names = (b"status", b"reset", b"5h-utilization", b"5h-reset")
    windows = limit_windows([(b"anthropic-ratelimit-unified-" + name, number.encode()) for name in names])
    assert windows == LimitWindows(number, "", None, {"5h": LimitWindow("", None, None)})


async def test_every_answer_of_a_run_is_counted_and_its_bytes_are_not(boxes: Boxes) -> None:
    boxes.api.script("Hello", say("One."), rate_limited(1), overloaded(1), say("Two."))
    run = new_run()
    given = await boxes.admit(run)
    async with RawBox.to(given, tunnel=True) as box:
        answers = [await box.ask(request(given)) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 429, 529, 200]
    assert json.loads(answers[0].body)["content"] == [{"type": "text", "text": "One."}]
    await until(lambda: boxes.heard.numbers[run] == RunNumbers(requests=4, input=2000, output=200, cache=0, limited=1, errors=1))


async def test_the_last_numbers_are_told_before_a_run_is_dismissed(boxes: Boxes) -> None:
    run = new_run()
    given = await boxes.admit(run)
    async with RawBox.to(given, tunnel=True) as box:
        for _ in range(3):
            await box.ask(request(given))
    await boxes.gateway.dismiss(run)
    assert boxes.heard.numbers[run].requests == 3


@pytest.mark.slow
async def test_numbers_go_on_after_the_process_was_started_again(boxes: Boxes) -> None:
    run = new_run()
    given = await boxes.admit(run)
    for tokens in (1100, 2200):
        async with RawBox.to(given, tunnel=True) as box:
            assert (await box.ask(request(given))).status == 200
        await boxes.heard.tokens(run, tokens)
        await boxes.kill()


async def test_a_budget_is_told_once() -> None:
    told: list[RunNumbers] = []
    spent: list[None] = []
    tally = Tally(RunNumbers(), 10, told.append, lambda: spent.append(None))
    tally.require_rest()
    tally.add(RunNumbers(input=4, cache=6))
    for _ in range(2):
        with pytest.raises(RefusedRequest, match="budget of 10 tokens"):
            tally.require_rest()
    assert (len(told), len(spent)) == (1, 1)
