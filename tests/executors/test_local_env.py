"""What a step sees of the user's environment."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from ccterm.box.process import child
from ccterm.executors.base import Step
from ccterm.executors.local.box import Box
from ccterm.executors.local.environment import environment, left_out

SECRET = """
GH_TOKEN GITHUB_TOKEN GITLAB_TOKEN GITLAB_PRIVATE_TOKEN NPM_TOKEN HF_TOKEN VAULT_TOKEN my_token AZURE_PAT apikey APIKEY
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN OPENAI_API_KEY ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN STRIPE_KEY
DB_PASSWORD PGPASSWORD SECRET DJANGO_SECRET GOOGLE_APPLICATION_CREDENTIALS DOCKER_CREDENTIALS DEPLOY_KEY_PASSPHRASE
""".split()  # noqa: SIM905 - a table of words
UNSUSPECTED = """
MYSQL_PWD BW_SESSION OP_SESSION_my DATABASE_URL DOCKER_AUTH_CONFIG HTTPS_PROXY_AUTH SENTRY_AUTH SLACK_WEBHOOK_URL NPM_CONFIG__AUTH
AZURE_STORAGE_CONNECTION_STRING MY_JWT DBUS_SESSION_BUS_ADDRESS FOO_COOKIE XAUTHORITY XDG_RUNTIME_DIR REDIS_URL PGSERVICEFILE NETRC KUBECONFIG
DOCKER_CONFIG CLOUDSDK_CONFIG NODE_OPTIONS PROMPT_COMMAND LD_PRELOAD BASH_ENV PYTHONSTARTUP NODE_TLS_REJECT_UNAUTHORIZED EDITOR HOME_DIR XLANG PATH2 LC_ALL_2
XDG_SECRET_HOME
""".split()  # noqa: SIM905 - a table of words: none is called a secret
INNER = """
GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_CONFIG_COUNT GIT_SSH_COMMAND SSH_AUTH_SOCK SSH_AGENT_PID SSH_ASKPASS GPG_AGENT_INFO
CLAUDECODE CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_OAUTH_TOKEN CCTERM_STATE_DIR CCTERM_MODE
""".split()  # noqa: SIM905 - a table of words
PLAIN = """
PATH HOME USER LANG LC_ALL LC_CTYPE TZ TERM SHELL JAVA_HOME GOPATH CARGO_HOME NVM_DIR PYTHONPATH VIRTUAL_ENV HOMEBREW_PREFIX LD_LIBRARY_PATH
HTTPS_PROXY https_proxy NO_PROXY SSL_CERT_FILE NODE_EXTRA_CA_CERTS XDG_CONFIG_HOME CLAUDE_CONFIG_DIR ANTHROPIC_MODEL
""".split()  # noqa: SIM905 - a table of words
BOX = Box(Path("/state/runs/r/boxes/01-agent"), Path("/tmp/ccterm-box-x"), (), ())
OWN = {"TMPDIR", "GIT_CEILING_DIRECTORIES", "CCTERM_MARK", "CCTERM_PARENT_WATCH"}


def seen(image: str, *names: str, secrets: dict[str, SecretStr] | None = None) -> dict[str, str]:
    values = {"name": "agent", "program": "shell", "request": {}, "image": image, "secrets": secrets or {}}
    return environment(Step.model_validate(values), dict.fromkeys(names, "value"), BOX, "mark")


@pytest.mark.parametrize("name", [*SECRET, *UNSUSPECTED, *INNER])
def test_nothing_that_could_be_a_secret_or_is_a_callers_reaches_the_agent(name: str) -> None:
    assert name not in seen("agent", name)


@pytest.mark.parametrize("name", PLAIN)
def test_what_programs_need_reaches_the_agent(name: str) -> None:
    assert seen("agent", name)[name] == "value"


def test_our_own_tools_get_a_minimal_environment() -> None:
    names = {"PATH", "LANG", "LC_ALL", "https_proxy", "NO_PROXY", "SSL_CERT_FILE"}
    assert set(seen("tool", *names, *SECRET, *INNER, *UNSUSPECTED, "HOME", "PYTHONPATH", "JAVA_HOME")) == names | OWN


def test_a_secret_of_the_step_is_passed_whatever_its_name() -> None:
    env = seen("agent", "CLAUDE_CODE_OAUTH_TOKEN", secrets={"CLAUDE_CODE_OAUTH_TOKEN": SecretStr("ours")})
    assert env["CLAUDE_CODE_OAUTH_TOKEN"] == "ours"


def test_git_never_finds_a_repository_above_the_box() -> None:
    assert seen("agent")["GIT_CEILING_DIRECTORIES"] == "/state/runs/r/boxes"


def test_what_a_command_may_miss_is_named_and_first_what_it_names_itself() -> None:
    env = dict.fromkeys([*PLAIN, *INNER, "DATABASE_URL", "APP_ENV", "CI", "DISPLAY", "SHLVL", "PASSED", "BASH_FUNC_x%%"], "value")
    assert list(left_out(env, {"PASSED"}, ['test "$CI" || psql ${DATABASE_URL}'])) == ["CI", "DATABASE_URL", "APP_ENV"]


@pytest.mark.parametrize(
    "name", ["CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"]
)
def test_nothing_leads_out_of_a_private_home(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/home/user/x")
    assert name not in child.environment({}, "mark", "home")
    assert child.environment({}, "mark")[name] == "/home/user/x"
    assert child.environment({name: "/chosen"}, "mark", "home")[name] == "/chosen"
