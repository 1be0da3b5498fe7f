"""Whole runs on a repository with tags, a default branch that was renamed, and a submodule."""

from pathlib import Path

import pytest

from ccterm.draft import Draft
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from tests.support.core import draft, script
from tests.support.git import LIBRARY, TRUNK, branches, files_at, git, grow, make_remote, tip

WORK = script(
    {"bash": "git tag --list | xargs > tags.txt; git rev-parse v1.0^{commit} origin/trunk trunk >> tags.txt"},
    {"bash": "git checkout -q -b my-fix; echo x > one.txt; git add one.txt; git commit -qm one; git checkout -q -"},
    {"bash": "git worktree add -q .claude/worktrees/a; mkdir dist; echo y > dist/app.js; git add -f dist/app.js"},
)
SETUP = "mkdir -p build && echo out > build/out.o"


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    return grow(make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n", ".gitignore": "dist/\n"}))


async def ended(service: Service, given: Draft) -> Run:
    [run] = await service.submit([given])
    return await service.wait(run.id)


def expected(remote: Path) -> dict[str, bytes]:
    """Return what the agent adds: it knows the tags and the renamed branch by all of their names."""
    return {"tags.txt": b"v0.9 v1.0\n" + f"{tip(remote, TRUNK)}\n".encode() * 3}


@pytest.mark.slow
async def test_a_branch_is_pushed_and_all_else_stays(service: Service, grown: Path) -> None:
    before = branches(grown)
    run = await ended(service, draft(grown, task=WORK, setup=SETUP, verify="test -f tags.txt"))
    assert run.state is State.SUCCEEDED, run.summary
    files = files_at(grown, "agent/x")
    assert files == {**files_at(grown, TRUNK), **expected(grown), "dist/app.js": b"y\n"}
    assert git(grown, "rev-parse", f"agent/x:{LIBRARY}") == git(grown, "rev-parse", f"{TRUNK}:{LIBRARY}")
    assert {name: sha for name, sha in branches(grown).items() if name != "agent/x"} == before
    assert git(grown, "tag", "--list").split() == ["v0.9", "v1.0"]
    assert [ref.name for ref in run.side] == ["heads/my-fix"]


async def test_the_default_branch_is_known_by_its_new_name(service: Service, grown: Path) -> None:
    run = await ended(service, draft(grown, TRUNK))
    assert (run.state, run.reason) == (State.FAILED, "default_branch")


async def test_a_working_copy_of_it_gets_the_changes(service: Service, grown: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(grown), "copy")
    fields = {"prompt": WORK.replace("origin/trunk trunk", "trunk trunk"), "repo": str(tmp_path / "copy"), "yes": True, "setup": SETUP}
    run = await ended(service, Draft.model_validate(fields | {"agent": "scripted", "mode": "local"}))
    assert run.synced, run.summary
    assert (tmp_path / "copy/tags.txt").read_bytes() == expected(grown)["tags.txt"]
    assert git(tmp_path / "copy", "status", "--porcelain").split() == ["??", "tags.txt"]
    assert [ref.name for ref in run.side] == ["heads/my-fix"]
    await service.fetch(run.id, tmp_path / "copy")
