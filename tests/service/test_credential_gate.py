"""The gate for logins, with a clock that only the test moves: what holds runs, how often it looks for another login, and what lets them go on."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from pydantic import SecretStr

from ccterm.causes import Cause
from ccterm.credentials.login import Login
from ccterm.errors import PreflightError
from ccterm.models import BatchId, ExecutionMode, Run, RunId, State, Task
from ccterm.service.credential_gate import AgentLogin, CredentialGate
from ccterm.service.gates import QueueEntry
from tests.support.logins import NOON, LoginWorld, token
from tests.support.waiting import until


@dataclass
class World(LoginWorld):
    """A gate, and how often it signalled a change."""

    signals: int = 0

    def __post_init__(self) -> None:
        self.login = token("old", minutes=480)
        self.gate = CredentialGate(clock=lambda: self.at, later=self.later)
        self.gate.watch(self._signal)
        self.agent_login = AgentLogin(self.look, self.prove)
        self.agent_login.look(NOON)
        self.queue: dict[str, str] = {}

    async def quiet(self) -> None:
        await until(lambda: not self.gate.probing)

    def _signal(self) -> None:
        self.signals += 1
        for run in list(self.queue):
            self.ask(run)

    def ask(self, run: str) -> str:
        """Ask whether a queued run may start; it leaves the queue when it may."""
        entry = QueueEntry(RunId(run), BatchId("b"), ("host/repo", run), ExecutionMode.DAGGER, credential=self.agent_login)
        self.queue[run] = self.gate.reason(entry)
        return self.queue[run] or str(self.queue.pop(run))

    def runs(self, run: str, cause: Cause | None = Cause.AUTH, *, turns: int = 0) -> None:
        """Let a run start now and end."""
        assert self.ask(run) == ""
        self.ended(run, cause, turns=turns)

    def ended(self, run: str, cause: Cause | None, *, turns: int = 0) -> None:
        assert isinstance(self.login, Login)
        self.gate.leased(RunId(run), self.login)
        state = State.FAILED if cause else State.SUCCEEDED
        task = Task(prompt="p", repo="/r")
        self.gate.run_finished(
            Run(id=RunId(run), task=task, state=state, cause=cause, created=self.at, started=self.at + timedelta(seconds=1), turns=turns)
        )


@pytest.fixture
def world() -> World:
    return World()


def test_a_login_that_lasts_holds_nobody(world: World) -> None:
    assert world.ask("1") == ""
    assert world.looks == 1


async def test_one_that_ends_in_ten_minutes_holds_until_there_is_another_and_is_looked_at_once_a_minute(world: World) -> None:
    world.at += timedelta(hours=7, minutes=51)
    assert "the Claude login (the file) ends at" in world.ask("1")
    assert "run claude once, or ccterm auth setup" in world.ask("2")
    await world.pass_time(minutes=3)
    assert world.looks <= 1 + 4
    assert world.queue.keys() == {"1", "2"}
    world.login = token("new", minutes=960)
    await world.pass_time(minutes=1)
    assert world.queue == {}
    assert world.requests == 0


def test_a_login_without_an_end_or_of_the_user_holds_nobody(world: World) -> None:
    for login in (token("env", kind="env"), Login(kind="own", source="the file", expires_at=NOON)):
        world.login = login
        world.agent_login.look(NOON)
        assert world.ask("1") == ""


async def test_a_refused_login_holds_all_runs_that_would_get_it_and_a_newer_one_lets_them_go(world: World) -> None:
    world.runs("1")
    for run in ("2", "3"):
        assert world.ask(run).startswith("Claude refused the login (the file); run claude and type /login")
    assert world.gate.renewed() == []
    world.login = token("new", minutes=960)
    await world.pass_time(minutes=1)
    assert world.queue == {}
    assert world.gate.renewed() == ["1"]
    world.gate.forget(RunId("1"))
    assert world.gate.renewed() == []


async def test_the_api_is_asked_about_a_refused_login_once_a_minute_however_many_runs_wait(world: World) -> None:
    for run in ("1", "2", "3"):
        assert world.ask(run) == ""
    for run in ("1", "2", "3"):
        world.ended(run, Cause.AUTH)
    for number in range(10, 30):
        world.ask(str(number))
    await world.pass_time(minutes=5, seconds=1)
    assert world.requests == 5
    assert world.looks == 1 + 5
    world.accepts = True
    await world.pass_time(minutes=1)
    assert (world.queue, world.requests) == ({}, 6)
    assert world.gate.renewed() == ["1", "2", "3"]


async def test_nobody_asks_the_api_while_no_run_waits(world: World) -> None:
    world.runs("1")
    await world.pass_time(minutes=5)
    assert world.requests == 0
    world.login = token("new", minutes=960)
    await world.pass_time(minutes=1)
    assert world.gate.renewed() == ["1"]


async def test_a_look_on_request_needs_no_minute_and_asks_nobody_else(world: World) -> None:
    world.runs("1")
    world.ask("2")
    world.login = token("new", minutes=960)
    await world.gate.look_again()
    assert (world.queue, world.requests) == ({}, 0)


async def test_a_login_of_the_user_that_tells_nothing_is_tried_by_one_run_a_minute(world: World) -> None:
    world.login = Login(kind="own", source="the keychain")
    world.agent_login.look(NOON)
    world.runs("1")
    assert world.ask("2") != ""
    assert world.ask("3") != ""
    await world.pass_time(minutes=1)
    assert world.queue.keys() == {"3"}
    world.ended("2", Cause.AUTH)
    assert world.ask("3") != ""
    await world.pass_time(minutes=1)
    assert world.queue == {}
    assert world.ask("4") != ""
    world.ended("3", None, turns=1)
    assert world.ask("4") == ""


async def test_a_login_that_is_gone_holds_and_says_why(world: World) -> None:
    world.login = PreflightError("there is no Claude login for containers", "log in")
    world.agent_login.look(NOON)
    assert world.ask("1") == "there is no Claude login for containers; log in"
    world.login = token("new", minutes=480)
    await world.pass_time(minutes=1)
    assert world.queue == {}


async def test_a_look_that_fails_in_an_unforeseen_way_is_made_again_a_minute_later(world: World) -> None:
    world.runs("1")
    world.ask("2")
    world.login = ZeroDivisionError("a defect")
    await world.pass_time(minutes=1)
    assert (world.looks, list(world.queue)) == (2, ["2"])
    world.login = token("new", minutes=960)
    await world.pass_time(minutes=1)
    assert (world.looks, world.queue) == (3, {})


async def test_a_login_that_a_submission_brought_follows_the_one_that_was_refused(world: World) -> None:
    world.login = token("old", kind="env")
    world.agent_login.look(NOON)
    world.runs("1")
    assert "set another one" in world.ask("2")
    world.gate.brought(SecretStr("old"))
    assert world.gate.renewed() == []
    world.gate.brought(SecretStr("new"))
    assert world.gate.renewed() == ["1"]


def test_fifty_runs_that_are_submitted_together_share_one_look(world: World) -> None:
    assert {world.ask(str(number)) for number in range(50)} == {""}
    assert world.looks == 1


async def test_no_part_of_a_login_is_in_what_the_gate_says(world: World) -> None:
    world.login = token("sk-ant-oat01-abcdefgh", minutes=480)
    world.agent_login.look(NOON)
    world.runs("1")
    assert "abcdefgh" not in world.ask("2") + repr(vars(world.gate))
