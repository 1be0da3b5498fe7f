"""A daemon in the background: started by the first process that needs one, shared, replaced when it died, gone when idle."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.daemon import asked_checks, open_record
from ccterm.daemon.machine import ThisMachine
from ccterm.daemon.server import Connections
from ccterm.daemon.spawn import attached_or_started, reviving
from ccterm.daemon.wiring import serving
from ccterm.errors import DaemonError
from ccterm.models import CheckResult, ExecutionMode, State
from ccterm.service.local import LocalService
from ccterm.service.lock import DaemonLock
from ccterm.service.protocol import Service
from ccterm.service.remote import RemoteService, attached
from ccterm.state_dir import StateDir
from tests.conftest import MakeRemote
from tests.support.core import EDIT, draft, script
from tests.support.daemons import daemon_ended
from tests.support.git import tip
from tests.support.late import Late
from tests.support.waiting import until


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"a.txt": "a\n"})


@asynccontextmanager
async def opened(state: StateDir) -> AsyncIterator[Service]:
    """Attach to the daemon, starting one if need be."""
    async with attached_or_started(state, os.environ) as service:
        yield service


@pytest.fixture(autouse=True)
async def _no_daemon_left(state: StateDir) -> AsyncIterator[None]:
    yield
    await daemon_ended(state)


def daemon_of(state: StateDir) -> int:
    holder = DaemonLock(state).holder()
    assert holder is not None
    return holder.pid


async def test_the_first_process_starts_a_daemon_in_its_own_session_and_the_second_shares_it(state: StateDir) -> None:
    async with opened(state):
        first = daemon_of(state)
        assert os.getsid(first) == first != os.getsid(0)
        async with opened(state):
            assert daemon_of(state) == first


async def test_runs_go_on_when_the_process_that_launched_them_leaves(state: StateDir, remote: Path) -> None:
    async with opened(state) as service:
        [run] = await service.submit([draft(remote, "x", script({"sleep": 0.5}, {"write": "new.txt", "text": "new\n"}))])
    async with opened(state) as service:
        ended = await service.wait(run.id)
    assert ended.state is State.SUCCEEDED
    assert tip(remote, "x") == ended.commit


async def test_a_daemon_that_died_is_replaced_at_the_next_command(state: StateDir, remote: Path) -> None:
    async with opened(state) as service:
        first = daemon_of(state)
        os.kill(first, signal.SIGKILL)
        await until(lambda: DaemonLock(state).holder() is None)
        [run] = await service.submit([draft(remote, "x")])
        assert (await service.wait(run.id)).state is State.SUCCEEDED
        assert daemon_of(state) != first


async def test_a_daemon_that_cannot_start_says_why(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_MAX_CONCURRENT", "many")
    with pytest.raises(DaemonError, match="CCTERM_MAX_CONCURRENT"):
        async with opened(state):
            pass


async def test_a_review_and_a_plan_reach_the_daemon(state: StateDir, remote: Path) -> None:
    async with opened(state) as service:
        [task] = await service.plan([draft(remote, "x")])
        assert (task.branch, task.remote) == ("x", str(remote))
        [run] = await service.submit([draft(remote, "x")])
        await service.wait(run.id)
        assert (await service.review(run.id)).reviewed
        assert (await service.find(run.id)).reviewed


async def start_daemon(state: StateDir, *args: str) -> asyncio.subprocess.Process:
    """Start a daemon as this test's own child."""
    environ = os.environ | {"CCTERM_STATE_DIR": str(state.path)}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "ccterm", "daemon", *args, env=environ)


async def test_an_idle_daemon_exits_but_not_while_a_process_stays_connected(state: StateDir) -> None:
    for idle in (0.4, 5.0):  # the first one may be gone before it is attached to
        daemon = await start_daemon(state, "--idle", str(idle))
        await until(state.socket_address.exists)
        async with opened(state):
            if daemon_of(state) == daemon.pid:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(daemon.wait(), idle + 1.1)
                break
        await daemon_ended(state)
    else:
        pytest.fail("an idle daemon did not stay for its time")
    assert await asyncio.wait_for(daemon.wait(), 30) == 0


async def test_a_program_whose_daemon_has_ended_goes_on_with_another_one(state: StateDir, remote: Path) -> None:
    daemon = await start_daemon(state)
    await until(state.socket_address.exists)
    async with AgentService.open(state.path) as service:
        assert isinstance(service, RemoteService)
        daemon.terminate()
        await daemon.wait()
        [run] = await service.submit([draft(remote, "x")])
        assert (await service.wait(run.id)).state is State.SUCCEEDED
        assert daemon_of(state) not in (daemon.pid, os.getpid())


async def test_a_daemon_that_ends_after_it_was_looked_for_is_followed_by_another_one(state: StateDir) -> None:
    daemon = await start_daemon(state)
    await until(state.socket_address.exists)
    lock = DaemonLock(state)
    start = reviving(state, lock, os.environ)

    async def ends_then() -> None:
        await start()
        if daemon.returncode is None:
            daemon.terminate()
            await daemon.wait()

    with attached(state, lock, ThisMachine(state, os.environ), ends_then) as service:
        await service.cancel_all()
    assert daemon_of(state) != daemon.pid


