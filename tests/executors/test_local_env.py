"""What a step sees of the user's environment."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.executors.base import Step
from ccterm.executors.local.box import Box
from ccterm.executors.local.environment import environment

SECRET = """
GH_TOKEN GITHUB_TOKEN GITLAB_TOKEN GITLAB_PRIVATE_TOKEN NPM_TOKEN HF_TOKEN VAULT_TOKEN my_token AZURE_PAT apikey APIKEY
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN OPENAI_API_KEY ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN STRIPE_KEY
DB_PASSWORD PGPASSWORD SECRET DJANGO_SECRET GOOGLE_APPLICATION_CREDENTIALS DOCKER_CREDENTIALS DEPLOY_KEY_PASSPHRASE
""".split()  # noqa: SIM905 - a table of words
INNER = """
GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_CONFIG_COUNT GIT_SSH_COMMAND SSH_AUTH_SOCK SSH_AGENT_PID SSH_ASKPASS GPG_AGENT_INFO
CLAUDECODE CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_OAUTH_TOKEN CCTERM_STATE_DIR CCTERM_MODE
""".split()  # noqa: SIM905 - a table of words
PLAIN = """
PATH HOME USER LANG TERM EDITOR SHELL JAVA_HOME GOPATH PYTHONPATH NODE_ENV KEYBOARD_LAYOUT XAUTHORITY MONKEY PASSAGE
HTTPS_PROXY SSL_CERT_FILE ANTHROPIC_BASE_URL
""".split()  # noqa: SIM905 - a table of words
BOX = Box(Path("/state/runs/r/boxes/01-agent"), Path("/tmp/ccterm-box-x"), (), ())


def seen(image: str, *names: str, secrets: dict[str, SecretStr] | None = None) -> dict[str, str]:
    values = {"name": "agent", "program": "shell", "request": {}, "image": image, "secrets": secrets or {}}
    return environment(Step.model_validate(values), dict.fromkeys(names, "value"), BOX, "mark")


@pytest.mark.parametrize("name", [*SECRET, *INNER])
def test_secrets_and_the_state_of_git_or_a_caller_do_not_reach_the_agent(name: str) -> None:
    assert name not in seen("agent", name)


@pytest.mark.parametrize("name", PLAIN)
def test_the_rest_of_the_users_environment_reaches_the_agent(name: str) -> None:
    assert seen("agent", name)[name] == "value"


def test_our_own_tools_get_a_minimal_environment() -> None:
    names = {"PATH", "LANG", "LC_ALL", "https_proxy", "NO_PROXY", "SSL_CERT_FILE"}
    own = {"TMPDIR", "GIT_CEILING_DIRECTORIES", "CCTERM_MARK", "CCTERM_PARENT_WATCH"}
    assert set(seen("tool", *names, *SECRET, *INNER, "HOME", "EDITOR", "PYTHONPATH", "LD_PRELOAD")) == names | own


def test_a_secret_of_the_step_is_passed_whatever_its_name() -> None:
    env = seen("agent", "CLAUDE_CODE_OAUTH_TOKEN", secrets={"CLAUDE_CODE_OAUTH_TOKEN": SecretStr("ours")})
    assert env["CLAUDE_CODE_OAUTH_TOKEN"] == "ours"


def test_git_never_finds_a_repository_above_the_box() -> None:
    assert seen("agent")["GIT_CEILING_DIRECTORIES"] == "/state/runs/r/boxes"
