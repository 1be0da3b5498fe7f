"""What submissions from several environments share, and what each has to itself."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ccterm.daemon.equip import Equipper
from ccterm.daemon.executors import Executors, local_executor
from ccterm.models import ExecutionMode, Task
from ccterm.service.caller import CallerEnvironment
from ccterm.service.credential_gate import CredentialGate
from ccterm.service.equipment import Equipment
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from tests.e2e.arranged import configure

CLAUDE = Task(prompt="p", repo="/r", execution_mode=ExecutionMode.DAGGER)


@pytest.fixture
async def equipper(tmp_path: Path) -> AsyncIterator[Equipper]:
    state = StateDir(tmp_path / "state").prepare()
    async with AsyncExitStack() as stack:
        executors = Executors(await stack.enter_async_context(local_executor(Settings(), state, os.environ)), stack)
        yield Equipper(state, os.environ, executors=executors, credentials=CredentialGate(), sockets=tmp_path)


async def equipped(equipper: Equipper, **more: str) -> Equipment:
    environ: Mapping[str, str] = {**os.environ, **more}
    return await equipper.equip(CallerEnvironment.of(environ, Settings()))


async def test_engines_are_shared_by_all_whose_network_and_engines_are_the_same(equipper: Equipper, tmp_path: Path) -> None:
    mode = ExecutionMode.DAGGER
    first = (await equipped(equipper)).executors[mode]
    assert (await equipped(equipper, PATH=f"{os.environ['PATH']}:{tmp_path}", GOPATH="/go")).executors[mode] is first
    for more in ({"HTTPS_PROXY": "http://proxy:3128"}, {"CCTERM_ENGINE": "tcp://other:1234"}, {"DOCKER_HOST": "tcp://other:2375"}):
        assert (await equipped(equipper, **more)).executors[mode] is not first


async def test_fifty_submissions_with_the_same_login_share_one_look_at_it(equipper: Equipper) -> None:
    logins = [
        (await equipped(equipper, CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-one", GOPATH=str(number))).login(CLAUDE) for number in range(50)
    ]
    assert len(set(map(id, logins))) == 1
    assert (await equipped(equipper, CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-two")).login(CLAUDE) is not logins[0]
    assert (await equipped(equipper)).login(CLAUDE.model_copy(update={"agent": "scripted"})) is None


async def test_a_change_of_the_settings_file_counts_for_the_next_submission(equipper: Equipper, isolation: Path) -> None:
    assert (await equipper.equip(None)).settings.max_concurrent == 4
    configure(isolation, "max_concurrent = 7\n")
    assert (await equipper.equip(None)).settings.max_concurrent == (await equipped(equipper)).settings.max_concurrent == 7


async def test_each_submission_is_judged_by_its_own_environment(equipper: Equipper) -> None:
    assert [(await equipped(equipper, CCTERM_MAX_CONCURRENT=count)).settings.max_concurrent for count in ("2", "9")] == [2, 9]
