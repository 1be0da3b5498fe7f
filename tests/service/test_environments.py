"""What is stored of the environment of a submission, and what becomes of secrets that were lost with a process."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm import AgentService
from ccterm.models import Run, State
from ccterm.service.caller import CallerEnvironment
from ccterm.service.environments import FILE
from ccterm.service.local import LocalService
from ccterm.settings import Settings
from tests.conftest import MakeRemote
from tests.e2e.arranged import configure, found_below
from tests.support.core import draft, script
from tests.support.git import files_at

SECRET = "s3cr3t-value-of-a-terminal-41"
BASE = {"PATH": "/usr/bin:/bin", "HOME": "/home/u", "LANG": "C.UTF-8"}


def of(environ: Mapping[str, str], settings: Settings | None = None) -> CallerEnvironment:
    return CallerEnvironment.of(environ, settings or Settings())


def test_what_counts_is_the_callers_also_where_it_has_none_and_the_rest_is_the_processes_own() -> None:
    caller = of({**BASE, "HTTPS_PROXY": "http://proxy:3128", "CCTERM_MODE": "local", "STRANGE": "theirs"})
    own = {"PATH": "/old", "GH_TOKEN": "old", "CCTERM_ENGINE": "tcp://old:1", "CCTERM_STATE_DIR": "/state", "STRANGE": "ours"}
    assert caller.over(own) == {
        **BASE, "HTTPS_PROXY": "http://proxy:3128", "CCTERM_MODE": "local", "CCTERM_STATE_DIR": "/state", "STRANGE": "ours",
    }  # fmt: skip


def test_another_cloud_comes_with_all_its_variables_and_without_those_of_the_process() -> None:
    given = {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIA-x", "AWS_SECRET_ACCESS_KEY": SECRET}
    caller, own = of({**BASE, **given, "ANTHROPIC_MODEL": "m"}), {"AWS_PROFILE": "old", "CLAUDE_CODE_USE_VERTEX": "1"}
    assert caller.over(own) == {**BASE, **given, "ANTHROPIC_MODEL": "m"}
    assert set(caller.secrets) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    without = of({**BASE, "AWS_SECRET_ACCESS_KEY": SECRET})  # it may be for anything
    assert (without.secrets, without.others) == ({}, ("AWS_SECRET_ACCESS_KEY",))
    assert without.over({"AWS_PROFILE": "own"})["AWS_PROFILE"] == "own"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAUDE_CODE_OAUTH_TOKEN", SECRET),
        ("ANTHROPIC_API_KEY", SECRET),
        ("GH_TOKEN", SECRET),
        ("GITHUB_TOKEN", SECRET),
        ("HTTPS_PROXY", f"http://user:{SECRET}@proxy"),
        ("OP_SESSION_work", SECRET),
        ("GIT_CONFIG_VALUE_0", f"Authorization: {SECRET}"),
        ("DEPLOY", SECRET),
        ("DOCKER_AUTH_CONFIG", "ghp_" + "a1B2" * 9),
    ],
)
def test_a_secret_is_stored_by_its_name_alone(name: str, value: str) -> None:
    settings = Settings.model_validate({"secrets": {"DEPLOY_KEY": {"from": "env:DEPLOY"}}})
    stored = of({**BASE, name: value}, settings).without_secrets()
    assert value not in stored.model_dump_json()
    assert stored.missing == (name,)
    again = CallerEnvironment.model_validate_json(stored.model_dump_json()).completed({}, {name: SecretStr(value)})
    assert (again.over({})[name], again.missing) == (value, ())


def test_a_value_that_is_no_text_is_left_out_and_a_relative_path_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("claude").touch()
    found = of({"LANG": os.fsdecode(b"\xff"), "CCTERM_CLAUDE_BIN": "./claude"})
    assert found.variables == {"CCTERM_CLAUDE_BIN": str(tmp_path / "claude")}


@asynccontextmanager
async def opened(state: Path) -> AsyncIterator[LocalService]:
    async with AgentService.open(state) as service:
        assert isinstance(service, LocalService)
        yield service


SHOWS = script({"bash": 'test "$DEPLOY_KEY" = "" || printf %s "$DEPLOY_KEY" | wc -c > length'})


async def ended(service: LocalService, run: Run) -> Run:
    return await service.wait(run.id)


async def test_a_run_whose_secret_died_with_the_daemon_waits_until_any_submission_brings_it(
    isolation: Path, make_remote: MakeRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(isolation, '[secrets.DEPLOY_KEY]\nfrom = "env:DEPLOY"\nsteps = ["agent"]\n')
    remote, state = make_remote(), tmp_path / "state"
    monkeypatch.setenv("DEPLOY", SECRET)
    terminal = of(os.environ, Settings.model_validate({"secrets": {"DEPLOY_KEY": {"from": "env:DEPLOY"}}}))
    monkeypatch.delenv("DEPLOY")
    async with opened(state) as service:
        [first] = await service.acting_for(terminal).submit([draft(remote, "x", SHOWS)])
        assert (await ended(service, first)).state is State.SUCCEEDED
        assert '"DEPLOY"' in (service.state.run(first.id) / FILE).read_text()
    async with opened(state) as service:  # another daemon, which never had it
        nobody = service.acting_for(None)
        again = await nobody.retry(first.id)
        assert "DEPLOY is not set" in ((await service.find(again.id)).held or "")
        await service.acting_for(of(os.environ)).plan([draft(remote, "y")])
        assert (await service.find(again.id)).held
        await service.acting_for(terminal).plan([draft(remote, "y")])
        done = await ended(service, again)
        assert (done.state, done.held) == (State.SUCCEEDED, None)
    assert files_at(remote, "x")["length"].strip() == str(len(SECRET)).encode()
    assert found_below(state, (SECRET.encode(),)) == []


@pytest.mark.slow
async def test_a_lost_secret_is_replaced_from_the_daemons_own_sources(
    isolation: Path, make_remote: MakeRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(isolation, '[secrets.DEPLOY_KEY]\nfrom = "env:DEPLOY"\nsteps = ["agent"]\n')
    monkeypatch.setenv("DEPLOY", SECRET)
    async with opened(tmp_path / "state") as service:
        [first] = await service.submit([draft(make_remote(), "x", SHOWS)])
        await ended(service, first)
    async with opened(tmp_path / "state") as service:
        assert (await ended(service, await service.acting_for(None).retry(first.id))).state is State.SUCCEEDED


@pytest.mark.slow
async def test_a_retry_that_nobodys_environment_comes_with_has_the_one_that_is_stored(
    make_remote: MakeRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows, remote = script({"bash": 'printf %s "$GOPATH" > gopath'}), make_remote()
    async with opened(tmp_path / "state") as service:
        [first] = await service.acting_for(of({**os.environ, "GOPATH": "/of/the/terminal"})).submit([draft(remote, "x", shows)])
        await ended(service, first)
        assert files_at(remote, "x")["gopath"] == b"/of/the/terminal"
        [other] = await service.submit([draft(remote, "y", shows)])
        await ended(service, other)
        assert files_at(remote, "y")["gopath"] == b""
    monkeypatch.setenv("GOPATH", "/of/the/daemon")
    async with opened(tmp_path / "state") as service:
        run = await ended(service, await service.acting_for(None).retry(first.id))
    assert run.state is State.SUCCEEDED
    assert files_at(remote, "x")["gopath"] == b"/of/the/terminal"
