"""Every command and every error survives the trip over the socket, and every verb is carried out by the method of its name."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ccterm.causes import Cause
from ccterm.credentials.export import Exported
from ccterm.daemon.machine import ThisMachine
from ccterm.daemon.server import listening
from ccterm.draft import BatchFile, Draft
from ccterm.errors import CctermError, DaemonError, StepError, TaskFileError, UsageError
from ccterm.models import Allowances, BranchState, BranchUse, CheckResult, ExecutionMode, Run, RunId, State, Task
from ccterm.output.own_text import clean_text
from ccterm.service import commands
from ccterm.service.caller import CallerEnvironment
from ccterm.service.command_base import ServiceCommand, StreamCommand
from ccterm.service.commands import AnyCommand, Request, from_line, request_line
from ccterm.service.local import LocalService
from ccterm.service.lock import DaemonLock
from ccterm.service.protocol import Service
from ccterm.service.reader import RecordReader
from ccterm.service.remote import RemoteService, attached
from ccterm.service.wire import LINE_VALUES, Reply, WireError, error_classes
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.values import Decision, Terminal, to_json

R = TypeVar("R")

COMMANDS: tuple[type[ServiceCommand[object]], ...] = get_args(AnyCommand)
TEXTS = st.text(max_size=20)
MESSAGES = TEXTS.filter(lambda text: bool(text.strip()) and "\0" not in text)
WORDS = TEXTS.map(clean_text)
"""What an error says, as it crosses: the daemon has cleaned it."""
NAMES = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26).map(RunId)
ONE = RunId("01ARZ3NDEKTSV4RRFFQ69G5FAV")
COUNTS = st.none() | st.integers(0, 10**6)
DURATIONS = st.none() | st.timedeltas(timedelta(microseconds=1), timedelta(days=7))
DRAFTS = st.builds(
    Draft,
    repo=st.just("https://github.com/acme/shop"),
    task=MESSAGES,
    execution_mode=st.none() | st.sampled_from(ExecutionMode),
    timeout=DURATIONS,
    silence=DURATIONS,
    budget=st.none() | st.floats(0.01, 1e6),
    hold=st.none() | st.booleans(),
    allow_path=st.none() | st.tuples(st.just("*.lock"), st.just("ü/**")),
)
ALLOWANCES = st.builds(Allowances, deletions=COUNTS, lines=COUNTS, files=COUNTS, paths=st.tuples(TEXTS))
FIELDS: dict[str, st.SearchStrategy[object]] = {
    "drafts": st.lists(DRAFTS, max_size=3).map(tuple),
    "max_concurrent": st.none() | st.integers(1, 256),
    "source": st.none() | st.builds(BatchFile, path=TEXTS, digest=TEXTS),
    "run": NAMES,
    "now": st.booleans(),
    "text": MESSAGES,
    "request": TEXTS,
    "decision": st.sampled_from(get_args(Decision)),
    "key": st.none(),
    "branch": st.none() | TEXTS,
    "fresh": st.booleans(),
    "allow": ALLOWANCES,
    "only": st.lists(TEXTS, max_size=3).map(tuple),
    "hosts": st.lists(TEXTS, max_size=3).map(tuple),
    "execution_mode": st.none() | st.sampled_from(ExecutionMode),
    "here": st.none() | TEXTS,
    "repo": st.none() | TEXTS,
    "terminal": st.builds(Terminal, socket=TEXTS, rows=st.integers(1, 9999), columns=st.integers(1, 9999), kind=st.just("screen-256color")),
}


def commands_of(kind: type[ServiceCommand[object]]) -> st.SearchStrategy[ServiceCommand[object]]:
    return st.fixed_dictionaries({name: FIELDS[name] for name in kind.model_fields if name != "do"}).map(kind.model_validate)


COMMAND = st.sampled_from(COMMANDS).flatmap(commands_of)


@given(COMMAND)
def test_a_command_is_the_same_at_the_other_end(command: ServiceCommand[object]) -> None:
    line = request_line(command)
    assert line.index(b"\n") == len(line) - 1
    assert from_line(line) == Request.model_validate({"command": command})


def test_the_environment_of_a_caller_is_the_same_at_the_other_end_and_nowhere_else() -> None:
    sent = CallerEnvironment.of({"PATH": "/bin", "GH_TOKEN": "ghp_secret", "HTTPS_PROXY": "http://u:pass@h", "OTHER": "x"}, Settings())
    received = from_line(request_line(commands.Plan(drafts=()), sent)).environment
    assert received == sent
    assert set(sent.secrets) == {"GH_TOKEN", "HTTPS_PROXY"}
    assert sent.others == ("OTHER",)
    for told in (repr(sent), str(sent), sent.model_dump_json(), to_json(sent.without_secrets()).decode()):
        assert "ghp_secret" not in told
        assert "pass@" not in told


def errors_of(kind: type[CctermError]) -> st.SearchStrategy[CctermError]:
    if issubclass(kind, StepError):
        return st.builds(kind, st.sampled_from(Cause), WORDS, WORDS, reason=TEXTS)
    if issubclass(kind, TaskFileError):
        return st.builds(kind, WORDS, WORDS, line=st.integers(1, 10**6), column=st.integers(1, 10**6))
    return st.builds(kind, WORDS, WORDS)


@given(st.sampled_from(list(error_classes())).flatmap(errors_of))
def test_an_error_is_the_same_at_the_other_end(error: CctermError) -> None:
    line = to_json(Reply(error=WireError.of(error)))
    received = Reply.model_validate_json(line).error
    assert received is not None
    again = received.error()
    assert type(again) is type(error)
    assert (vars(again), str(again)) == (vars(error), str(error))


def test_an_error_of_a_newer_version_keeps_its_message() -> None:
    again = WireError(type="QuotaError", message="no more today", fix="wait").error()
    assert isinstance(again, DaemonError)
    assert str(again) == "no more today; wait"


RUN = Run(
    id=RunId("01"),
    task=Task(prompt="p", repo="/r", execution_mode=ExecutionMode.LOCAL),
    state=State.FAILED,
    cause=Cause.PUSH,
    created=datetime(2026, 3, 2, 12, tzinfo=UTC),
    attempts=(RunId("00"), RunId("01")),
)
RESULTS: dict[str, object] = {"submit": [RUN], "plan": [RUN.task]} | dict.fromkeys(
    ("retry", "continue_", "shell", "commit", "clean", "push", "apply", "undo", "review", "allow_hosts"), RUN
)
LAST = BranchUse(run=RUN.id, label=RUN.label, at=RUN.created, active=False)
RESULTS |= {"renewed": [RUN.id], "make_way": True, "branches": [BranchState(branch="agent/x", tip="0" * 40, last=LAST), None]}

EXAMPLES: dict[str, object] = {
    "drafts": (Draft(task="Fix it", repo="https://github.com/acme/shop", timeout=timedelta(minutes=5)),),
    "max_concurrent": 3,
    "source": BatchFile(path="/tasks.yaml", digest="0" * 64),
    "run": ONE,
    "now": True,
    "text": "go on",
    "request": "q1",
    "decision": "always",
    "key": None,
    "branch": "agent/more",
    "fresh": True,
    "allow": Allowances(lines=900, paths=("*.lock",)),
    "only": ("a.py",),
    "hosts": ("pypi.org",),
    "execution_mode": "local",
    "repo": "/r",
    "here": "/r",
    "terminal": Terminal(socket="/run/t.sock", rows=40, columns=132),
}


class Echo(RecordReader, Service):
    """Performs nothing: records each command, and returns a fixed result for its verb, or raises."""

    def __init__(self, state: StateDir, store: Store) -> None:
        super().__init__(state, store, daemon_alive=lambda: True)
        self.performed: list[object] = []
        self.refusal: CctermError | None = None

    async def perform(self, command: ServiceCommand[R]) -> R:
        self.performed.append(command)
        if self.refusal:
            raise self.refusal
        return command.unpack(TypeAdapter(object).dump_python(RESULTS.get(command.do), mode="json"))

    async def checks(
        self, execution_mode: ExecutionMode | None = None, *, repo: str | None = None, branch: str | None = None, here: str | None = None
    ) -> AsyncIterator[CheckResult]:
        self.performed.append(commands.Checks(execution_mode=execution_mode, repo=repo, branch=branch, here=here))
        for name in ("git", "login"):
            yield CheckResult(name=name, group=name, status="pass", text=f"for {execution_mode}")
        if self.refusal:
            raise self.refusal


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    state = StateDir(tmp_path / "state").prepare()
    with closing(Store.open(state.db)) as store:
        yield Echo(state, store)


@given(COMMAND)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_command_reaches_the_method_of_its_name_with_all_arguments(echo: Echo, command: ServiceCommand[object]) -> None:
    echo.performed.clear()
    result = asyncio.run(command.execute(echo))
    assert echo.performed == [command]
    assert result == RESULTS.get(command.do)


@pytest.fixture
async def remote(echo: Echo, tmp_path: Path) -> AsyncIterator[RemoteService]:
    """What another process has of it: the daemon's server and socket in between."""
    async with listening(echo, echo.state):
        with attached(echo.state, DaemonLock(echo.state), ThisMachine(echo.state, {})) as service:
            yield service


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
async def test_each_verb_returns_the_same_from_another_process(
    kind: type[ServiceCommand[object]], echo: Echo, remote: RemoteService
) -> None:
    command = kind.model_validate({name: EXAMPLES[name] for name in kind.model_fields if name != "do"})
    assert await remote.perform(command) == RESULTS.get(command.do)
    assert echo.performed == [command]


