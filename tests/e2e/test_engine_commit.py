"""The commit that is made in the agent's own box on a real engine: the step's box is spared, and nothing that the agent left acts on it."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ccterm.causes import Cause
from ccterm.executors.base import Executor
from ccterm.executors.control import socket_directory
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.executors.dagger.image_spec import CLOSED
from ccterm.models import ExecutionMode, Run, RunId, State, new_id
from ccterm.pipeline.pipeline import Pipeline
from ccterm.pipeline.run_control import RunControl
from ccterm.settings import Settings
from ccterm.state_dir import StateDir
from ccterm.values import Egress, ImageChoice
from tests.executors.contract import Heard, shell_step
from tests.pipeline.parts import FailingExecutor, contexts, recorder_of, task
from tests.servers.git_http import GitServer
from tests.support.core import script
from tests.support.engine import engine_options, require_engine
from tests.support.git import files_at, git, make_remote, tip

require_engine()
pytestmark = pytest.mark.engine
Carried = Callable[..., AbstractAsyncContextManager[Run]]
NEVER = "commit"
"""The call that fails in a run whose commit step needs a box of its own."""
TRAPS = r"""
mkdir -p ~/bin ~/.config/git ~/.local/lib/python3/site-packages hooks
for name in git python3 sh sed; do printf '#!/bin/sh\necho trapped; exit 7\n' > ~/bin/$name; done
chmod +x ~/bin/*; cp -r ~/bin /box/bin; cp ~/bin/git /box/git; cp ~/bin/git git
for name in json sitecustomize usercustomize zlib hashlib; do
    for place in /tmp /box . ~/.local/lib/python3/site-packages; do echo 'import os; os._exit(7)' > $place/$name.py; done
done
for name in post-index-change reference-transaction fsmonitor; do printf '#!/bin/sh\nexit 7\n' > hooks/$name; done
chmod +x hooks/*
echo '* filter=x diff=x text eol=crlf' | tee .git/info/attributes ~/.config/git/attributes > /tmp/attributes
for file in ~/.gitconfig ~/.config/git/config .git/config; do
    printf '[core]\n\thooksPath = /box/work/hooks\n\tfsmonitor = /box/work/hooks/fsmonitor\n\tattributesFile = /tmp/attributes\n' >> $file
    printf '[filter "x"]\n\tclean = echo trapped\n\trequired = true\n[diff "x"]\n\ttextconv = echo trapped\n\tcommand = echo trapped\n' >> $file
    printf '[core\n' >> $file
done
echo '* filter=x diff=x' > .gitattributes
export PATH=~/bin:/box/bin:$PATH LD_PRELOAD=/tmp/preload.so PYTHONPATH=/tmp PYTHONSTARTUP=/tmp/json.py GIT_DIR=/box/work/.git
for place in /private/x /private/clean.git/config /private/committed/report.json /ccterm/__main__.py /usr/bin/git /etc/ld.so.preload /etc/gitconfig; do
    (echo x >> $place) 2>/dev/null && echo "written: $place" >> written
done
/bin/mv /private /box/private 2>/dev/null && echo moved >> written
/bin/ls /private/ >> written 2>/dev/null
/bin/cat /private/clean.git/HEAD >> written 2>/dev/null
(unset LD_PRELOAD PYTHONPATH; setsid /bin/sh -c 'trap "" TERM HUP INT; while :; do echo late >> /box/work/late; done' > /dev/null 2>&1 &)
(unset LD_PRELOAD PYTHONPATH; setsid /usr/bin/python3 -I -c '
import os
while True:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: os.open(f"/proc/{pid}/mem", os.O_RDWR), open("/box/work/written", "a").write(f"memory of {pid}\n") if int(pid) < 3 else 0
        except OSError: continue
' > /dev/null 2>&1 &)
true
"""
"""Whatever of it acted on the commit would make it fail, or change what it holds."""


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Return a directory for control sockets."""
    directory = socket_directory()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Return a remote."""
    return make_remote(tmp_path / "served" / "remote.git", {"README.md": "hello\n", "gone.txt": "x\n"}, "main")


@pytest.fixture
async def executor(engine_cache: Path) -> AsyncIterator[DaggerExecutor]:
    """Return an executor on the engine."""
    async with DaggerExecutor(engine_options(), cache=engine_cache, bundles=engine_cache / "lib") as executor:
        await executor.prepare(ImageChoice())
        yield executor


@pytest.fixture
def carried(executor: Executor, remote: Path, tmp_path: Path, sockets: Path) -> Carried:
    """Carry out a run of the scripted agent: carried(prompt, call of its boxes that fails, **fields of the task)."""

    @asynccontextmanager
    async def carry(prompt: str, failing: str = "", *, settings: Settings | None = None, **fields: object) -> AsyncIterator[Run]:
        state = StateDir(tmp_path / "state").prepare()
        tested = FailingExecutor(executor, failing)
        with GitServer(remote.parent) as server:
            given = task(server.url(remote.name), prompt, execution_mode=ExecutionMode.DAGGER, **fields)
            recorder = recorder_of(state, given)
            made = Pipeline(tested, contexts(state, tested, sockets, environ=os.environ, settings=settings), state)
            yield await made.carry_out(recorder, RunControl())

    return carry


@pytest.mark.parametrize("verify", [None, "test $(cat new.txt) = new"])
async def test_a_run_needs_no_box_for_its_commit(carried: Carried, remote: Path, verify: str | None) -> None:
    edit = script({"write": "new.txt", "text": "new\n"}, {"bash": "rm gone.txt"}, {"say": "Fixes #1\n\nNote: it is new."})
    async with carried(edit, NEVER, verify=verify, setup="echo left > left.txt") as run:
        assert run.state is State.SUCCEEDED, run.summary
    assert files_at(remote, "agent/x") == {"README.md": b"hello\n", "new.txt": b"new\n"}
    message = git(remote, "log", "-1", "--format=%B", "agent/x")
    assert message.split("\n\n", 1)[1] == f"Fixes no. 1\n\n  Note: it is new.\n\nCcterm-Run: {run.id}"


@pytest.mark.parametrize("egress", [Egress(mode="record"), Egress(mode="list", hosts=("example.com",))], ids=["record", "list"])
async def test_a_box_proxy_is_not_in_its_way(carried: Carried, remote: Path, egress: Egress) -> None:
    async with carried(script({"write": "new.txt", "text": "new\n"}, {"say": "Done."}), NEVER, egress=egress) as run:
        assert run.state is State.SUCCEEDED, run.summary
    assert files_at(remote, "agent/x")["new.txt"] == b"new\n"


async def test_checkpoints_come_before_it(carried: Carried, remote: Path) -> None:
    turns = script(
        {"write": "new.txt", "text": "old\n"}, {"turn": "First."}, {"sleep": 1.5}, {"write": "new.txt", "text": "new\n"}, {"say": "Last."}
    )
    async with carried(turns, NEVER, hold=False) as run:
        assert run.state is State.SUCCEEDED, run.summary
    assert files_at(remote, "agent/x")["new.txt"] == b"new\n"
    assert git(remote, "log", "-1", "--format=%b", "agent/x").startswith("Last.")


async def test_nothing_that_the_agent_left_acts_on_the_commit(carried: Carried, remote: Path) -> None:
    async with carried(script({"bash": TRAPS}, {"write": "new.txt", "text": "new\n"}, {"say": "Armed."}), NEVER) as run:
        assert run.state is State.SUCCEEDED, run.summary
    files = files_at(remote, "agent/x")
    assert files["new.txt"] == b"new\n"
    assert files[".gitattributes"] == b"* filter=x diff=x\n"
    assert files["hooks/fsmonitor"] == b"#!/bin/sh\nexit 7\n"
    assert set(files["late"].split()) == {b"late"}
    assert "written" not in files or files["written"] == b""


async def test_a_commit_is_the_same_in_either_box(carried: Carried, remote: Path) -> None:
    work = r"git add new.txt; git commit -qm 'Add new.txt'; printf 'a\r\n' > crlf; ln -s README.md link; mkfifo pipe; git stash -q; git stash apply -q; rm pipe"
    edit = {"write": "new.txt", "text": "new\n"}
    async with carried(script(edit, {"bash": work}, {"say": "Done."}), NEVER, branch="agent/here") as here:
        assert here.state is State.SUCCEEDED, here.summary
    # what is not on the screen is no part of the message, so the step makes the commit
    async with carried(script(edit, {"bash": work}, {"say": "Done.\u200b"}), branch="agent/there") as there:
        assert there.state is State.SUCCEEDED, there.summary
    assert git(remote, "rev-parse", "agent/here^{tree}") == git(remote, "rev-parse", "agent/there^{tree}")
    assert git(remote, "log", "-1", "--format=%s", "agent/here") == git(remote, "log", "-1", "--format=%s", "agent/there") == "Add new.txt"
    assert [ref.name for ref in here.side] == [ref.name for ref in there.side]


@pytest.mark.parametrize("said", ["Done.\u200b", "The key is sesame-open-0123456789."])
async def test_a_message_that_only_the_host_can_word_needs_the_step(
    carried: Carried, remote: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("SESAME", "sesame-open-0123456789")
    settings = Settings.model_validate({"secrets": {"KEY": {"from": "env:SESAME", "steps": ["agent"]}}})
    async with carried(script({"write": "new.txt", "text": "new\n"}, {"say": said}), NEVER, settings=settings) as run:
        assert (run.state, run.cause) == (State.FAILED, Cause.ENGINE)
    assert tip(remote, "agent/x") is None
    assert run.salvage is not None  # the tree, since the step has failed


@pytest.mark.parametrize("failing", ["collect ../private/committed", "push"])
async def test_the_work_is_kept_when_it_cannot_be_brought_out(carried: Carried, remote: Path, failing: str) -> None:
    async with carried(script({"write": "new.txt", "text": "new\n"}, {"say": "Done."}), failing) as run:
        assert (run.state, run.cause) == (State.FAILED, Cause.ENGINE)
    assert tip(remote, "agent/x") is None
    assert run.salvage is not None
    directory = Path(run.salvage.directory)
    kept = directory / "work.patch" if failing == "push" else directory / "tree" / "new.txt"
    assert b"new" in kept.read_bytes()


async def test_an_image_that_an_agent_can_change_is_not_closed(executor: Executor) -> None:
    ways = {
        "true": "true",
        "chown agent /usr/local/bin": "chown root /usr/local/bin",
        "chmod o+w /usr/bin/git": "chmod o-w /usr/bin/git",
        "chmod o+w /etc": "chmod o-w /etc",
        "chmod 711 /usr/lib/git-core": "chmod 755 /usr/lib/git-core",
        "export LD_LIBRARY_PATH=/tmp": "unset LD_LIBRARY_PATH",
    }
    look = f"rm /ccterm/closed; {CLOSED}; test -e /ccterm/closed && echo closed || echo open"
    body = "".join(f"{do}; {look}; touch /ccterm/closed; {undo}\n" for do, undo in [*ways.items(), ("true", "true")])
    heard = Heard()
    async with executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
        await boxes.execute(shell_step(f"test -e /ccterm/closed && echo closed\n{body}", user="root"), heard.append)
    assert heard.lines() == ["closed", "closed", *["open"] * (len(ways) - 1), "closed"]
