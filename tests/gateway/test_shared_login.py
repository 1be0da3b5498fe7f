"""What becomes of requests when the API refuses the login: held, told once, and sent again with the next one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ccterm.gateway.client import RunPass
from ccterm.gateway.shared_login import AnswerCache, CachedAnswer, SharedLogin
from tests.gateway.boxes import TOKEN, Boxes, login, new_run
from tests.gateway.raw import OAUTH, RawAnswer, RawBox, request
from tests.servers.model_script import Refuse, Text, Turn, say, unauthorized
from tests.support.waiting import until

ONCE = Refuse(401, "authentication_error", "Invalid bearer token", times=1)


@asynccontextmanager
async def asking(*passes: RunPass) -> AsyncIterator[list[asyncio.Future[RawAnswer]]]:
    """Have each of these runs ask at the same time; every one is a session of its own."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(RawBox.to(given, tunnel=True)) for given in passes]
        sessions = [b"X-Claude-Code-Session-Id: %d" % number for number in range(len(passes))]
        yield [
            asyncio.ensure_future(box.ask(request(given, session, OAUTH)))
            for box, given, session in zip(opened, passes, sessions, strict=True)
        ]


async def test_a_storm_of_refusals_is_told_once_and_ends_with_the_renewal(boxes: Boxes) -> None:
    boxes.api.script("Hello", ONCE, say("After all."))
    async with asking(*[await boxes.admit() for _ in range(16)]) as answers:
        await until(lambda: len(boxes.api.calls) == 16)
        await until(lambda: boxes.heard.refusals == ["login"])
        await boxes.gateway.renew("login", login("TWO"))
        assert [answer.status for answer in await asyncio.gather(*answers)] == [200] * 16
    assert boxes.heard.refusals == ["login"]
    assert [call.headers["authorization"] for call in boxes.api.calls] == [f"Bearer {TOKEN}"] * 16 + ["Bearer TWO"] * 16


@pytest.mark.slow
async def test_a_login_that_was_given_up_is_refused_at_once_until_a_run_is_admitted_with_it(boxes: Boxes) -> None:
    boxes.api.script("Hello", unauthorized())
    given = await boxes.admit()
    async with asking(given) as [answer]:
        await until(lambda: boxes.heard.refusals == ["login"])
        await boxes.gateway.give_up("login")
        refused = await answer
    assert (refused.status, b"Invalid bearer token" in refused.body) == (401, True)
    told = len(boxes.heard.waiting)
    async with asking(given) as [answer]:
        assert (await answer).status == 401
    await boxes.admit()  # its answer comes after all that was told before
    assert (boxes.heard.refusals, len(boxes.heard.waiting)) == (["login"], told)
    async with asking(await boxes.admit()) as [_]:
        await until(lambda: boxes.heard.refusals == ["login"] * 2)


async def test_it_is_told_which_runs_wait_for_a_login_and_when_none_of_their_requests_does_any_more(boxes: Boxes) -> None:
    boxes.api.script("Hello", ONCE, say("After all."))
    run = new_run()
    given = await boxes.admit(run)
    await boxes.admit()  # asks nothing, so that it does not wait either
    async with asking(given, given) as answers:
        await until(lambda: len(boxes.api.calls) == 2)
        await until(lambda: boxes.heard.waiting == [(run, True)])
        await boxes.gateway.renew("login", login("TWO"))
        assert [answer.status for answer in await asyncio.gather(*answers)] == [200, 200]
    await until(lambda: boxes.heard.waiting == [(run, True), (run, False)])


async def test_a_refusal_that_a_request_brought_upon_itself_says_nothing_of_the_login(boxes: Boxes) -> None:
    boxes.api.script("Hello", unauthorized())
    given = await boxes.admit()
    async with RawBox.to(given, tunnel=True) as box:
        assert (await box.ask(request(given))).status == 401  # the API wants a beta with an OAuth login
    assert boxes.heard.refusals == []


@pytest.mark.slow
async def test_the_same_login_is_no_renewal(boxes: Boxes) -> None:
    boxes.api.script("Hello", unauthorized())
    async with asking(await boxes.admit()) as [answer]:
        await until(lambda: boxes.heard.refusals)
        await boxes.gateway.renew("login", login(TOKEN))
        await boxes.gateway.give_up("login")
        assert (await answer).status == 401
    assert len(boxes.api.calls) == 1


@pytest.mark.slow
async def test_other_failures_are_passed_on_and_nothing_is_sent_twice(boxes: Boxes) -> None:
    boxes.api.script("Hello", Refuse(529, "overloaded_error"), Turn((Text("Never said."),)))
    async with asking(await boxes.admit()) as [answer]:
        assert (await answer).status == 529
    assert len(boxes.api.calls) == 1


async def test_who_was_refused_with_an_older_login_asks_again_at_once() -> None:
    told: list[None] = []
    shared = SharedLogin("authorization", "ONE", lambda: told.append(None), AnswerCache())
    shared.renew("authorization", "TWO")
    assert await shared.renewed(0, time.monotonic())
    assert told == []


async def test_a_refusal_is_passed_on_when_nobody_renews_the_login_in_time() -> None:
    told: list[None] = []
    shared = SharedLogin("authorization", "ONE", lambda: told.append(None), AnswerCache(), hold_seconds=0.05)
    assert not await shared.renewed(0, time.monotonic())
    assert not await shared.renewed(0, time.monotonic())
    assert len(told) == 1


async def test_a_login_that_is_renewed_when_the_time_is_up_is_not_given_up() -> None:
    told: list[None] = []
    shared = SharedLogin("authorization", "ONE", lambda: told.append(None), AnswerCache(), hold_seconds=0)
    waiting = asyncio.ensure_future(shared.renewed(0, time.monotonic()))
    await asyncio.sleep(0)  # it waits now, and its time is up in the next turn of the loop
    shared.renew("authorization", "TWO")
    assert await waiting
    await shared.renewed(1, time.monotonic())
    assert len(told) == 2


def test_what_the_api_answers_to_the_next_login_is_not_served_to_the_one_before() -> None:
    cache = AnswerCache()
    shared = SharedLogin("authorization", "ONE", lambda: None, cache)
    first, second = CachedAnswer(200, [], b"first"), CachedAnswer(200, [], b"second")
    shared.answers[b"/settings"] = first
    shared.renew("authorization", "TWO")
    assert shared.answers == {b"/settings": first}
    shared.answers[b"/settings"] = second
    assert SharedLogin("authorization", "ONE", lambda: None, cache).answers == {b"/settings": first}
