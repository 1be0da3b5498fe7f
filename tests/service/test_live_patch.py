"""What a running agent has changed up to now can be seen while it works, and looking at it changes nothing."""

from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.errors import UsageError
from ccterm.models import State
from tests.conftest import MakeRemote
from tests.support.core import draft, script
from tests.support.git import files_at
from tests.support.waiting import until


async def test_the_diff_of_a_running_agent_follows_its_work(make_remote: MakeRemote, tmp_path: Path) -> None:
    remote = make_remote({"a.txt": "one\n", "old.txt": "old\n"})
    first, second, go = (tmp_path / name for name in ("first", "second", "go"))
    held = f"touch {first}; while [ ! -e {second} ]; do sleep 0.02; done"
    task = script(
        {"write": "new.txt", "text": "new\n"},
        {"bash": held},
        {"delete": "old.txt"},
        {"bash": f"touch {second}.seen; while [ ! -e {go} ]; do sleep 0.02; done"},
    )
    async with AgentService.open(tmp_path / "state") as service:
        [run] = await service.submit([draft(remote, task=task)])
        await until(first.exists)
        patch = await service.patch(run.id)
        assert patch is not None
        assert b"+new" in patch
        assert b"old.txt" not in patch
        second.touch()
        await until(Path(f"{second}.seen").exists)
        patch = await service.patch(run.id)
        assert patch is not None
        assert b"deleted file" in patch
        go.touch()
        ended = await service.wait(run.id)
        assert ended.state is State.SUCCEEDED
        assert files_at(remote, "agent/x").keys() == {"a.txt", "new.txt"}
        assert not service.state.live_patch(run.id).exists()
        with pytest.raises(UsageError, match="no agent works on run #1 now") as refused:
            await service.refresh_patch(run.id)
        assert refused.value.fix == "ccterm show 1 shows its state"


async def test_a_secret_is_masked_in_it(make_remote: MakeRemote, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    task = script({"write": "new.txt", "text": f"{token}\n"}, {"bash": f"touch {begun}; while [ ! -e {go} ]; do sleep 0.02; done"})
    async with AgentService.open(tmp_path / "state") as service:
        [run] = await service.submit([draft(make_remote(), task=task)])
        await until(begun.exists)
        patch = await service.patch(run.id)
        assert patch is not None
        assert b"new.txt" in patch
        assert token.encode() not in patch + service.state.live_patch(run.id).read_bytes()
        go.touch()
        await service.wait(run.id)


async def test_the_diff_of_an_agent_that_has_changed_nothing_is_empty(make_remote: MakeRemote, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    async with AgentService.open(tmp_path / "state") as service:
        task = script({"bash": f"touch {begun}; while [ ! -e {go} ]; do sleep 0.02; done"})
        [run] = await service.submit([draft(make_remote(), task=task)])
        await until(begun.exists)
        assert await service.patch(run.id) == b""
        go.touch()
        assert (await service.wait(run.id)).reason == "nothing_to_push"
