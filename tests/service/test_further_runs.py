"""What a run that comes of another one takes from the settings as they are by then."""

from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.errors import UsageError
from ccterm.models import ExecutionMode, Run, RunId, State, Task, new_id, now
from ccterm.record import Recorder
from ccterm.service.task_resolver import readable_notes
from ccterm.state_dir import StateDir
from ccterm.store import Store
from ccterm.transcript import Transcript
from ccterm.values import LoginPlace, StepRecord
from tests.conftest import MakeRemote
from tests.e2e.arranged import configure

LIB, TOOLS = "github.com/acme/lib", "github.com/acme/tools"


async def ended(state: StateDir, remote: Path, login: LoginPlace, *, began: bool = True) -> Run:
    """Record a run whose agent might read LIB, and that has ended. began: whether its agent did."""
    read = (LIB,) if login == "gateway" else ()
    task = Task(
        prompt="x", repo=str(remote), remote=str(remote), remote_key=str(remote), branch="b", agent="claude", login=login,
        execution_mode=ExecutionMode.LOCAL, git_read=read, notes=("a note", *readable_notes(read)),
    )  # fmt: skip
    store = Store.open(state.db)
    step = StepRecord(name="agent" if began else "resolve", ok=began, seconds=1)
    [run] = store.submit([Run(id=RunId(new_id()), task=task, created=now(), session_id="s", steps=(step,))], None)
    run = await Recorder(run, Transcript(state.run(run.id), run.id), store).finish(State.SUCCEEDED)
    store.close()
    return run


@pytest.mark.parametrize("named", [(LIB,), (TOOLS, LIB), ()], ids=["the same", "more", "none"])
@pytest.mark.parametrize("login", ["gateway", "secret"])
async def test_an_agent_may_read_what_the_settings_name_when_it_goes_on(
    tmp_path: Path, make_remote: MakeRemote, isolation: Path, named: tuple[str, ...], login: LoginPlace
) -> None:
    remote = make_remote()
    run = await ended(StateDir(tmp_path / "state").prepare(), remote, login)
    configure(isolation, f'[repo."{remote}"]\ngit_read = [{", ".join(map(repr, named))}]\n')
    wanted = named if login == "gateway" else ()  # with the login in its box there is no gateway
    async with AgentService.open(tmp_path / "state") as service:
        again, further = await service.retry(run.id), await service.continue_(run.id, "And now?", fresh=True)
        await service.cancel_all(now=True)
        assert again.task.git_read == further.task.git_read == wanted
        assert {*again.task.notes} == {"a note", *readable_notes(wanted)}
        assert not {*further.task.notes} & {*readable_notes((LIB,)), *readable_notes((TOOLS, LIB))} - {*readable_notes(wanted)}


async def test_what_never_began_has_no_conversation_that_could_go_on(tmp_path: Path, make_remote: MakeRemote) -> None:
    run = await ended(StateDir(tmp_path / "state").prepare(), make_remote(), "secret", began=False)
    async with AgentService.open(tmp_path / "state") as service:
        with pytest.raises(UsageError, match="the agent of run #1 never began") as refused:
            await service.continue_(run.id, "And now?")
        assert refused.value.fix == "ccterm retry 1 starts its task again"
        assert [each.id for each in await service.runs()] == [run.id]
