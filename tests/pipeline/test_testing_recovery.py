"""ccterm dies while it changes a working copy: the next start rolls everything back, or records that everything was applied."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.draft import Draft
from ccterm.models import ExecutionMode, Run
from ccterm.state_dir import StateDir
from ccterm.workspace.apply.changeset import CHANGES, ChangeSet
from ccterm.workspace.apply.transaction import ApplyTransaction
from tests.support.core import script
from tests.support.git import make_repository
from tests.workspace.trees import digest, dying, in_child

WORK = script({"append": "README.md", "text": "agent\n"}, {"write": "new.txt", "text": "new\n"}, {"say": "Done."})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "copy", {"README.md": "hello\n"})


async def awaiting(state_dir: Path, copy: Path) -> Run:
    """Run a task until its changes wait to be applied."""
    draft = Draft.model_validate({"prompt": WORK, "repo": str(copy), "agent": "scripted", "mode": ExecutionMode.LOCAL})
    async with AgentService.open(state_dir) as service:
        [run] = await service.submit([draft])
        return await service.wait(run.id)


def apply_in_child(state_dir: Path, copy: Path, run: Run, disk: Callable[[], object]) -> int:
    """Apply the changes of a run in a process that may be killed by it."""
    assert run.salvage is not None
    changes = ChangeSet.read(Path(run.salvage.directory) / CHANGES)
    assert changes is not None
    return in_child(lambda: ApplyTransaction(StateDir(state_dir), disk()).apply(run.id, copy, changes))  # type: ignore[arg-type]  # a disk, or None


async def test_an_interrupted_apply_is_rolled_back_and_can_be_repeated(state_dir: Path, copy: Path) -> None:
    run, before = await awaiting(state_dir, copy), digest(copy)
    assert apply_in_child(state_dir, copy, run, lambda: dying(8)) == signal.SIGKILL
    assert digest(copy) != before
    async with AgentService.open(state_dir) as service:
        assert digest(copy) == before
        assert (await service.find(run.id)).synced is None
        await service.apply(run.id)
    assert (copy / "README.md").read_text() == "hello\nagent\n"


async def test_a_completed_apply_is_recorded_by_the_next_start(state_dir: Path, copy: Path) -> None:
    run, before = await awaiting(state_dir, copy), digest(copy)
    assert apply_in_child(state_dir, copy, run, lambda: None) == 0
    async with AgentService.open(state_dir) as service:
        known = await service.find(run.id)
        assert known.synced is not None
        assert known.synced.files == 2
        await service.undo(run.id)
    assert digest(copy) == before
