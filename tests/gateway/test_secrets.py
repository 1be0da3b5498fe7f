"""Where a login is not: anywhere but in the memory of the gateway's process and its pipes."""

import asyncio
import logging
import resource
import sys
from pathlib import Path

import psutil
import pytest

from ccterm.processes import run_command
from tests.e2e.arranged import found_below
from tests.gateway.boxes import LOGIN, TOKEN, Boxes, login
from tests.gateway.raw import OAUTH, RawBox, get, request
from tests.servers.messages_api import Document
from tests.servers.model_script import Cut, Refuse, say
from tests.support.waiting import until

CLOSING = """
import ctypes, os
from ccterm.gateway.process import close_memory

if os.getuid() == 0:  # who may read everything
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1)  # as a program begins
for step in (lambda: None, close_memory):
    step()
    if os.fork() == 0:
        try:
            said = f"read {len(open(f'/proc/{os.getppid()}/environ').read()) > 0}"
        except OSError as error:
            said = type(error).__name__
        os.write(1, f"{said}\\n".encode())
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux closes a process's memory to its own user")
def test_no_other_program_of_the_user_reads_the_memory() -> None:
    done = run_command([sys.executable, "-c", CLOSING], env={"SOME": "thing"}, seconds=30, stderr=True)
    assert done.output.decode().split("\n") == ["read True", "PermissionError", ""]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux closes a process's memory to its own user")
async def test_of_the_process_no_core_is_written(boxes: Boxes) -> None:
    await boxes.admit()
    assert psutil.Process(boxes.gateway.pid).rlimit(resource.RLIMIT_CORE) == (0, 0)


async def test_a_login_is_neither_in_the_process_s_surroundings_nor_told(boxes: Boxes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    boxes.api.script("Hello", Cut("within", times=1), Refuse(401, "authentication_error", times=1), say("After all."))
    boxes.api.documents["/api/claude_code/settings"] = Document({}, 500)
    given = await boxes.admit()
    process = psutil.Process(boxes.gateway.pid)
    said = [*process.cmdline(), *process.environ().values()]
    async with RawBox.to(given, tunnel=True) as box:
        seen = (await box.ask(request(None))).body + (await box.ask(get(b"/api/claude_code/settings", given), b"GET")).body
        seen += (await box.ask(request(given))).body
    async with RawBox.to(given, tunnel=True) as box:
        answer = asyncio.ensure_future(box.ask(request(given, OAUTH)))
        await until(lambda: boxes.heard.refusals)
        await boxes.gateway.renew("login", login(TOKEN + "2"))
        seen += str(await answer).encode()
    await boxes.kill()
    everything = [*said, caplog.text, repr(boxes.heard), repr(LOGIN), repr(given), seen.decode("latin-1")]
    assert not any(secret in text for text in everything for secret in (TOKEN, given.token.get_secret_value()))
    assert found_below(Path(boxes.directory), [TOKEN.encode()]) == []
