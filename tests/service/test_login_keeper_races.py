"""What becomes of runs whose login is renewed while something else is under way, and of gateways that no run uses."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from ccterm.credentials.login import Login
from ccterm.credentials.login_probe import Proof
from ccterm.gateway.client import GatewayEvents, GatewayLogin
from ccterm.models import RunId
from ccterm.pipeline.gateway_access import GatewayAccess
from ccterm.service.login_keeper import IDLE
from tests.service.keeper_world import FakeGateway, Listener, World
from tests.support.logins import token

GOES_ON = "the run goes on with the next Claude login (CLAUDE_CODE_OAUTH_TOKEN)"


@dataclass(eq=False)
class SlowGateway(FakeGateway):
    """A gateway that is busy while it takes a login, as it does when it admits a run, so that something else may happen."""

    busy: Callable[[], Awaitable[None]] | None = None

    async def renew(self, login_key: str, login: GatewayLogin) -> None:
        await super().renew(login_key, login)
        if self.busy:
            await self.busy()


@dataclass
class Busy(World):
    """A world in which a submission brings `brings` while a run is admitted, or while the API is asked."""

    brings: str = ""

    async def _bring(self) -> None:
        value, self.brings = self.brings, ""
        if value:
            await self.keeper.brought(SecretStr(value))

    def make(self, environ: Mapping[str, str], events: GatewayEvents) -> FakeGateway:
        self.gateways.append(SlowGateway(environ, events, busy=self._bring))
        return self.gateways[-1]

    async def prove(self, login: Login) -> Proof:
        await self._bring()
        return await super().prove(login)


@pytest.fixture
async def world() -> AsyncIterator[Busy]:
    made = Busy(login=token("old", kind="env"))
    async with made.keeper, made.stack:
        yield made


async def test_a_login_that_comes_while_the_api_is_asked_about_the_refused_one_stays(world: Busy) -> None:
    run = await world.admit("1")
    world.keeper.refused(world.key)
    world.accepts, world.brings = True, "new"
    await world.pass_time(seconds=70)
    assert (world.requests, world.login_in_use, world.gateway.said) == (1, "new", [])
    assert run.notices[1:] == [GOES_ON]


async def test_a_login_that_comes_while_a_run_is_admitted_is_that_of_all_runs(world: Busy) -> None:
    run = await world.admit("1")
    world.keeper.refused(world.key)
    assert "refused" in world.credentials.reason(world.entry("2"))
    world.brings = "new"
    async with world.keeper.admitted(RunId("2"), GatewayAccess(world.keeper, token("old", kind="env"), {}), Listener()):
        assert world.login_in_use == "new"
    assert run.notices[1:] == [GOES_ON]


async def test_of_many_environments_only_a_few_keep_a_gateway_that_no_run_uses(world: Busy) -> None:
    await world.admit("0", environ={"HTTPS_PROXY": "http://first"})
    for number in range(1, 3 * IDLE):
        access = GatewayAccess(world.keeper, token("old", kind="env"), {"HTTPS_PROXY": f"http://{number}"})
        async with world.keeper.admitted(RunId(f"{number}"), access, Listener()):
            pass
    still = [gateway for gateway in world.gateways if "closed" not in gateway.said]
    assert still == [world.gateways[0], *world.gateways[-IDLE:]]
    await world.stack.aclose()
    await world.keeper.__aexit__()
    assert all(gateway.said == ["closed"] for gateway in world.gateways)