async def test_an_error_is_raised_as_its_own_class_in_the_other_process(echo: Echo, remote: RemoteService) -> None:
    echo.refusal = StepError(Cause.PUSH, "the remote refused", "read its words", reason="hook")
    with pytest.raises(StepError) as caught:
        await remote.push(ONE)
    assert vars(caught.value) == vars(echo.refusal)


async def test_an_argument_that_does_not_fit_is_a_usage_error_and_is_not_sent(echo: Echo, remote: RemoteService) -> None:
    with pytest.raises(UsageError, match="text is not text; write text, in quotes"):
        await remote.steer(ONE, 5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="branch is not text"):
        await remote.continue_(ONE, "go on", branch=5)  # type: ignore[arg-type]
    assert echo.performed == []


class Laptop:
    """A machine with answers of its own."""

    environ: Mapping[str, str] = {}

    def caller(self) -> CallerEnvironment:
        return CallerEnvironment()

    async def make_image(self) -> AsyncIterator[str]:
        yield "built"

    async def export_login(self) -> Exported:
        return Exported(path=Path("/login.json"), until=datetime(2026, 3, 2, tzinfo=UTC))


async def test_what_concerns_the_machine_is_asked_of_the_one_that_was_given_and_of_no_daemon(echo: Echo) -> None:
    with attached(echo.state, DaemonLock(echo.state), Laptop()) as service:
        assert [line async for line in service.make_image()] == ["built"]
    assert echo.performed == []


