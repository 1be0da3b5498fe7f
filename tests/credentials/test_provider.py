"""Another cloud that serves the models: its switch and its variables reach an agent as a set, or refuse the run in one sentence."""

from collections.abc import Mapping

import pytest

from ccterm.agents.base import Launch
from ccterm.agents.claude import ClaudeAgent
from ccterm.credentials.claude import Logins
from ccterm.credentials.keyring_client import MemoryKeyring
from ccterm.credentials.login import Login
from ccterm.credentials.provider import provider_switch, provider_variables, switch_or_none
from ccterm.errors import PreflightError
from ccterm.models import ExecutionMode

LOCAL, DAGGER = ExecutionMode.LOCAL, ExecutionMode.DAGGER
BEDROCK = {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1", "ANTHROPIC_MODEL": "eu.anthropic.claude", "AWS_PROFILE": "work"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/+key", "AWS_SESSION_TOKEN": "session=="}
OTHER = {
    "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-CCCCCCCCCCCCCCCCCCCC",
    "AZURE_CLIENT_SECRET": "x",
    "AWS_SOMETHING": "x",
    "GOOGLE_CLOUD_PROJECT": "p",
}


def login(env: Mapping[str, str], mode: ExecutionMode) -> Login:
    return Logins(MemoryKeyring(), platform="linux").login_for(mode, {"HOME": "/nonexistent", **env})


@pytest.mark.parametrize("mode", [LOCAL, DAGGER])
def test_switch_and_variables_go_together_and_nothing_else_does(mode: ExecutionMode) -> None:
    found = login(BEDROCK | KEYS | OTHER, mode)
    assert (found.kind, found.source, found.value) == ("provider", "CLAUDE_CODE_USE_BEDROCK", None)
    here = {"AWS_PROFILE"} if mode is DAGGER else set()  # it names a file on this machine
    assert found.variables == {name: value for name, value in BEDROCK.items() if name not in here}
    assert {name: value.get_secret_value() for name, value in found.secret_variables.items()} == KEYS
    assert {name for name, _ in found.named_secrets} == KEYS.keys()


@pytest.mark.parametrize(
    "env",
    [
        {
            "CLAUDE_CODE_USE_VERTEX": "true",
            "CLOUD_ML_REGION": "global",
            "ANTHROPIC_VERTEX_PROJECT_ID": "p",
            "GOOGLE_APPLICATION_CREDENTIALS": "/k.json",
        },
        {"CLAUDE_CODE_USE_FOUNDRY": "1", "ANTHROPIC_FOUNDRY_RESOURCE": "r", "ANTHROPIC_FOUNDRY_API_KEY": "k"},
    ],
)
def test_the_other_clouds_do_the_same(env: dict[str, str]) -> None:
    found = login(env, LOCAL)
    assert {**found.variables, **{name: value.get_secret_value() for name, value in found.secret_variables.items()}} == env
    assert provider_variables(env) == env.keys()


def test_the_agent_gets_the_set_and_what_is_secret_of_it_is_in_no_argument() -> None:
    found = login(BEDROCK | KEYS, DAGGER)
    launch = Launch(session_id="s", execution_mode=DAGGER, variables=found.variables, secret_variables=found.secret_variables)
    command = ClaudeAgent().command(launch)
    assert command.env.items() >= found.variables.items()
    assert command.secrets == found.secret_variables
    assert not any(value in word for value in KEYS.values() for word in command.argv)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (BEDROCK, "CLAUDE_CODE_USE_BEDROCK is set, and your environment has no credential for Amazon Bedrock that a container could use"),
        ({"CLAUDE_CODE_USE_VERTEX": "1", "GOOGLE_APPLICATION_CREDENTIALS": "/k.json"}, "Google Vertex AI"),
        ({"CLAUDE_CODE_USE_FOUNDRY": "1", "AZURE_TENANT_ID": "t"}, "Microsoft Foundry"),
        (
            BEDROCK | KEYS | {"ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:8080"},
            "ANTHROPIC_BEDROCK_BASE_URL is an address on this machine",
        ),
    ],
)
def test_what_a_container_could_not_use_is_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(PreflightError, match=words):
        login(env | OTHER, DAGGER)
    assert login(env | OTHER, LOCAL).kind == "provider"


@pytest.mark.parametrize("mode", [LOCAL, DAGGER])
@pytest.mark.parametrize("env", [{"CLAUDE_CODE_USE_MANTLE": "1"}, BEDROCK | {"CLAUDE_CODE_USE_VERTEX": "1"}])
def test_a_provider_that_cannot_be_passed_on_is_refused_everywhere(mode: ExecutionMode, env: dict[str, str]) -> None:
    with pytest.raises(PreflightError):
        login(env | KEYS | OTHER, mode)
    assert switch_or_none(env) == ""


@pytest.mark.parametrize("value", ["", "0", "false", "no"])
def test_a_switch_that_is_off_is_off(value: str) -> None:
    env = OTHER | {"CLAUDE_CODE_USE_BEDROCK": value}
    assert (provider_switch(env), login(env, DAGGER).kind) == ("", "env")
