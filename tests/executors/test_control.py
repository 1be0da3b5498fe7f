"""The host's end of a control socket."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm.executors.control import Control, socket_directory
from tests.support.waiting import until


@pytest.fixture
def directory() -> Path:
    return socket_directory()


@pytest.fixture
async def control(directory: Path) -> AsyncIterator[Control]:
    async with Control.listen(directory) as control:
        yield control
    directory.rmdir()  # nothing is left in it


async def test_an_order_arrives_as_one_line(control: Control) -> None:
    reader, _ = await asyncio.open_unix_connection(control.path)
    assert await control.send({"do": "say", "text": "größer\n"})
    assert json.loads(await reader.readline()) == {"do": "say", "text": "größer\n"}


async def test_an_order_waits_for_the_supervisor(control: Control) -> None:
    sending = asyncio.ensure_future(control.send({"do": "stop"}))
    await asyncio.sleep(0)
    reader, _ = await asyncio.open_unix_connection(control.path)
    assert await sending
    assert json.loads(await reader.readline()) == {"do": "stop"}


async def test_only_one_connection_is_accepted(control: Control) -> None:
    await asyncio.open_unix_connection(control.path)
    await until(lambda: not control.path.exists())
    with pytest.raises(OSError):
        await asyncio.open_unix_connection(control.path)


async def test_sending_to_a_supervisor_that_is_gone_fails(control: Control) -> None:
    _, writer = await asyncio.open_unix_connection(control.path)
    assert await control.send({"do": "hold"})
    writer.close()
    await until(lambda: control.lost)
    assert not await control.send({"do": "say", "text": "anybody?"})


async def test_sending_to_a_supervisor_that_stopped_reading_fails(control: Control) -> None:
    _, writer = await asyncio.open_unix_connection(control.path)
    assert await control.send({"do": "hold"})
    writer.get_extra_info("socket").shutdown(0)
    assert not await control.send({"do": "say", "text": "anybody?"})


async def test_closing_releases_senders_that_wait_for_a_supervisor(directory: Path) -> None:
    async with Control.listen(directory) as control:
        sending = asyncio.ensure_future(control.send({"do": "stop"}))
        await asyncio.sleep(0)
    assert not await asyncio.wait_for(sending, 5)


async def test_what_a_box_sends_is_ignored(control: Control) -> None:
    reader, writer = await asyncio.open_unix_connection(control.path)
    writer.write(b'{"do":"kill"}\n' * 10_000)
    await writer.drain()
    assert await control.send({"do": "hold"})
    assert json.loads(await reader.readline()) == {"do": "hold"}


async def test_the_socket_is_private(control: Control) -> None:
    assert stat.S_IMODE(control.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(control.path.parent.stat().st_mode) == 0o700


async def test_the_path_is_short_enough_for_a_socket(control: Control) -> None:
    assert len(str(control.path)) < 103
