"""The gateway's process as the daemon holds it: admissions, dismissals, and its end."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from ccterm.errors import DaemonError
from ccterm.gateway.client import Gateway, GatewayLogin, GitReading, LimitWindows, RunNumbers
from ccterm.gateway.launcher import GatewayProcess, RestartPauses
from ccterm.gateway.orders import LINE_BYTES
from ccterm.models import RunId
from tests.support.waiting import until

LOGIN = GatewayLogin("authorization", SecretStr("sk-ant-oat01-the-login-itself"))
RUN = RunId("01JDTESTRUN0000000000000A1")


class Silent:
    """Hears nothing."""

    def refused(self, login: str) -> None: ...
    def used(self, run: RunId, numbers: RunNumbers) -> None: ...
    def waits(self, run: RunId, *, waits: bool) -> None: ...

    def unreachable(self, run: RunId, why: str) -> None: ...
    def limits(self, login: str, windows: LimitWindows) -> None: ...
    def restarted(self, run: RunId) -> None: ...

    def over_budget(self, run: RunId) -> None: ...


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with Gateway(tmp_path / "gw", {}, Silent()) as opened:
        yield opened


async def test_a_run_gets_a_socket_of_its_own_until_it_is_dismissed(gateway: Gateway) -> None:
    admitted = await gateway.admit(RUN, "login", LOGIN)
    assert admitted.socket.is_socket()
    assert admitted.socket.stat().st_mode & 0o077 == 0
    await gateway.dismiss(RUN)
    assert not admitted.socket.exists()


async def test_the_process_is_started_again_with_the_same_sockets(gateway: Gateway) -> None:
    admitted = await gateway.admit(RUN, "login", LOGIN)
    first = gateway.pid
    assert first
    psutil.Process(first).kill()
    await until(lambda: gateway.pid not in (None, first))
    await gateway.admit(RunId("01JDTESTRUN0000000000000A2"), "login", LOGIN)
    _, writer = await asyncio.open_unix_connection(admitted.socket)
    writer.close()


async def test_nothing_of_it_is_left_after_its_end(tmp_path: Path) -> None:
    async with Gateway(tmp_path / "gw", {}, Silent()) as gateway:
        admitted = await gateway.admit(RUN, "login", LOGIN)
        pid = gateway.pid
        assert pid
    assert not psutil.pid_exists(pid)
    assert not admitted.socket.exists()


async def test_a_login_is_not_in_the_process_s_argv_or_environment(gateway: Gateway) -> None:
    await gateway.admit(RUN, "login", LOGIN)
    process = psutil.Process(gateway.pid)
    said = [*process.cmdline(), *process.environ().values()]
    assert not any(LOGIN.value.get_secret_value() in text for text in said)


async def test_an_admission_that_is_too_long_for_the_process_is_refused_before_it_gets_there(gateway: Gateway) -> None:
    await gateway.admit(RUN, "login", LOGIN)
    reading = GitReading({"git.example.com/lib": SecretStr("Basic x")}, {"git.example.com": "x" * LINE_BYTES})
    with pytest.raises(DaemonError, match="too large"):
        await gateway.admit(RunId("01JDTESTRUN0000000000000A2"), "login", LOGIN, git=reading)
    assert gateway.pid


async def test_a_listener_that_fails_costs_no_run_its_gateway(tmp_path: Path) -> None:
    class Failing(Silent):
        failures = 0

        def restarted(self, run: RunId) -> None:
            self.failures += 1
            if self.failures == 1:
                raise RuntimeError(run)

    failing = Failing()
    async with Gateway(tmp_path / "gw", {}, failing) as gateway:
        await gateway.admit(RUN, "login", LOGIN)
        psutil.Process(gateway.pid).kill()
        await until(lambda: failing.failures == 2)
        assert gateway.pid


async def test_half_a_line_of_a_process_that_was_killed_is_not_read() -> None:
    program = """print('{"told": "dismissed"}'); print('{"told": "us', end="")"""
    pipe = asyncio.subprocess.PIPE
    process = GatewayProcess(
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe, stderr=pipe),
    )
    assert [told["told"] async for told in process.told()] == ["dismissed"]
    await process.end()


def test_a_process_that_dies_again_and_again_is_started_later_each_time() -> None:
    pauses = RestartPauses()
    assert [pauses.after(lived) for lived in (1, 1, 1, 1, 1, 3600, 1)] == [0, 0.2, 1, 5, 5, 0, 0.2]