async def test_one_that_may_start_none_says_so_at_once(state: StateDir) -> None:
    daemon = await start_daemon(state)
    await until(state.socket_address.exists)
    with attached(state, DaemonLock(state), ThisMachine(state, os.environ)) as service:
        daemon.terminate()
        await daemon.wait()
        with pytest.raises(DaemonError, match="the daemon has ended"):
            await service.cancel_all()


async def test_a_second_daemon_leaves_the_first_alone(state: StateDir) -> None:
    async with opened(state):
        first = daemon_of(state)
        second = await start_daemon(state)
        assert await asyncio.wait_for(second.wait(), 30) == 0
        assert daemon_of(state) == first


async def test_a_terminated_daemon_stops_its_runs_and_keeps_their_work(state: StateDir, remote: Path) -> None:
    async with opened(state) as service:
        [run] = await service.submit(
            [draft(remote, "x", script({"write": "half.txt", "text": "half\n"}, {"say": "ready"}, *[{"sleep": 0.2}] * 200))]
        )
        async for event in service.follow(run.id):
            if event.kind == "said":
                os.kill(daemon_of(state), signal.SIGTERM)
                break
        await until(lambda: DaemonLock(state).holder() is None)
        ended = await service.find(run.id)
    assert ended.state is State.CANCELLED
    assert ended.salvage is not None


async def test_a_command_meets_no_daemon_that_no_longer_takes_any(state: StateDir) -> None:
    with DaemonLock(state.prepare()) as ending:
        assert ending.try_acquire()
        opening = asyncio.ensure_future(_kind_of_service(AgentService.open(state.path)))
        await asyncio.wait([opening], timeout=0.2)
        assert not opening.done()
    assert await opening is LocalService


@pytest.mark.slow
async def test_a_terminal_meets_no_daemon_that_no_longer_takes_commands(state: StateDir) -> None:
    with DaemonLock(state.prepare()) as ending:
        assert ending.try_acquire()
        opening = asyncio.ensure_future(_kind_of_service(opened(state)))
        await asyncio.wait([opening], timeout=0.2)
        assert not opening.done()
    assert await opening is RemoteService


@pytest.mark.slow
async def test_what_a_machine_needs_is_not_asked_of_a_daemon_that_no_longer_takes_commands(state: StateDir) -> None:
    async def first_answer() -> CheckResult:
        async with aclosing(asked_checks(ThisMachine(state, os.environ), ExecutionMode.LOCAL, None, None)) as answers:
            return await anext(answers)

    with DaemonLock(state.prepare()) as ending:
        assert ending.try_acquire()
        asking = asyncio.ensure_future(first_answer())
        await asyncio.wait([asking], timeout=0.2)
        assert not asking.done()
    assert (await asking).name


async def _kind_of_service(opening: AbstractAsyncContextManager[Service]) -> type[Service]:
    async with opening as service:
        return type(service)


@pytest.mark.slow
async def test_a_command_of_another_process_is_carried_out_before_its_daemon_ends(state: StateDir, remote: Path) -> None:
    async with AgentService.open(state.path) as service:
        [queued] = await service.submit([draft(remote, task=EDIT)])
        await service.wait(queued.id)
        late = Late.here("save", lambda run: run.reviewed)
        with attached(state, DaemonLock(state), ThisMachine(state, os.environ)) as other:
            reviewing = asyncio.ensure_future(other.review(queued.id))
            await until(late.waits.is_set)
        asyncio.get_running_loop().call_later(2.5, late.released.set)  # longer than conversations without a command are waited for
    assert (await reviewing).reviewed
    async with open_record(state.path) as record:
        assert (await record.find(queued.id)).reviewed


@pytest.mark.slow
async def test_a_run_that_is_submitted_while_its_daemon_ends_stays_within_reach(state: StateDir, remote: Path, tmp_path: Path) -> None:
    leave = asyncio.Event()

    async def lead() -> None:
        async with AgentService.open(state.path):
            await leave.wait()

    leading = asyncio.ensure_future(lead())
    await until(state.socket_address.exists)
    late = Late.here("store")
    with attached(state, DaemonLock(state), ThisMachine(state, os.environ)) as other:
        waiting = script({"bash": f"while [ ! -e {tmp_path / 'go'} ]; do sleep 0.02; done"})
        submitting = asyncio.ensure_future(other.submit([draft(remote, task=waiting)]))
        await until(late.waits.is_set)
        leave.set()
        await asyncio.wait([leading], timeout=0.2)
        late.released.set()
        [queued] = await submitting
        await other.cancel(queued.id)
    await leading
    async with open_record(state.path) as record:
        assert (await record.find(queued.id)).state is State.CANCELLED


@pytest.mark.slow
async def test_one_that_ends_by_order_waits_for_no_command(state: StateDir, remote: Path) -> None:
    connections = Connections()
    async with serving(state.prepare(), os.environ, connections) as service:
        [queued] = await service.submit([draft(remote, task=EDIT)])
        await service.wait(queued.id)
        late = Late.here("save", lambda run: run.reviewed)
        with attached(state, DaemonLock(state), ThisMachine(state, os.environ)) as other:
            reviewing = asyncio.ensure_future(other.review(queued.id))
            await until(late.waits.is_set)
        connections.dismissed.set()
    assert not reviewing.done()
    late.released.set()
    await asyncio.wait([reviewing])
