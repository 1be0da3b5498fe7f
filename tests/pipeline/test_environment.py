"""What the agent, setup and verify of a run on this machine see of the user's environment, and what the run says about it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.events import Notice
from ccterm.models import State
from ccterm.service.protocol import Service
from tests.e2e.arranged import configure
from tests.support.core import draft, script
from tests.support.git import files_at

SECRET = {
    "MYSQL_PWD": "hunter2hunter2",
    "DATABASE_URL": "postgres://u:s3cretpassw0rd@db/x",
    "OP_SESSION_my": "abcdefghijklmnopqrstuvwx",
    "SLACK_WEBHOOK_URL": "https://hooks.example.invalid/services/T0/B0/abcdefghijkl",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/0/bus",
    "FOO_COOKIE": "session=abcdef012345",
    "GITHUB_TOKEN": "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
}
STEPS = {"setup": "env > setup.env", "verify": "! env | grep -qE '^(MYSQL_PWD|DATABASE_URL|FOO_COOKIE)=' && test \"$APP_ENV\" = staging"}


@pytest.fixture
async def service(state_dir: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """A service whose user has secrets in the environment, and passes one variable on."""
    configure(isolation, 'pass_env = ["APP_ENV", "NOT_SET"]\n[env]\nCI = "1"\n')
    for name, value in {**SECRET, "APP_ENV": "staging", "JAVA_HOME": "/opt/java"}.items():
        monkeypatch.setenv(name, value)
    async with AgentService.open(state_dir) as opened:
        yield opened


async def test_no_step_sees_more_than_the_list_and_what_the_settings_pass_on(service: Service, remote: Path) -> None:
    [queued] = await service.submit(
        [draft(remote, task=script({"env": "agent.env"}, {"bash": "mv setup.env seen-by-setup.env"}, {"say": "ok"}), **STEPS)]
    )
    run = await service.wait(queued.id)
    assert run.state is State.SUCCEEDED, run.summary
    files = files_at(remote, "agent/x")
    for name in ("seen-by-setup.env", "agent.env"):
        seen = dict(line.split("=", 1) for line in files[name].decode().split("\n") if "=" in line)
        assert not SECRET.keys() & seen.keys()
        assert (seen["APP_ENV"], seen["CI"], seen["JAVA_HOME"]) == ("staging", "1", "/opt/java")
    assert b"XDG_CONFIG_HOME" in files["seen-by-setup.env"]
    assert b"XDG_CONFIG_HOME" not in files["agent.env"]  # it would lead out of the agent's private home


async def test_what_a_command_may_have_wanted_is_listed_once(service: Service, remote: Path) -> None:
    [queued] = await service.submit([draft(remote, verify="test -z $SLACK_WEBHOOK_URL")])
    run = await service.wait(queued.id)
    notes = [event.text async for event in service.follow(run.id) if isinstance(event, Notice) and "pass_env" in event.text]
    assert len(notes) == 1
    assert notes[0].startswith("not passed on from your environment: SLACK_WEBHOOK_URL, ")
    assert not [value for value in SECRET.values() if value in notes[0]]


async def test_the_variables_of_another_cloud_reach_the_agent_and_no_other_step(
    state_dir: Path, remote: Path, tmp_path: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENG"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    claude = tmp_path / "claude"
    claude.write_text(f"#!/bin/sh\nenv > {tmp_path}/agent.env; echo $AWS_SECRET_ACCESS_KEY; exit 1\n")
    claude.chmod(0o755)
    monkeypatch.setenv("CCTERM_CLAUDE_BIN", str(claude))
    async with AgentService.open(state_dir) as service:
        [queued] = await service.submit([draft(remote, agent="claude", setup=f"env > {tmp_path}/setup.env")])
        run = await service.wait(queued.id)
        printed = "".join([str(event) async for event in service.follow(run.id)])
    seen = {name: dict(line.split("=", 1) for line in (tmp_path / name).read_text().splitlines()) for name in ("agent.env", "setup.env")}
    assert seen["agent.env"].items() >= given.items()
    assert not given.keys() & seen["setup.env"].keys()
    assert run.manifest.credential == "provider"
    assert given["AWS_SECRET_ACCESS_KEY"] not in printed
    assert not [note for note in run.task.notes if "AWS_" in note]
