"""What an agent has used while it works: tokens and turns from its messages, dollars from its results alone."""

import pytest
from pydantic import JsonValue

from ccterm.agents.stream import StreamParser
from ccterm.events import Spent
from ccterm.values import Tokens

Line = dict[str, JsonValue]


def message(key: str, *, given: int = 100, made: int = 10, cached: int = 0, parent: str | None = None) -> Line:
    usage: Line = {"input_tokens": given, "output_tokens": made, "cache_read_input_tokens": cached}
    return {"type": "assistant", "parent_tool_use_id": parent, "message": {"id": key, "content": [], "usage": usage}}


def ended(cost: float, given: int, made: int, turns: int = 1) -> Line:
    models: Line = {"sonnet": {"inputTokens": given, "outputTokens": made}}
    return {"type": "result", "is_error": False, "total_cost_usd": cost, "num_turns": turns, "modelUsage": models, "usage": {}}


def spent(*lines: Line) -> list[Spent]:
    parser = StreamParser()
    return [event for line in lines for event in parser.feed(line) if isinstance(event, Spent)]


def test_each_message_counts_once_with_its_largest_numbers() -> None:
    told = spent(message("a", made=1), message("a", made=1), message("a", made=40), message("b", made=5, cached=7))
    assert [(one.turns, one.input, one.output, one.cache) for one in told] == [(1, 100, 1, 0), (1, 100, 40, 0), (2, 200, 45, 7)]


def test_the_end_of_a_streamed_message_tells_how_long_it_became() -> None:
    start: Line = {"type": "message_start", "message": {"id": "a", "usage": {"input_tokens": 100, "output_tokens": 1}}}
    delta: Line = {"type": "message_delta", "usage": {"output_tokens": 300}}
    told = spent({"type": "stream_event", "event": start}, message("a", made=1), {"type": "stream_event", "event": delta})
    assert [one.output for one in told] == [1, 300]


def test_sub_agents_use_tokens_but_take_no_turns() -> None:
    assert [(one.turns, one.input) for one in spent(message("a"), message("b", parent="t1"))] == [(1, 100), (1, 200)]


def test_before_the_first_result_nothing_is_said_of_dollars() -> None:
    (told,) = spent(message("a"))
    assert (told.cost_usd, told.about_usd) == (0.0, None)


def test_after_a_result_its_cost_per_token_tells_about_what_more_cost() -> None:
    _, result, more = spent(message("a"), ended(0.50, given=900, made=100), message("b", given=400, made=100))
    assert (result.cost_usd, result.about_usd, result.turns) == (0.50, None, 1)
    assert (more.cost_usd, more.turns, more.input) == (0.50, 2, 1300)
    assert more.about_usd == pytest.approx(0.75)


def test_a_result_replaces_what_was_told_live() -> None:
    assert spent(message("a", given=5000), ended(0.50, given=900, made=100))[-1].input == 900


def test_what_the_gateway_counts_are_the_tokens_that_messages_tell_and_no_token_counts_twice() -> None:
    parser = StreamParser()
    (first,) = parser.feed(message("a", given=100, made=1))
    (counted,) = parser.counted(Tokens(input=400, output=90, cache=5), requests=2, throttled=1)
    assert isinstance(first, Spent)
    assert isinstance(counted, Spent)
    assert (counted.input, counted.output, counted.cache, counted.turns) == (400, 90, 5, 1)
    assert (counted.requests, counted.throttled) == (2, 1)
    (turn,) = parser.feed(message("b", given=100, made=50))
    assert isinstance(turn, Spent)
    assert (turn.input, turn.output, turn.turns) == (400, 90, 2)


def test_a_result_stands_until_the_next_turn_whatever_the_gateway_counts_late() -> None:
    parser = StreamParser()
    parser.feed(message("a"))
    parser.counted(Tokens(input=400), requests=2, throttled=0)
    (result,) = parser.feed(ended(0.50, given=900, made=100))
    assert isinstance(result, Spent)
    assert (result.input, result.requests) == (900, 2)
    (late,) = parser.counted(Tokens(input=950, output=110), requests=3, throttled=1)
    assert isinstance(late, Spent)
    assert (late.input, late.output, late.requests, late.throttled) == (900, 100, 3, 1)
    (more,) = parser.feed(message("b", given=1, made=1))
    assert isinstance(more, Spent)
    assert (more.input, more.output, more.requests, more.turns) == (950, 110, 3, 2)


@pytest.mark.parametrize("usage", [None, 5, [], {"input_tokens": "many"}, {"output_tokens": -3}])
def test_numbers_of_any_shape_do_no_harm(usage: JsonValue) -> None:
    line: Line = {"type": "assistant", "message": {"id": "a", "content": [], "usage": usage}}
    assert all(one.input == one.output == 0 for one in spent(line))
