"""The stand-in does as the recorded engine did, through the same SDK: its tests are worth what it is."""

import asyncio
import base64
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import dagger
import psutil
import pytest
from dagger import Retry, ReturnType
from dagger.client._config import ConnectConfig
from dagger.client._session import ConnectParams, SingleConnection
from pydantic import JsonValue

from ccterm.executors.dagger.cli_session import cli_session
from ccterm.executors.dagger.session import Session, open_session, traced
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.images import whole
from tests.dagger_engine.logs import SUBSCRIBED, Logs, Record
from tests.dagger_engine.masking import Masking
from tests.dagger_engine.recorded import recording
from tests.dagger_engine.tools import make_cli
from tests.support.fake_engine import Listening
from tests.support.waiting import until

BAD_QUERIES = {
    "unknown field": "{ container { noSuchField } }",
    "syntax error": "{ container { ",
    "wrong argument type": "{ container { withExec(args: 3) { id } } }",
    "missing argument": "{ container { withWorkdir { id } } }",
    "an id that is no id": '{ node(id: "bm9wZQ==") { ... on Container { id } } }',
    "two fields in one query": "{ a: container { id } version }",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as engine:
        yield engine


@pytest.fixture
async def session(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Session]:
    """Open a session whose client knows all of the published schema, not only the part that ccterm uses."""
    cli = make_cli(tmp_path / "bin")
    async with cli_session(cli, {"PATH": "/usr/bin:/bin"}, engine.runner) as child, open_session(child) as session:
        port, token = session.child.address
        params = ConnectParams(port=port, session_token=token)
        async with SingleConnection(params, ConnectConfig(retry=Retry(execute=False))) as connection:
            yield replace(session, client=dagger.Client.from_connection(connection))


@pytest.fixture
def box(session: Session, tmp_path: Path) -> dagger.Container:
    base = whole("2").tarball(tmp_path / "base.tar")
    return session.client.container().import_(session.client.host().file(str(base)))


def ran(box: dagger.Container, command: str, expect: ReturnType = ReturnType.ANY) -> dagger.Container:
    return box.with_exec(["sh", "-c", command], expect=expect)


def asked(session: Session, body: bytes, *, path: str = "/query", token: str | None = None) -> tuple[int, bytes]:
    """Send a request as it is; returns status and body."""
    login = base64.b64encode(f"{session.child.address.token if token is None else token}:".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{session.child.address.port}{path}",
        data=body or None,
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_bad_queries_are_answered_as_recorded(session: Session) -> None:
    found = recording("bad_query")
    for what, query in BAD_QUERIES.items():
        status, body = await asyncio.to_thread(asked, session, json.dumps({"query": query}).encode())
        wanted = found.result(what)
        said, known = json.loads(body), json.loads(str(wanted["body"]))
        assert (what, status, "errors" in said) == (what, wanted["status"], "errors" in known)
        if status == 422:  # in words of another library
            assert [known["errors"][0][key] == value for key, value in said["errors"][0].items() if key != "message"] == [True, True]
    assert (await asyncio.to_thread(asked, session, b"nope"))[0] == found.result("not json")["status"]


async def test_a_wrong_token_is_answered_as_recorded(session: Session) -> None:
    for path in ("/query", "/v1/logs", "/v1/nothing"):
        assert await asyncio.to_thread(asked, session, b"", path=path, token="wrong") == (401, b"")
    assert await asyncio.to_thread(asked, session, b"", path="/v1/nothing") == (404, b"404 page not found\n")


async def test_missing_things_are_reported_as_recorded(session: Session, box: dagger.Container) -> None:
    found = recording("bad_query")
    calls = {
        "directory that is not in the container: entries()": box.directory("/not/there").entries(),
        "file that is not in the container: contents()": box.file("/not/there").contents(),
        "with_user of a user that is not there: stdout()": box.with_user("nobody-here").with_exec(["id"]).stdout(),
        "stdout() with no exec": box.stdout(),
    }
    for what, call in calls.items():
        with pytest.raises(dagger.QueryError) as raised:
            await call
        assert str(raised.value).split(" [")[0] == str(found.result(what)["message"]).split(" [")[0]
        assert type(raised.value).__name__ == found.result(what)["raised"]
    with pytest.raises(dagger.QueryError, match="no command has been set"):
        await box.exit_code()


async def test_an_unknown_image_is_refused_as_recorded(session: Session) -> None:
    with pytest.raises(dagger.QueryError, match=r'^failed to resolve image "registry.invalid/none:1" \(platform: "linux/'):
        await session.client.container().from_("registry.invalid/none:1").platform()


async def test_exit_codes_raise_as_recorded(box: dagger.Container) -> None:
    results = [each for each in recording("exec_killed").results_in_the_sdk if str(each["what"]).startswith("exit ")]
    assert len(results) == 30

    async def same(wanted: dict[str, JsonValue]) -> bool:
        code, expect = str(wanted["what"]).removeprefix("exit ").split(", ReturnType.")
        try:
            got: object = await ran(box, f"exit {code}", ReturnType[expect.split(":")[0]]).exit_code()
        except dagger.ExecError as error:
            return wanted.get("raised") == "ExecError" and error.exit_code == wanted["exit_code"]
        return got == wanted.get("value")

    assert [each["what"] for each in results if not await same(each)] == []


async def test_a_failed_exec_runs_again_and_one_that_may_fail_does_not(engine: FakeEngine, box: dagger.Container) -> None:
    before = len(engine.executed)
    for expect, count in ((ReturnType.SUCCESS, 3), (ReturnType.ANY, 1)):
        exec_ = ran(box, f"echo some output; echo some trouble >&2; exit 3; : {expect}", expect)
        for ask in (exec_.exit_code, exec_.stdout, exec_.stderr):
            with contextlib.suppress(dagger.ExecError):
                await ask()
        assert len(engine.executed) - before == count
        before = len(engine.executed)


async def test_an_error_carries_the_end_of_long_output(box: dagger.Container) -> None:
    with pytest.raises(dagger.ExecError) as raised:
        await ran(box, "seq 1 50000; echo trouble >&2; exit 3", ReturnType.SUCCESS).stdout()
    assert raised.value.stderr == "trouble"
    assert raised.value.stdout.startswith("[omitting 186494 bytes]...8\n32939\n")
    assert raised.value.stdout.endswith("\n49999\n50000")


async def test_two_queries_share_one_exec_which_ends_with_the_last(engine: FakeEngine, box: dagger.Container, tmp_path: Path) -> None:
    before = len(engine.executed)
    exec_ = ran(await box.sync(), f"echo $$ > {tmp_path}/pid; until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done")
    queries = [asyncio.ensure_future(exec_.stdout()) for _ in range(2)]
    await until(lambda: engine.answering == 2 and (tmp_path / "pid").exists())
    queries[0].cancel()
    await asyncio.wait([queries[0]])
    (tmp_path / "go").touch()
    assert await queries[1] == "done\n"
    assert len(engine.executed) == before + 1


async def test_a_cancelled_exec_is_dead_and_never_ends_in_the_log(session: Session, box: dagger.Container, tmp_path: Path) -> None:
    heard = Listening()
    with traced() as trace, session.stream.listening(trace, heard):
        query = asyncio.ensure_future(ran(box, "setsid sleep 600 & echo $! $$; sleep 600").stdout())
        await until(lambda: heard.text)
        query.cancel()
        await asyncio.wait([query])
        await until(lambda: not any(alive(int(pid)) for pid in heard.text.split()))
        assert await ran(box, "echo later").exit_code() == 0
        await until(lambda: heard.eofs)
    assert [record.eof for record in heard.records] == [False, False, True, True]


async def test_a_secret_is_masked_and_makes_records_short(session: Session, box: dagger.Container) -> None:
    value = "dummy-secret-value-0123456789"
    box = box.with_secret_variable("TOK", session.client.set_secret("dummy-name", value))
    command = "echo raw $TOK; echo cut ${TOK%??}; echo twice $TOK$TOK; printf 'split '; printf %.10s $TOK; sleep 0.3; printf %s \"${TOK#??????????}\"; echo"
    assert await ran(box, command).stdout() == "raw ***\ncut dummy-secret-value-01234567\ntwice ******\nsplit ***\n"
    heard = Listening()
    with traced() as trace, session.stream.listening(trace, heard):
        assert await ran(box, "head -c 20000 /dev/zero | tr '\\0' a; echo").exit_code() == 0
        await until(lambda: heard.eofs == 2)
    assert len(heard.text) == 20001
    assert max(len(record.text) for record in heard.records) <= 4096


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_value_in_two_writes_is_masked_wherever_it_is_split(cut: int) -> None:
    masking, data = Masking(["aab-aab-aac"]), b"x aab-aab-aac y aab-"
    shown = masking.feed(data[:cut]) + masking.feed(data[cut:]) + masking.rest()
    assert shown == b"x *** y aab-"


async def test_a_split_character_is_missing_live_and_present_in_stdout(session: Session, box: dagger.Container) -> None:
    heard = Listening()
    with traced() as trace, session.stream.listening(trace, heard):
        stdout = await ran(box, r"printf 'a\303'; sleep 0.3; printf '\251b\n'; sleep 0.3; echo end").stdout()
        await until(lambda: heard.eofs == 2)
    assert (stdout, heard.text) == ("aéb\nend\n", "end\n")


async def test_a_slow_reader_of_the_log_loses_nothing() -> None:
    logs, got = Logs(), b""
    events, other = logs.events(""), logs.events("")
    for reader in (events, other):
        assert await anext(reader) == SUBSCRIBED
    for number in (1, 2, 3):  # what the one has read, the other is still taking from the event before
        logs.add(Record("0" * 32, "0" * 16, 1, f"text {number}"))
        async with asyncio.timeout(10):
            got = await anext(events) if number == 1 else got
            assert f"text {number}".encode() in await anext(other)
    async with asyncio.timeout(10):
        got += await anext(events)
    assert [number for number in (1, 2, 3) if f"text {number}".encode() in got] == [1, 2, 3]


async def test_unsupported_calls_say_so(session: Session) -> None:
    with pytest.raises(dagger.QueryError, match=r"the fake engine does not have Query\.git"):
        await session.client.git("https://example.org/x.git").head().commit()


async def test_the_real_scripts_are_never_run(box: dagger.Container) -> None:
    exec_ = ran(box, "apt-get install something new")
    assert await exec_.exit_code() == 1
    assert "does not know this script" in await exec_.stderr()
