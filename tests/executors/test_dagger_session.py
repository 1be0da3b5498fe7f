"""Sessions with engines: connecting, failing, closing and reconnecting, and which engine a run gets."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.base import Boxes
from ccterm.executors.dagger.engine import RUNS_PER_SESSION, Engine
from ccterm.executors.dagger.executor import DaggerExecutor, DaggerOptions, EngineChoice
from ccterm.executors.dagger.images import Images
from ccterm.executors.dagger.session import Session
from ccterm.models import RunId, new_id
from ccterm.values import ImageChoice
from tests.dagger_engine.engine import Ending, FakeEngine
from tests.dagger_engine.tools import make_cli
from tests.executors.contract import Heard, shell_step
from tests.support.fake_engine import Fake
from tests.support.waiting import until, wait_until

Executors = Callable[[DaggerOptions], DaggerExecutor]


@pytest.fixture
def opened(engine_cache: Path, bundles: Path) -> Executors:
    return lambda options: DaggerExecutor(options, cache=engine_cache, bundles=bundles)


@pytest.fixture
def other() -> Iterator[FakeEngine]:
    with FakeEngine() as engine:
        yield engine


@asynccontextmanager
async def a_run(executor: DaggerExecutor) -> AsyncIterator[Boxes]:
    async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
        yield boxes


async def carried_out(executor: DaggerExecutor, heard: Heard) -> None:
    """Run a step that prints when it has begun, and does not end."""
    async with a_run(executor) as boxes:
        await boxes.execute(shell_step("echo began; sleep 60"), heard.append)


def children(engine: FakeEngine) -> list[psutil.Process]:
    """Return our `dagger session` processes for an engine."""
    return [process for process in psutil.Process().children(recursive=True) if _is_session(process, engine)]


def _is_session(process: psutil.Process, engine: FakeEngine) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("_EXPERIMENTAL_DAGGER_RUNNER_HOST") == engine.runner
    except (psutil.Error, OSError):  # it has just ended
        return False


async def refusal(executor: DaggerExecutor) -> PreflightError:
    """Return the error with which an executor refuses to prepare."""
    async with executor:
        with pytest.raises(PreflightError) as refused:
            await executor.prepare(ImageChoice())
    return refused.value


async def test_a_missing_engine_is_named_at_once(fake: Fake, opened: Executors) -> None:
    fake.engine.stop()
    error = await refusal(opened(fake.options()))
    assert fake.engine.runner in error.message
    assert "cannot be reached" in error.message
    assert "--mode local" in error.fix


async def test_a_closed_port_is_named_at_once(fake: Fake, opened: Executors) -> None:
    error = await refusal(opened(replace(fake.options(), engines=(EngineChoice("tcp://127.0.0.1:9"),))))
    assert "tcp://127.0.0.1:9 cannot be reached" in error.message


@pytest.mark.slow
async def test_connecting_to_an_engine_that_opens_no_session_times_out_after_ten_seconds(fake: Fake, opened: Executors) -> None:
    fake.engine.faults.deaf = True
    async with asyncio.timeout(60):
        error = await refusal(opened(fake.options()))
    assert "did not open a session in time" in error.message
    wait_until(lambda: not children(fake.engine))


async def test_without_a_cli_the_fix_is_to_install_one(fake: Fake, opened: Executors, tmp_path: Path) -> None:
    error = await refusal(opened(replace(fake.options(), cli=tmp_path / "nowhere")))
    assert str(tmp_path / "nowhere") in error.message
    assert "install.sh" in error.fix


@pytest.mark.parametrize("version", ["0.20.3", "1.0.0", "what"])
async def test_a_cli_of_another_series_is_refused_with_its_version(version: str, fake: Fake, opened: Executors, tmp_path: Path) -> None:
    cli = make_cli(tmp_path / "old", version=version)
    error = await refusal(opened(replace(fake.options(), cli=cli)))
    assert "0.21" in error.message
    assert version in error.message or "of unknown version" in error.message


@pytest.mark.parametrize(
    ("says", "fix"),
    [
        pytest.param("", "start Docker", id="no docker"),
        pytest.param(
            "start engine: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "docker group",
            id="no permission",
        ),
    ],
)
async def test_a_docker_problem_is_reported_with_its_fix(says: str, fix: str, fake: Fake, opened: Executors, tmp_path: Path) -> None:
    cli = make_cli(tmp_path / "alone", says=says)
    error = await refusal(opened(replace(fake.options(), cli=cli, engines=(EngineChoice(),))))
    assert "cannot be used: start engine" in error.message
    assert fix in error.fix


async def test_an_engine_that_the_cli_finds_is_used(fake: Fake, opened: Executors, tmp_path: Path) -> None:
    cli = make_cli(tmp_path / "finds", default=fake.engine.runner)
    async with opened(replace(fake.options(), cli=cli, engines=(EngineChoice(),))) as executor, a_run(executor) as boxes:
        result = await boxes.execute(shell_step("true"), Heard().append)
    assert result.report
    assert result.report["ok"]


async def test_an_engine_that_forbids_closed_networks_is_found_out_before_a_run_starts(fake: Fake, opened: Executors) -> None:
    async with opened(fake.options()) as executor:
        await executor.prepare(ImageChoice())
        with pytest.raises(PreflightError, match="this engine cannot close the network of a box") as refused:
            await executor.prepare(ImageChoice(), closed=True)
        assert 'egress = "open"' in refused.value.fix


async def test_engines_know_a_user_by_where_images_are_kept(fake: Fake, engine_cache: Path, bundles: Path, tmp_path: Path) -> None:
    """An engine keeps an image again for each identity of the CLI."""
    identities = []
    for home in ("one", "other"):
        environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / home)}
        async with DaggerExecutor(fake.options(), cache=engine_cache, bundles=bundles, environ=environ) as executor:
            await executor.prepare(ImageChoice())
            identities += [process.environ()["XDG_STATE_HOME"] for process in children(fake.engine)]
    assert identities == [str(engine_cache / "identity")] * 2


async def test_leaving_ends_the_session_and_its_process(fake: Fake, opened: Executors) -> None:
    async with opened(fake.options()) as executor:
        await executor.prepare(ImageChoice())
        assert fake.engine.sessions == len(children(fake.engine)) == 1
    assert children(fake.engine) == []
    await until(lambda: fake.engine.sessions == 0)


async def test_the_cli_is_started_where_there_is_no_repository(fake: Fake, opened: Executors) -> None:
    async with opened(fake.options()) as executor:
        await executor.prepare(ImageChoice())
        assert [child.cwd() for child in children(fake.engine)] == ["/"]


@pytest.mark.slow
async def test_a_process_that_does_not_end_is_killed(fake: Fake, opened: Executors, tmp_path: Path) -> None:
    cli = make_cli(tmp_path / "deaf", deaf=True)
    async with asyncio.timeout(60):
        async with opened(replace(fake.options(), cli=cli)) as executor:
            await executor.prepare(ImageChoice())
    assert children(fake.engine) == []


@pytest.mark.first_is_fast
@pytest.mark.parametrize("ending", ["silent", "cut", "error"])
async def test_however_a_session_closes_the_error_is_that_the_engine_went_away(ending: Ending, fake: Fake, opened: Executors) -> None:
    fake.engine.faults.ending = ending
    heard = Heard()
    async with opened(fake.options()) as executor:
        running = asyncio.ensure_future(carried_out(executor, heard))
        await heard.until_line("began")
        [child] = children(fake.engine)
        child.send_signal(signal.SIGTERM)
        with pytest.raises(StepError) as lost:
            await running
    assert (lost.value.cause, lost.value.reason) == (Cause.ENGINE, "gone")


async def test_a_killed_session_ends_its_own_runs_and_no_others(fake: Fake, other: FakeEngine, opened: Executors) -> None:
    heards = [Heard(), Heard()]
    async with opened(fake.options(other)) as executor, AsyncExitStack() as stack:
        runs = [await stack.enter_async_context(a_run(executor)) for _ in heards]
        steps = [shell_step("echo began; sleep 60"), shell_step("echo began; until [ -e /dev/null/x ]; do sleep 0.1; done")]
        running = [asyncio.ensure_future(boxes.execute(step, heard.append)) for boxes, step, heard in zip(runs, steps, heards, strict=True)]
        for heard in heards:
            await heard.until_line("began")
        [child] = children(fake.engine)
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(StepError) as lost:
            await running[0]
        assert (lost.value.cause, lost.value.reason) == (Cause.ENGINE, "gone")
        result = await runs[1].execute(shell_step("true"), Heard().append)
        assert result.report
        assert not running[1].done()
        running[1].cancel()
        await asyncio.wait([running[1]])


@pytest.mark.slow
async def test_a_step_whose_output_comes_late_was_not_reused(fake: Fake, opened: Executors) -> None:
    fake.engine.faults.late_logs = 0.5
    async with opened(fake.options()) as executor, a_run(executor) as boxes:
        step = shell_step(f"sleep 0.4; echo {new_id()}", reuse=True)
        assert [(await boxes.execute(step, Heard().append)).reused for _ in range(2)] == [False, True]


async def test_an_engine_that_dies_is_used_again_once_it_is_back(fake: Fake, opened: Executors) -> None:
    told, heard = list[str](), Heard()
    async with opened(fake.options()) as executor:
        executor.watch(lambda: told.append(executor.trouble()))
        running = asyncio.ensure_future(carried_out(executor, heard))
        await heard.until_line("began")
        await asyncio.to_thread(fake.engine.stop)
        with pytest.raises(StepError, match="went away"):
            await running
        assert fake.engine.runner in executor.trouble()
        fake.engine.start()
        await until(lambda: executor.trouble() == "")
        assert [bool(text) for text in told] == [True, False]
        async with a_run(executor) as boxes:
            assert (await boxes.execute(shell_step("true"), Heard().append)).report


async def test_an_engine_that_cannot_be_connected_to_is_set_aside_while_another_lives(
    fake: Fake, other: FakeEngine, opened: Executors
) -> None:
    fake.engine.stop()
    async with opened(fake.options(other)) as executor:
        await executor.prepare(ImageChoice())
        async with a_run(executor) as boxes:
            assert (await boxes.execute(shell_step("true"), Heard().append)).report
        dead, alive = executor.engines
        assert "cannot be reached" in dead.trouble
        assert (alive.trouble, executor.trouble(), len(other.executed) > 0) == ("", "", True)
        fake.engine.start()
        await until(lambda: dead.trouble == "")
        async with a_run(executor), a_run(executor) as second:
            assert (await second.execute(shell_step("true"), Heard().append)).report
        assert fake.engine.sessions == 1


async def test_a_run_fails_only_when_no_engine_can_be_connected_to(fake: Fake, other: FakeEngine, opened: Executors) -> None:
    fake.engine.stop()
    other.stop()
    async with opened(fake.options(other)) as executor:
        with pytest.raises(StepError, match="cannot be reached") as failed:
            async with a_run(executor) as boxes:
                await boxes.execute(shell_step("true"), Heard().append)
    assert failed.value.cause is Cause.ENGINE


async def test_boxes_from_a_known_image_are_there_before_their_engine(fake: Fake, opened: Executors) -> None:
    async with opened(fake.options()) as executor:
        await executor.build_image(ImageChoice())
        async with a_run(executor) as boxes:
            known = boxes.image
    fake.engine.stop()
    async with opened(fake.options()) as executor:
        with pytest.raises(PreflightError, match="cannot be reached"):
            await executor.prepare(ImageChoice())
        async with a_run(executor) as boxes:
            assert boxes.image == known
            with pytest.raises(StepError, match="cannot be reached") as failed:
                await boxes.execute(shell_step("true"), Heard().append)
    assert failed.value.cause is Cause.ENGINE


async def test_an_engine_that_left_between_preparing_and_running_is_connected_to_again(fake: Fake, opened: Executors) -> None:
    async with opened(fake.options()) as executor:
        await executor.build_image(ImageChoice())
    async with opened(fake.options()) as executor:
        await executor.prepare(ImageChoice())
        [child] = children(fake.engine)
        child.kill()
        child.wait()
        async with a_run(executor) as boxes:
            assert (await boxes.execute(shell_step("true"), Heard().append)).report


@pytest.mark.parametrize(("dead", "expected"), [(0, ["pass", "pass"]), (1, ["warn", "pass"]), (2, ["fail", "fail"])])
async def test_the_checks_say_how_each_engine_is(dead: int, expected: list[str], fake: Fake, other: FakeEngine, opened: Executors) -> None:
    for engine in [fake.engine, other][:dead]:
        engine.stop()
    for _ in range(5):  # on a busy machine one that answers may be late for a check
        async with opened(fake.options(other)) as executor:
            asked = [check for check in executor.checks() if check.name.startswith("engine")]
            found = await asyncio.gather(*(check.run() for check in asked))
        if [result.status for result in found] == expected:
            break
    assert [result.status for result in found] == expected
    for engine, result in zip([fake.engine, other], found, strict=True):
        assert engine.runner in result.name
        assert engine.runner in result.text


async def test_an_unexpected_error_while_connecting_ends_the_run() -> None:
    class Broken(AbstractAsyncContextManager[tuple[Session, Images]]):
        async def __aenter__(self) -> tuple[Session, Images]:
            raise ValueError("unexpected")

        async def __aexit__(self, *exc: object) -> None:
            """Do nothing."""

    with pytest.raises(ValueError, match="unexpected"):
        async with Engine("broken", lambda _: Broken(), changed=lambda: None).leased(RunId(new_id())):
            pass


async def test_two_runs_that_lose_their_engine_report_it_once(fake: Fake, opened: Executors) -> None:
    told, heards = list[str](), [Heard(), Heard()]
    async with opened(fake.options()) as executor:
        executor.watch(lambda: told.append(executor.trouble()))
        runs = [asyncio.ensure_future(carried_out(executor, heard)) for heard in heards]
        for heard in heards:
            await heard.until_line("began")
        await asyncio.to_thread(fake.engine.stop)
        errors = await asyncio.gather(*runs, return_exceptions=True)
        assert [isinstance(error, StepError) for error in errors] == [True, True]
        assert len(told) == 1


async def test_more_runs_than_a_session_takes_open_a_second_session(fake: Fake, opened: Executors) -> None:
    async with opened(fake.options()) as executor, AsyncExitStack() as stack:
        for _ in range(RUNS_PER_SESSION):
            await stack.enter_async_context(executor.connected())
        assert fake.engine.sessions == 1
        await stack.enter_async_context(executor.connected())
        assert fake.engine.sessions == 2


async def test_a_run_goes_to_the_least_loaded_engine_by_capacity_and_stays(fake: Fake, other: FakeEngine, opened: Executors) -> None:
    async with opened(fake.options(other, capacities=(1, 3))) as executor, AsyncExitStack() as stack:
        runs = [await stack.enter_async_context(a_run(executor)) for _ in range(4)]
        await asyncio.gather(*(boxes.execute(shell_step("true"), Heard().append) for boxes in runs))  # now all are connected
        before = [len(fake.engine.executed), len(other.executed)]
        for _ in range(2):
            await asyncio.gather(*(boxes.execute(shell_step("true"), Heard().append) for boxes in runs))
        assert [len(fake.engine.executed) - before[0], len(other.executed) - before[1]] == [2, 6]
