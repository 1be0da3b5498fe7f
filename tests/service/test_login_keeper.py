"""What becomes of runs whose login the gateway holds when it is refused or ends, with a clock that only the test moves."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from ccterm.causes import Cause
from ccterm.errors import PreflightError
from ccterm.gateway.client import LimitWindow, LimitWindows, RunNumbers
from ccterm.models import Run, RunId, State, Task
from ccterm.pipeline.gateway_access import GatewayAccess
from tests.service.keeper_world import Listener, World
from tests.support.logins import NOON, token

REFUSED = "the Claude login was refused; {} for the next one: run claude once, or ccterm auth setup"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.keeper, made.stack:
        yield made


async def test_a_run_gets_a_pass_and_never_the_login_and_its_end_makes_the_pass_void(world: World) -> None:
    listener, access = Listener(), GatewayAccess(world.keeper, token("old"), {})
    async with access.admitted(RunId("1"), listener) as run_pass:
        assert (run_pass.token.get_secret_value(), world.login_in_use) == ("pass of 1", "old")
        assert {"old", "pass of 1"} <= {*listener.masked}
    assert world.gateway.runs == {}


async def test_a_run_that_fails_is_dismissed_too(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with GatewayAccess(world.keeper, token("old"), {}).admitted(RunId("1"), Listener()):
            raise ZeroDivisionError
    assert world.gateway.runs == {}


async def test_an_api_key_has_a_header_of_its_own(world: World) -> None:
    world.login = token("key", kind="api-key")
    world.source.look(NOON)
    await world.admit("1")
    assert world.gateway.headers == {"x-api-key"}


async def test_sixteen_runs_whose_login_is_refused_share_one_look_and_go_on_with_the_next_one(world: World) -> None:
    runs = [await world.admit(str(number)) for number in range(16)]
    looks = world.looks
    for _ in range(16):
        world.keeper.refused(world.key)
    await world.pass_time(seconds=1)
    assert world.looks == looks + 1
    assert {tuple(run.notices) for run in runs} == {(REFUSED.format("16 runs wait"),)}
    world.login = token("new")
    await world.pass_time(seconds=4)
    assert (world.login_in_use, world.looks) == ("new", looks + 2)
    assert {run.notices[-1] for run in runs} == {"the run goes on with the next Claude login (the file)"}
    assert all("new" in run.masked for run in runs)
    await world.pass_time(minutes=30)
    assert world.looks == looks + 2


async def test_new_runs_are_held_while_a_login_is_refused_and_let_go_with_the_next_one(world: World) -> None:
    await world.admit("1")
    world.keeper.refused(world.key)
    await world.quiet()
    assert world.credentials.reason(world.entry("2")).startswith("Claude refused the login (the file)")
    world.login = token("new")
    await world.keeper.look_again()
    assert world.credentials.reason(world.entry("2")) == ""


async def test_after_nine_minutes_without_another_login_the_runs_get_the_refusal(world: World) -> None:
    run = await world.admit("1")
    world.keeper.refused(world.key)
    await world.pass_time(minutes=8, seconds=59)
    assert world.gateway.said == []
    await world.pass_time(seconds=10)
    assert world.gateway.said == ["give up old"]
    assert run.notices[-1] == "no other Claude login came within 9 minutes"


async def test_a_look_on_request_needs_no_seconds(world: World) -> None:
    await world.admit("1")
    world.keeper.refused(world.key)
    await world.pass_time(seconds=1)
    world.login = token("new")
    await world.keeper.look_again()
    assert world.login_in_use == "new"


async def test_a_login_that_a_submission_brings_follows_a_refused_one_that_came_that_way(world: World) -> None:
    world.login = token("old", kind="env")
    world.source.look(NOON)
    run = await world.admit("1")
    world.keeper.refused(world.key)
    await world.keeper.brought(SecretStr("old"))
    assert "submit something with another one" in run.notices[0]
    assert (world.login_in_use, len(run.notices)) == ("old", 1)
    await world.keeper.brought(SecretStr("new"))
    await world.pass_time(minutes=10)
    assert (world.login_in_use, len(run.notices)) == ("new", 2)


async def test_a_login_that_is_not_refused_is_not_replaced_by_what_a_submission_brings(world: World) -> None:
    world.login = token("old", kind="env")
    await world.admit("1")
    await world.keeper.brought(SecretStr("new"))
    assert world.login_in_use == "old"


async def test_a_refusal_that_passes_lets_the_runs_go_on_with_the_same_login(world: World) -> None:
    run = await world.admit("1")
    world.keeper.refused(world.key)
    world.accepts = True
    await world.pass_time(seconds=3)
    assert world.requests == 0
    await world.pass_time(seconds=1)
    assert (world.requests, world.gateway.said) == (1, ["try old again"])
    assert run.notices[-1] == "the run goes on: the Claude API takes the login again"
    assert world.credentials.reason(world.entry("2")) == ""


async def test_however_often_a_box_brings_a_refusal_about_the_api_is_asked_once_a_minute(world: World) -> None:
    await world.admit("1")
    world.accepts = True
    for _ in range(5):
        world.keeper.refused(world.key)
        await world.pass_time(seconds=10)
    assert world.requests == 1
    await world.pass_time(seconds=20)
    assert (world.requests, world.gateway.said) == (2, ["try old again"] * 2)


async def test_the_next_login_is_taken_before_the_end_of_the_last_one(world: World) -> None:
    world.login = token("old", minutes=60)
    world.source.look(NOON)
    run = await world.admit("1")
    looks = world.looks
    await world.pass_time(minutes=49)
    assert world.looks == looks
    world.login = token("new", minutes=600)
    await world.pass_time(minutes=2)
    assert (world.login_in_use, run.notices) == ("new", ["the run goes on with the next Claude login (the file)"])


async def test_a_login_that_ends_soon_holds_no_run_and_one_that_has_ended_does(world: World) -> None:
    world.login = token("old", minutes=5)
    world.source.look(NOON)
    assert world.credentials.reason(world.entry("1")) == ""
    world.at += timedelta(minutes=5)
    assert "ends at" in world.credentials.reason(world.entry("1"))


async def test_a_run_that_starts_later_brings_its_newer_login_to_all(world: World) -> None:
    first = await world.admit("1")
    world.at += timedelta(minutes=1)
    world.login = token("new")
    second = await world.admit("2")
    assert world.login_in_use == "new"
    assert (len(first.notices), second.notices) == (1, [])


async def test_a_run_that_ends_as_refused_with_the_newer_login_holds_those_that_would_get_it(world: World) -> None:
    await world.admit("1")
    world.keeper.refused(world.key)
    world.login = token("new")
    await world.pass_time(seconds=1)
    task = Task(prompt="p", repo="/r")
    world.credentials.run_finished(Run(id=RunId("1"), task=task, state=State.FAILED, cause=Cause.AUTH, created=NOON))
    assert "refused" in world.credentials.reason(world.entry("2"))


async def test_a_look_that_finds_nothing_changes_nothing(world: World) -> None:
    await world.admit("1")
    world.keeper.refused(world.key)
    world.login = PreflightError("there is no Claude login for containers", "log in")
    await world.pass_time(minutes=1)
    assert (world.login_in_use, world.gateway.said) == ("old", [])


async def test_callers_who_reach_the_api_in_other_ways_have_a_gateway_each(world: World) -> None:
    for run, environ in (("1", {"HTTPS_PROXY": "http://a", "HOME": "/x"}), ("2", {"https_proxy": "http://a"}), ("3", {})):
        await world.admit(run, environ=environ)
    assert [(gateway.environ, len(gateway.runs)) for gateway in world.gateways] == [({"HTTPS_PROXY": "http://a"}, 2), ({}, 1)]


async def test_what_the_gateway_tells_of_a_run_reaches_it_alone(world: World) -> None:
    one, two = await world.admit("1"), await world.admit("2")
    world.keeper.waits(RunId("1"), waits=True)
    world.keeper.unreachable(RunId("2"), "no route to host")
    assert (one.notices, two.notices) == (["waits"], ["the gateway cannot pass on what the agent asks: no route to host"])
    world.keeper.used(RunId("1"), RunNumbers(requests=3, output=9))
    world.keeper.over_budget(RunId("2"))
    world.keeper.used(RunId("9"), RunNumbers(requests=1))
    assert (one.numbers, two.numbers, one.spent, two.spent) == (RunNumbers(requests=3, output=9), None, False, True)


async def test_a_login_that_has_reached_a_limit_holds_new_runs_until_its_window_begins_anew(world: World) -> None:
    run, changes = await world.admit("1"), list[str]()
    world.usage.watch(lambda: changes.append("changed"))
    resets = (NOON + timedelta(hours=2)).timestamp()
    told = LimitWindows("rejected", "5h", resets, {"5h": LimitWindow("rejected", 1.0, resets), "7d": LimitWindow("", 0.4, None)})
    world.keeper.limits(world.key, told)
    assert [(window.limit, window.status, window.utilization) for window in run.windows] == [
        ("five_hour", "rejected", 1.0),
        ("seven_day", "allowed", 0.4),
    ]
    assert world.usage.reason(world.entry("2")).startswith("the 5-hour limit of the Claude login is reached; it resets at Mon ")
    await world.pass_time(minutes=119)
    assert changes == []
    await world.pass_time(minutes=1)
    assert (changes, world.usage.reason(world.entry("2"))) == (["changed"], "")


@pytest.mark.parametrize("binding", ["7d_opus", "seven_day_sonnet"])
async def test_a_limit_of_one_model_holds_nobody(world: World, binding: str) -> None:
    await world.admit("1")
    world.keeper.limits(world.key, LimitWindows("rejected", binding, NOON.timestamp() + 60, {}))
    assert world.usage.reason(world.entry("2")) == ""


async def test_a_login_that_is_answered_again_holds_nobody(world: World) -> None:
    await world.admit("1")
    world.keeper.limits(world.key, LimitWindows("rejected", "5h", NOON.timestamp() + 60, {}))
    world.keeper.limits(world.key, LimitWindows("allowed", "5h", None, {}))
    assert world.usage.reason(world.entry("2")) == ""
