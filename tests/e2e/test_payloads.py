"""Whatever an agent plants in its tree and git directory, nothing of it runs after the agent has ended or redirects the push."""

import asyncio
import shlex
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.models import Run, State
from ccterm.service.protocol import Service
from tests.conftest import MakeRemote
from tests.e2e.arranged import carried_out
from tests.support.core import draft, script
from tests.support.git import branches, files_at, git_environment, make_remote, tip

HOOKS = "pre-commit prepare-commit-msg commit-msg post-commit post-checkout post-index-change pre-push reference-transaction"
PAYLOADS = {
    "hooks": f'for hook in {HOOKS}; do printf "#!/bin/sh\\n$FIRE\\n" > .git/hooks/$hook; chmod +x .git/hooks/$hook; done',
    "hooksPath": 'mkdir .git/other; printf "#!/bin/sh\\n$FIRE\\n" > .git/other/pre-commit; chmod +x .git/other/*; put core.hooksPath .git/other',
    "fsmonitor": 'put core.fsmonitor "$FIRE; false"',
    "filter": 'put filter.x.clean "$FIRE; cat"; put filter.x.smudge "$FIRE; cat"; echo "* filter=x" >> .git/info/attributes',
    "process filter": 'put filter.y.process "$FIRE"; echo "*.md filter=y" >> .git/info/attributes',
    "external diff": 'put diff.external "$FIRE; true"',
    "textconv": 'put diff.t.textconv "$FIRE; cat"; echo "*.md diff=t" >> .git/info/attributes',
    "gpg program": 'printf "#!/bin/sh\\n$FIRE\\n" > .git/gpg; chmod +x .git/gpg; put gpg.program "$PWD/.git/gpg"; put commit.gpgSign true',
    "include": 'printf "[core]\\n\\tfsmonitor = \\"$FIRE; false\\"\\n" > .git/more; put include.path more',
    "editor": 'put core.editor "$FIRE; true"',
    "insteadOf": 'put "url.$OTHER.insteadOf" "$REMOTE"',
    "pushInsteadOf": 'put "url.$OTHER.pushInsteadOf" "$REMOTE"',
    "pushurl": 'put remote.origin.pushurl "$OTHER"',
    "credential helper": 'put credential.helper "!$FIRE"',
    "ssh command": 'put core.sshCommand "$FIRE; false"',
}  # fmt: skip
"""Name -> what plants it; `put` sets a configuration key, $FIRE is a command that leaves a trace, $OTHER a repository of the attacker."""
FOR_A_PATH = [name for name in PAYLOADS if name not in ("credential helper", "ssh command")]
HONEST = "echo honest > honest.txt; echo changed >> README.md"


class Scene:
    """A remote to push to, a repository of the attacker, and a file that a payload writes its name to."""

    def __init__(self, root: Path, remote: Path) -> None:
        self.remote, self.fired = remote, root / "fired"
        self.other = make_remote(root / "other.git", {"README.md": "the attacker's\n"})
        self._before = branches(self.other)

    def planting(self, name: str) -> str:
        """Return the shell script that plants one payload in the current directory."""
        head = [f"FIRE={shlex.quote(f'echo {name!r} >> {self.fired}')}", f"OTHER={self.other}", f"REMOTE={self.remote}"]
        return "\n".join([*head, 'put() { git config --add "$1" "$2"; }', "mkdir -p .git/hooks .git/info", PAYLOADS[name]])

    @property
    def traces(self) -> set[str]:
        """The names of the payloads that ran; "other" when the attacker's repository has changed."""
        ran = set(self.fired.read_text().splitlines()) if self.fired.exists() else set()
        return ran | ({"other"} if branches(self.other) != self._before else set())


@pytest.fixture
def scene(tmp_path: Path, make_remote: MakeRemote) -> Scene:
    return Scene(tmp_path, make_remote({"README.md": "hello\n"}))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with AgentService.open(tmp_path / "state") as opened:
        yield opened


async def pushed(service: Service, scene: Scene, plant: str, **fields: str) -> Run:
    """Let an agent make a legitimate change and plant something; return the run."""
    task = script({"bash": f"{HONEST}\n{plant}"}, {"say": "Done."})
    return await carried_out(service, draft(scene.remote, task=task, **fields))


def check_pushed(run: Run, scene: Scene) -> None:
    """Check that the legitimate change is on the right remote and that nothing planted has run."""
    assert run.state is State.SUCCEEDED, run.summary
    assert scene.traces == set()
    assert tip(scene.remote, "agent/x") == run.commit
    files = files_at(scene.remote, "agent/x")
    assert (files["honest.txt"], files["README.md"]) == (b"honest\n", b"hello\nchanged\n")


