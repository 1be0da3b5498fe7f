"""What an agent in a container leaves beside its tree, and what setup left in it: the same as on this machine."""

from pathlib import Path

import pytest

from ccterm.models import State
from tests.e2e.test_dagger_runs import Boxed, boxed, engine
from tests.support.core import script
from tests.support.git import files_at, git

__all__ = ["boxed", "engine"]
BRANCH = "git checkout -q -b my-fix; echo precious > one.txt; git add .; git commit -qm one; git checkout -q -"
WORKTREES = (
    "git worktree add -q .claude/worktrees/a -b side; echo precious > .claude/worktrees/a/one.txt; "
    "git worktree add -q ../outside -b out; echo precious > ../outside/two.txt; echo x > ../outside/README.md; ln -s README.md ../outside/link"
)


async def test_it_is_kept_beside_what_is_pushed(boxed: Boxed, tmp_path: Path) -> None:
    run = await boxed.run(
        task=script({"bash": f"{BRANCH}; {WORKTREES}"}, {"write": "mine.txt", "text": "mine\n"}), setup="echo out > left.o"
    )
    assert run.state is State.SUCCEEDED, run.summary
    assert files_at(boxed.remote, "agent/x").keys() == {"README.md", "mine.txt"}
    assert [ref.name for ref in run.side] == ["heads/my-fix", "worktrees/a/changes", "worktrees/outside/changes"]
    assert run.kept_in is None
    git(tmp_path, "clone", "--quiet", str(boxed.remote), "clone")
    await boxed.service.fetch(run.id, tmp_path / "clone")
    side = f"refs/ccterm/side/{run.id}"
    assert files_at(tmp_path / "clone", f"{side}/heads/my-fix")["one.txt"] == b"precious\n"
    assert files_at(tmp_path / "clone", f"{side}/worktrees/outside/changes") == {
        "README.md": b"x\n",
        "two.txt": b"precious\n",
        "link": b"README.md",
    }


@pytest.mark.parametrize("more", [[{"write": "mine.txt", "text": "mine\n"}], []], ids=["beside a push", "alone"])
@pytest.mark.slow
async def test_the_tree_is_kept_when_what_is_beside_it_cannot_be_read(boxed: Boxed, more: list[dict[str, str]]) -> None:
    gone = "rm -f .git/objects/$(git rev-parse my-fix:one.txt | sed 's,..,&/,')"
    run = await boxed.run(task=script({"bash": f"{BRANCH}; {gone}"}, *more))
    assert (run.state, bool(run.pushed), run.side) == (State.SUCCEEDED, bool(more), ())
    assert run.kept_in is not None
    assert (Path(run.kept_in) / "tree/.git/refs/heads/my-fix").exists()
    assert (await boxed.service.clean(run.id)).kept_in is None
    assert not Path(run.kept_in).exists()