async def test_the_daemon_is_asked_what_would_keep_runs_from_starting_and_answers_one_by_one(echo: Echo, remote: RemoteService) -> None:
    assert [check.text async for check in remote.checks(ExecutionMode.LOCAL, repo="/r")] == ["for local"] * 2
    assert echo.performed == [commands.Checks(execution_mode=ExecutionMode.LOCAL, repo="/r")]
    [_ async for _ in remote.checks()]
    assert echo.performed[1:] == [commands.Checks(here=str(Path.cwd()))]  # where the daemon is says nothing
    echo.refusal = UsageError("no", "never")
    answers = remote.checks()
    answered = [await anext(answers), await anext(answers)]
    with pytest.raises(UsageError):
        await anext(answers)
    assert [check.name for check in answered] == ["git", "login"]


async def test_an_exported_login_is_looked_at_at_once(echo: Echo) -> None:
    async with listening(echo, echo.state):
        with attached(echo.state, DaemonLock(echo.state), Laptop()) as service:
            assert (await service.export_login()).path == Path("/login.json")
    assert echo.performed == [commands.LookAgain()]


async def test_a_command_that_the_daemon_does_not_know_is_refused(remote: RemoteService) -> None:
    class Dance(ServiceCommand[None]):
        do: str = "dance"

        async def execute(self, service: Service) -> None:
            raise AssertionError("never sent")

    with pytest.raises(UsageError, match="does not understand this command"):
        await remote.perform(Dance())


async def test_a_command_of_more_values_than_are_parsed_is_refused_in_a_sentence(remote: RemoteService) -> None:
    class Flood(ServiceCommand[None]):
        do: str = "cancel"
        run: list[list[int]] = [[]] * (LINE_VALUES + 1)

        async def execute(self, service: Service) -> None:
            raise AssertionError("never sent")

    with pytest.raises(UsageError, match="the daemon does not take more than 1,000,000 values of JSON in one command"):
        await remote.perform(Flood())


def odd_lines() -> Iterator[bytes]:
    """Yield what no client sends: wrong shapes, halves of a command, bytes at random, and two commands where one belongs."""
    whole = b'{"command":{"do":"cancel","run":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}}'
    yield from (
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'{"do":"cancel","run":"01"}\n',
        b'{"command":{"do":7}}\n',
        b'{"command":{"do":"cancel"}}\n',
        b'{"command":{"do":"cancel","run":{}}}\n',
        b'{"command":{"do":"cancel","run":"01"},"environment":7}\n',
        b"[" * 9999 + b"\n",
    )
    yield from (whole[:length] for length in range(1, len(whole), 5))
    chance = random.Random(1)
    yield from (chance.randbytes(chance.randrange(60)) + b"\n" for _ in range(40))
    yield b'{"command":{"do":"cancel","run":"01","execute":"x"}}\n'


async def test_whatever_arrives_on_the_socket_performs_nothing_and_the_next_command_is_carried_out(
    echo: Echo, remote: RemoteService
) -> None:
    path = echo.state.socket_address.read_text().strip()
    for line in odd_lines():
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        writer.write_eof()
        answers = (await reader.read()).split(b"\n")
        writer.close()
        assert len(answers) <= 3  # the greeting, at most one reply, and nothing
    assert echo.performed == []
    await remote.cancel(ONE)
    assert len(echo.performed) == 1


def test_every_command_can_be_read_and_has_a_verb_that_the_daemon_carries_out() -> None:
    generic = [each for base in (ServiceCommand, StreamCommand) for each in base.__subclasses__()]
    defined = {kind for base in generic for kind in base.__subclasses__() if kind.__module__ == commands.__name__}
    assert defined == set(COMMANDS)
    for kind in COMMANDS:
        verb = kind.model_fields["do"].default
        assert getattr(LocalService, verb) is not getattr(Service, verb), f"LocalService does not carry {verb} out"
