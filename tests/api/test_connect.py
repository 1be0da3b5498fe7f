"""`ccterm.connect`: the same Service over HTTP, by the private socket and over TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import ccterm
from ccterm import Allowances, Cause, Draft, Event, ExecutionMode, Run, Service, State
from ccterm.errors import DaemonError, StepError, UnknownRun, UsageError
from tests.api.served import Served
from tests.support.core import EDIT, draft, script
from tests.support.git import git

WAITS = script({"write": "half.txt", "text": "half\n"}, {"say": "Half is done."}, {"sleep": 60})


@pytest.fixture(params=["tcp", pytest.param("socket", marks=pytest.mark.slow)])
async def far(request: pytest.FixtureRequest, api: Served) -> AsyncIterator[Service]:
    """A program's service on the other side of the server."""
    over_tcp = request.param == "tcp"
    address = f"http://127.0.0.1:{api.address.port}" if over_tcp else api.address.socket
    async with ccterm.connect(address, token=api.address.token.value if over_tcp else None) as service:
        yield service


async def test_a_task_is_run_followed_and_looked_at(far: Service, remote: Path) -> None:
    kinds: list[str] = []

    def note(run: Run, event: Event) -> None:
        kinds.append(event.kind)

    run = await far.run(task=EDIT, branch="agent/a", agent="scripted", execution_mode="local", on_event=note)
    assert run.pushed is not None, run.summary
    assert run.pushed.sha == git(remote, "rev-parse", "agent/a")
    assert (kinds[0], kinds[-1], "said" in kinds) == ("queued", "finished", True)
    for name in (run.id, "1", 1, "agent/a", "last", run.id[:15]):
        assert (await far.find(name)).id == run.id
    assert b"+new" in (await far.patch("agent/a") or b"")
    assert [event.seq async for event in far.follow(run.id, after=3)] == list(range(4, len(kinds)))
    fresh = await far.continue_(1, script({"write": "more.txt", "text": "more\n"}))
    assert (await far.wait(fresh.id)).state is State.SUCCEEDED
    assert [each.number for each in await far.runs()] == [1, 2]
    assert [each.number for each in await far.runs(states=[State.SUCCEEDED], limit=1)] == [2]
    assert [each.number for each in await far.runs(after=1)] == [2]


async def test_a_running_agent_is_steered_and_cancelled_and_its_work_is_pushed(far: Service, remote: Path) -> None:
    asked = asyncio.ensure_future(far.run(task=WAITS, branch="agent/a", agent="scripted", execution_mode="local"))
    async with asyncio.timeout(30):
        while not (await far.runs(states=[State.RUNNING])):  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.05)
        async for event in far.follow("last"):
            if event.kind == "said":
                break
    assert "said" in [event.kind async for event in far.follow("last", live=False)]
    await far.steer("last", "hurry")
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    run = await far.find("last")
    assert (run.state, run.salvage is not None) == (State.CANCELLED, True)
    with pytest.raises(UsageError, match="rules cannot be lifted over HTTP"):
        await far.push(run.id, allow=Allowances(deletions=5))
    assert (await far.push(run.id)).pushed is not None
    with pytest.raises(UsageError, match="has ended already"):
        await far.cancel(run.id)


@pytest.mark.slow
async def test_submitted_changes_wait_and_those_of_run_do_not(far: Service, working_copy: Path) -> None:
    [queued] = await far.submit([draft(working_copy, branch=None)])
    run = await far.wait(queued.id)
    assert (run.awaits_apply, (working_copy / "new.txt").exists()) == (True, False)
    assert (await far.apply(run.id)).synced is not None
    assert (working_copy / "new.txt").exists()
    await far.undo(run.id)
    assert not (working_copy / "new.txt").exists()
    once = await far.run(task=EDIT, repo=str(working_copy), agent="scripted", execution_mode="local")
    assert once.synced is not None


async def test_errors_are_those_of_the_service(far: Service, working_copy: Path) -> None:
    with pytest.raises(UnknownRun, match="no run 'agent/nothing'"):
        await far.find("agent/nothing")
    with pytest.raises(UsageError, match='"setup" cannot be set by a program'):
        await far.run(task="x", branch="agent/a", setup="true")
    with pytest.raises(UsageError, match="not below a repository"):
        await far.submit([Draft(task="x", repo="/etc", branch="b")])
    run = await far.run(
        task=script({"write": "CLAUDE.md", "text": "x\n"}), repo=str(working_copy), agent="scripted", execution_mode="local"
    )
    assert run.cause is Cause.POLICY
    with pytest.raises(StepError) as refused:
        await far.apply(run.id)
    assert (refused.value.cause, refused.value.reason) == (Cause.POLICY, "protected")
    assert "CLAUDE.md" in refused.value.message
    for order in (
        far.clean(run.id),
        far.review(run.id),
        far.commit(run.id),
        far.fetch(run.id, working_copy),
        far.pending(run.id),
        far.plan([]),
        far.export_login(),
        far.check_out(run.id, working_copy, "HEAD", working_copy / "x"),
    ):
        with pytest.raises(UsageError, match="over HTTP"):
            await order
    for question in (lambda: far.transcript(run.id), far.make_image):
        with pytest.raises(UsageError, match="over HTTP"):
            question()
    assert [check.name async for check in far.checks(ExecutionMode.LOCAL)]
    assert "remote" in [check.name async for check in far.checks(ExecutionMode.LOCAL, repo=str(working_copy))]


@asynccontextmanager
async def cutting(socket: Path, to: Path, most: int) -> AsyncIterator[list[int]]:
    """Pass connections on to a socket, each until so many bytes came back; yields how many each had."""
    passed: list[int] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        below, above = await asyncio.open_unix_connection(to)
        asked = asyncio.ensure_future(copy(reader, above))
        passed.append(0)
        number = len(passed) - 1
        while (data := await below.read(most)) and passed[number] < most:
            passed[number] += len(data)
            writer.write(data)
        asked.cancel()
        above.close()
        writer.close()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)

    async with await asyncio.start_unix_server(forward, socket):
        yield passed


@pytest.mark.slow
async def test_following_goes_on_where_it_was_when_connections_break(api: Served, tmp_path: Path) -> None:
    run = await api.run(task=script(*({"say": f"{number} {'x' * 200}"} for number in range(30))))
    async with cutting(tmp_path / "cut.sock", api.address.socket, 12_000) as passed, ccterm.connect(tmp_path / "cut.sock") as far:
        seen = [event.seq async for event in far.follow(run["id"])]
    assert seen == list(range(len(seen)))
    assert len(seen) > 30
    assert any(size >= 12_000 for size in passed)


async def test_who_cannot_be_reached_or_does_not_let_in_says_so_at_once(api: Served, tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.sock"
    for address, token, kind, words in (
        (str(nobody), None, DaemonError, "no server answers"),
        ("http://127.0.0.1:9", "x", DaemonError, "no server answers at http://127.0.0.1:9"),
        (f"http://127.0.0.1:{api.address.port}", "wrong", UsageError, "ccterm token"),
        ("ftp://localhost/", None, UsageError, "no address of a server"),
    ):
        with pytest.raises(kind, match=words):
            async with ccterm.connect(address, token=token):
                pass


async def test_this_machine_s_own_server_needs_no_token_given(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(api.state.path))
    async with ccterm.connect(f"http://localhost:{api.address.port}") as far:
        assert await far.runs() == []
