"""What the setup command left in the tree is not in the agent's commit, whatever way the commit is made."""

from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.draft import Draft
from ccterm.events import Notice
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from tests.pipeline.parts import failed
from tests.support.core import draft, script
from tests.support.git import files_at, make_repository

SETUP = "mkdir -p build && echo out > build/out.o && echo 'a = 2' > src/a.py"
MINE = script({"write": "mine.txt", "text": "mine\n"}, {"say": "Done."})


async def ended(service: Service, given: Draft) -> Run:
    [run] = await service.submit([given])
    return await service.wait(run.id)


async def test_only_the_agents_work_is_pushed_and_verified_in_setups_tree(service: Service, remote: Path) -> None:
    run = await ended(service, draft(remote, task=MINE, setup=SETUP, verify="test -f build/out.o && test -f mine.txt"))
    assert run.state is State.SUCCEEDED, run.summary
    assert files_at(remote, "agent/x") == {"README.md": b"hello\n", "src/a.py": b"a = 1\n", "mine.txt": b"mine\n"}
    told = [event.text async for event in service.follow(run.id) if isinstance(event, Notice)]
    assert "left out of the commit, because setup left it so: build/out.o, src/a.py" in told


async def test_an_agent_that_did_nothing_pushes_nothing(service: Service, remote: Path) -> None:
    run = await ended(service, draft(remote, task=script({"bash": "git add -A && git commit -qm all"}), setup=SETUP))
    assert (run.state, run.reason, run.pushed, run.salvage, run.side) == (State.SUCCEEDED, "nothing_to_push", None, None, ())


async def test_nothing_that_setup_left_comes_into_a_working_copy(service: Service, tmp_path: Path) -> None:
    copy = make_repository(tmp_path / "copy", {"src/a.py": "a = 1\n"})
    fields = {"prompt": MINE, "repo": str(copy), "agent": "scripted", "mode": "local", "yes": True, "setup": SETUP}
    run = await ended(service, Draft.model_validate(fields))
    assert run.synced, run.summary
    assert {path.name for path in copy.iterdir()} == {".git", "src", "mine.txt"}
    assert (copy / "src/a.py").read_text() == "a = 1\n"


async def test_a_commit_that_is_made_later_knows_it_too(
    state_dir: Path, remote: Path, dying_git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await failed(state_dir, dying_git, monkeypatch, draft(remote, task=MINE, setup=SETUP))
    async with AgentService.open(state_dir) as service:
        await service.push(run.id)
    assert files_at(remote, "agent/x").keys() == {"README.md", "src/a.py", "mine.txt"}
    assert files_at(remote, "agent/x")["src/a.py"] == b"a = 1\n"
