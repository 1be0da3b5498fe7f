"""On a disk that is really full, a run ends with cause `disk`, its work is kept, and is delivered once there is room."""

from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.draft import Draft
from ccterm.errors import StepError
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from tests.support.core import draft, script
from tests.support.git import files_at, make_repository
from tests.support.machine import small_disk

SIZE = "24m"


def filling(filler: Path) -> str:
    """Return the task of an agent that writes its file, then fills the disk from outside of its tree."""
    return script({"write": "precious.txt", "text": "precious\n"}, {"bash": f"cat /dev/zero > {filler} || true"}, {"say": "written"})


async def ended(service: Service, given: Draft) -> Run:
    [queued] = await service.submit([given])
    return await service.wait(queued.id)


async def test_a_full_state_directory(remote: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", SIZE) as disk:
        state, filler = disk / "state", disk / "filler"
        async with AgentService.open(state) as service:
            run = await ended(service, draft(remote, task=filling(filler)))
        assert (run.state, run.cause, run.reason) == (State.FAILED, "disk", "full"), run.summary
        assert run.summary.startswith("The disk is full: ")
        assert run.action.startswith("free some space, then ccterm retry")
        filler.unlink()
        async with AgentService.open(state) as service:
            assert b"+precious" in (await service.patch(run.id) or b"")
            await service.push(run.id)
    assert files_at(remote, "agent/x")["precious.txt"] == b"precious\n"


async def test_a_full_working_copy(tmp_path: Path, state_dir: Path) -> None:
    with small_disk(tmp_path / "disk", SIZE) as disk:
        copy, filler = make_repository(disk / "copy", {"README.md": "hello\n"}), disk / "filler"
        task = Draft.model_validate({"prompt": filling(filler), "repo": str(copy), "agent": "scripted", "mode": "local", "yes": True})
        async with AgentService.open(state_dir) as service:
            run = await ended(service, task)
            assert (run.state, run.cause, run.reason) == (State.FAILED, "disk", "full"), run.summary
            with pytest.raises(StepError) as again:
                await service.apply(run.id)
            assert (again.value.cause, again.value.reason) == ("disk", "full")
            assert sorted(path.name for path in copy.iterdir()) == [".git", "README.md"]
            filler.unlink()
            await service.apply(run.id)
        assert (copy / "precious.txt").read_text() == "precious\n"