@pytest.mark.first_is_fast
@pytest.mark.parametrize("name", FOR_A_PATH)
def test_in_an_ordinary_clone_the_payload_works(name: str, scene: Scene, tmp_path: Path) -> None:
    naive = "git add -A; git commit -m x; git commit --amend; git diff HEAD~; git log -p | cat; git push origin HEAD:refs/heads/agent/x"
    lines = [f"git clone -q {scene.remote} clone", "cd clone", f"({HONEST}\n{scene.planting(name)})", naive]
    environment = git_environment() | {"EDITOR": "true"}
    command = ["bash", "-c", "\n".join(lines)]
    subprocess.run(command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert scene.traces, name


async def test_all_payloads_at_once_neither_run_nor_redirect_the_push(service: Service, scene: Scene) -> None:
    plant = "\n".join(f"({scene.planting(name)})" for name in PAYLOADS)
    run = await pushed(service, scene, plant, setup="true", verify="test -f honest.txt")
    check_pushed(run, scene)


async def test_attributes_in_the_tree_name_filters_that_do_not_run(service: Service, scene: Scene) -> None:
    names = ("filter", "process filter", "textconv")
    plant = "\n".join([*(f"({scene.planting(name)})" for name in names), 'echo "* filter=x diff=t" > .gitattributes'])
    check_pushed(await pushed(service, scene, plant, verify="true"), scene)


async def test_the_users_own_configuration_is_not_read(service: Service, scene: Scene, isolation: Path) -> None:
    lines = [
        f'git config --file {isolation}/.gitconfig core.fsmonitor "echo home >> {scene.fired}; false"',
        f'git config --file {isolation}/.gitconfig "url.{scene.other}.insteadOf" {scene.remote}',
        f"mkdir -p {isolation}/config/git; cp {isolation}/.gitconfig {isolation}/config/git/config",
    ]
    check_pushed(await pushed(service, scene, "\n".join(lines), verify="true"), scene)


SHAPES = {
    "core.worktree elsewhere": "git config core.worktree /",
    "a .git file that points elsewhere": 'rm -rf .git; echo "gitdir: $OTHER" > .git',
    "a .git link that points elsewhere": "rm -rf .git; ln -s $OTHER .git",
    "no .git": "rm -rf .git",
    "alternates": "mkdir -p .git/objects/info; echo $OTHER/objects > .git/objects/info/alternates",
    "rubbish for objects": "find .git/objects -type f -exec sh -c 'chmod u+w $1; echo rubbish > $1' _ {} ';'",
    "changes hidden in the index": "git update-index --assume-unchanged README.md; git update-index --skip-worktree README.md",
    "everything excluded": 'git config core.excludesFile "$PWD/.git/all"; echo "*" > .git/all; echo "*" >> .git/info/exclude',
    "a replaced commit": "git replace HEAD $(git commit-tree -m other $(git mktree < /dev/null))",
    "a moved HEAD": "git checkout --quiet --orphan elsewhere; git symbolic-ref HEAD refs/heads/main",
    "a lock": "touch .git/index.lock .git/HEAD.lock .git/config.lock",
    "a broken configuration": "echo '[[[' > .git/config",
    "a pipe for a configuration": "rm .git/config .git/HEAD; mkfifo .git/config .git/HEAD",
}
SOON = ("a .git file that points elsewhere", "rubbish for objects", "a pipe for a configuration")
"""The shapes of the fast tier; the slow tier has all others."""


@pytest.mark.first_is_fast
@pytest.mark.parametrize("shape", [each if each in SOON else pytest.param(each, marks=pytest.mark.slow) for each in SHAPES])
async def test_what_the_agent_does_to_its_git_directory_changes_nothing(shape: str, service: Service, scene: Scene) -> None:
    identity = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; mkdir -p .git/info"
    run = await pushed(service, scene, f"OTHER={scene.other}\n{identity}\n{SHAPES[shape]}")
    check_pushed(run, scene)
    assert run.base_sha == tip(scene.remote, "main")


NESTED = {
    "a repository with hooks and fsmonitor": ("git init -q sub; cd sub; git config core.fsmonitor \"$FIRE; false\"; echo x > x", "nested"),
    "a bare repository": ('git init -q --bare b; cd b; git config core.fsmonitor "$FIRE; false"; git config core.bare false; git config core.worktree ..', "nested"),
    "a file that some system takes for .git": ("echo 'gitdir: elsewhere' > 'GIT~1'", "dotgit"),
}  # fmt: skip


@pytest.mark.first_is_fast
@pytest.mark.parametrize("what", NESTED)
async def test_a_planted_repository_is_refused_and_the_legitimate_work_is_kept(what: str, service: Service, scene: Scene) -> None:
    plant, rule = NESTED[what]
    run = await pushed(service, scene, f"FIRE={shlex.quote(f'echo {what!r} >> {scene.fired}')}\n{plant}", verify="true")
    assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.POLICY, rule)
    assert scene.traces == set()
    assert branches(scene.remote).keys() == {"main"}
    assert run.salvage is not None
    patch = await asyncio.to_thread((Path(run.salvage.directory) / "work.patch").read_bytes)
    assert b"+honest\n" in patch
