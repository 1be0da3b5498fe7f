"""From drafts to tasks: what a file of a repository may say without the user's trust, and where."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ccterm.agents.base import ScriptedAgent
from ccterm.agents.claude import ClaudeAgent
from ccterm.credentials.claude import Logins
from ccterm.draft import BatchFile, Draft
from ccterm.errors import PreflightError, UsageError
from ccterm.git.agent_files import config_digest
from ccterm.models import Task
from ccterm.service.task_resolver import TaskResolver
from ccterm.settings import Settings, Trust, digest_of, trust_path
from ccterm.settings.egress import resolved
from ccterm.values import Egress
from tests.conftest import MakeRemote
from tests.support.git import git, make_repository

CONTENT = b"- prompt: x\n"
IN_CONTAINERS = {"repo": "https://example.invalid/o/r", "execution_mode": "dagger"}
ACTING: list[dict[str, object]] = [{"setup": "id"}, {"verify": "id"}, {"agent_args": ("--add-dir=/",)}, {"skip_permissions": True}]


class Resolving:
    """Resolves drafts for a remote, with a record of trust of its own."""

    def __init__(self, remote: Path, tmp_path: Path) -> None:
        self._remote = remote
        self.trust = Trust(tmp_path / "state")
        self.file = tmp_path / "tasks.yaml"
        self.file.write_bytes(CONTENT)
        self.settings = Settings()

    def resolve(self, fields: Mapping[str, object], *, from_file: bytes | None = None) -> Task:
        """Return the task of a draft, which is from the batch file if its content is given."""
        given = {"prompt": "x", "repo": str(self._remote), "branch": "q", "agent": "scripted", "execution_mode": "local", **fields}
        source = BatchFile(path=str(self.file), digest=digest_of(from_file)) if from_file is not None else None
        resolver = TaskResolver(
            self.settings, os.environ, {"scripted": ScriptedAgent(), "claude": ClaudeAgent("no-such-claude")}, self.trust, Logins()
        )
        task = resolver.resolve(Draft.model_validate(given), source)
        resolver.require_able(task)
        return task


@pytest.fixture
def resolving(make_remote: MakeRemote, tmp_path: Path) -> Resolving:
    return Resolving(make_remote(), tmp_path)


@pytest.fixture
def copy(resolving: Resolving, tmp_path: Path) -> Path:
    """A working copy that brings agent settings."""
    git(tmp_path, "clone", "--quiet", str(tmp_path / "remote.git"), "copy")
    (tmp_path / "copy" / ".mcp.json").write_text("{}")
    return tmp_path / "copy"


@pytest.mark.parametrize("fields", ACTING, ids=lambda fields: next(iter(fields)))
def test_a_batch_file_runs_and_permits_nothing_here_until_it_is_trusted(resolving: Resolving, fields: dict[str, object]) -> None:
    name = next(iter(fields))
    with pytest.raises(UsageError, match=f"sets {name} for runs on this machine .*ccterm trust {resolving.file}"):
        resolving.resolve(fields, from_file=CONTENT)
    trust_path(resolving.file, resolving.trust)
    assert getattr(resolving.resolve(fields, from_file=CONTENT), name) == fields[name]
    with pytest.raises(UsageError, match="is new or has changed"):
        resolving.resolve(fields, from_file=CONTENT + b"#")


@pytest.mark.parametrize("fields", ACTING, ids=lambda fields: next(iter(fields)))
def test_what_the_user_types_needs_no_trust(resolving: Resolving, fields: dict[str, object]) -> None:
    name = next(iter(fields))
    assert getattr(resolving.resolve(fields), name) == fields[name]


def test_a_batch_file_that_runs_nothing_needs_no_trust(resolving: Resolving) -> None:
    fields = {"model": "haiku", "skip_permissions": False, "message": "m"}
    assert resolving.resolve(fields, from_file=CONTENT).model == "haiku"


def test_in_containers_its_commands_need_no_trust(resolving: Resolving) -> None:
    assert resolving.resolve({**IN_CONTAINERS, "setup": "id"}, from_file=CONTENT).setup == "id"


def test_agent_settings_act_here_by_their_content_alone(resolving: Resolving, copy: Path) -> None:
    resolving.settings = Settings.model_validate({"repo": {str(copy.parent / "remote.git"): {"claude_settings": True}}})
    assert resolving.resolve({"repo": str(copy)}).obeyed_settings == ""
    trust_path(copy, resolving.trust)
    assert resolving.resolve({"repo": str(copy)}).obeyed_settings == config_digest(str(copy))
    assert resolving.resolve({}).obeyed_settings == ""


def test_in_containers_they_act_where_the_settings_say_so(resolving: Resolving) -> None:
    assert resolving.resolve(IN_CONTAINERS).obeyed_settings == ""
    resolving.settings = Settings.model_validate({"repo": {"example.invalid/o/r": {"claude_settings": True}}})
    assert resolving.resolve(IN_CONTAINERS).obeyed_settings == "*"


def test_the_home_directory_is_no_working_copy_for_an_agent_unless_it_is_allowed(
    resolving: Resolving, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = make_repository(isolation / "above", {"a": "1"})
    home = make_repository(above / "me", {".bashrc": "x"})
    monkeypatch.setenv("HOME", str(home))
    for root in (above, home):
        with pytest.raises(UsageError, match="your home directory") as caught:
            resolving.resolve({"repo": str(root), "branch": None})
        assert f"--allow-path {root} " in caught.value.fix
        assert resolving.resolve({"repo": str(root), "branch": None, "allow_path": (str(root),)}).repo == str(root)
    inside = make_repository(home / "work", {"a": "1"})
    assert resolving.resolve({"repo": str(inside), "branch": None}).repo == str(inside)


def test_a_task_says_which_secrets_its_agent_gets(resolving: Resolving) -> None:
    tables = {
        "NPM_TOKEN": {"from": "env:A", "steps": ["setup"]},
        "KEY": {"from": "env:B", "steps": ["agent"]},
        "C": {"from": "env:C", "steps": ["agent", "verify"]},
    }
    resolving.settings = Settings.model_validate({"secrets": tables})
    assert "the agent gets and can read your secrets KEY, C ([secrets] in the settings)" in resolving.resolve({}).notes
    resolving.settings = Settings.model_validate({"secrets": {"NPM_TOKEN": {"from": "env:A"}}})
    assert not [note for note in resolving.resolve({}).notes if "secrets" in note]


def test_a_task_has_the_network_that_it_asks_for_else_that_of_its_repository_else_the_general_one(resolving: Resolving) -> None:
    assert resolving.resolve(IN_CONTAINERS).egress == Egress()
    resolving.settings = Settings.model_validate({"egress": "record"})
    assert resolving.resolve(IN_CONTAINERS).egress == Egress(mode="record")
    resolving.settings = Settings.model_validate({"egress": "record", "repo": {"example.invalid/o/r": {"egress": ["npm"]}}})
    assert resolving.resolve(IN_CONTAINERS).egress == resolved(("npm",))
    assert resolving.resolve({**IN_CONTAINERS, "egress": "open"}).egress == Egress()
    resolving.settings = Settings.model_validate({"egress": "record", "repo": {"example.invalid/o/r": {"egress": []}}})
    assert resolving.resolve(IN_CONTAINERS).egress == resolved(())


@pytest.mark.parametrize("egress", ["record", ["npm"]], ids=["record", "list"])
def test_only_a_container_has_a_network_of_its_own(resolving: Resolving, egress: object) -> None:
    with pytest.raises(PreflightError, match="on this machine an agent reaches what you reach; use --mode dagger, or give --egress open"):
        resolving.resolve({"egress": egress})
    resolving.settings = Settings.model_validate({"egress": egress})
    with pytest.raises(PreflightError, match="recorded and limited in containers alone"):
        resolving.resolve({"agent": "claude"})  # also where there is no claude
    assert resolving.resolve({"egress": "open"}).egress == Egress()


@pytest.fixture
def of_claude(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The fields of a task for Claude in a container, for which there is a login."""
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-" + "x" * 40)
    return {**IN_CONTAINERS, "agent": "claude"}


def test_the_login_is_outside_of_containers_unless_the_user_says_otherwise(resolving: Resolving, of_claude: dict[str, object]) -> None:
    assert resolving.resolve(of_claude).login == "gateway"
    assert resolving.resolve({**of_claude, "egress": "record"}).login == "gateway"
    assert resolving.resolve({**of_claude, "egress": "npm"}).login == "gateway"
    assert resolving.resolve({**of_claude, "login": "secret"}).login == "secret"
    resolving.settings = Settings(login="secret")
    assert resolving.resolve(of_claude).login == "secret"
    assert resolving.resolve({**of_claude, "login": "gateway"}).login == "gateway"


def test_a_closed_box_never_holds_the_login(resolving: Resolving, of_claude: dict[str, object]) -> None:
    with pytest.raises(PreflightError, match=r"login stays outside of the box, .*or --login gateway"):
        resolving.resolve({**of_claude, "egress": "npm", "login": "secret"})
    resolving.settings = Settings(login="secret")
    with pytest.raises(PreflightError, match="login stays outside of the box"):
        resolving.resolve({**of_claude, "egress": "npm"})


def test_tokens_are_counted_by_the_gateway_which_a_limit_needs(
    resolving: Resolving, of_claude: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = resolving.resolve({**of_claude, "max_tokens": 500_000})
    assert (task.login, task.limits.max_tokens) == ("gateway", 500_000)
    with pytest.raises(PreflightError, match=r"the gateway counts an agent's tokens, .*or give --login gateway"):
        resolving.resolve({**of_claude, "max_tokens": 500_000, "login": "secret"})
    resolving.settings = Settings.model_validate({"limits": {"max_tokens": 1000}})
    assert resolving.resolve(of_claude).limits.max_tokens == 1000
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "x" * 40)
    with pytest.raises(PreflightError, match="the login of CLAUDE_CODE_USE_BEDROCK cannot be there; leave out max_tokens"):
        resolving.resolve(of_claude)


def test_repositories_are_read_through_the_gateway(
    resolving: Resolving, of_claude: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving.settings = Settings.model_validate({"repo": {"example.invalid/o/r": {"git_read": ["example.invalid/o/Lib"]}}})
    task = resolving.resolve(of_claude)
    assert (task.login, task.git_read) == ("gateway", ("example.invalid/o/Lib",))
    assert "the agent may read example.invalid/o/Lib by git, with your access (git_read in the settings)" in task.notes
    with pytest.raises(PreflightError, match=r"the login would be in the box instead; take git_read .* or give --login gateway"):
        resolving.resolve({**of_claude, "login": "secret"})
    with pytest.raises(PreflightError, match=r"which serves Claude alone; take git_read .* or use --agent claude"):
        resolving.resolve({**of_claude, "agent": "scripted"})
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "x" * 40)
    with pytest.raises(PreflightError, match="the login of CLAUDE_CODE_USE_BEDROCK cannot be there; take git_read"):
        resolving.resolve(of_claude)


def test_the_login_of_another_provider_stays_in_the_box_which_is_then_not_closed(
    resolving: Resolving, of_claude: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "x" * 40)
    with pytest.raises(PreflightError, match="that of CLAUDE_CODE_USE_BEDROCK has to be inside; give --egress open or record"):
        resolving.resolve({**of_claude, "egress": "npm"})
    task = resolving.resolve({**of_claude, "login": "gateway"})
    assert (task.login, [note for note in task.notes if "gateway" in note]) == (
        "secret",
        ["the login of CLAUDE_CODE_USE_BEDROCK is in the box: the gateway keeps Anthropic's own alone"],
    )


@pytest.mark.parametrize("fields", [{"egress": "open"}, {"egress": ["npm", "pypi"]}, {"login": "secret"}], ids=["open", "more", "login"])
def test_a_batch_file_opens_no_network_that_the_settings_close_until_it_is_trusted(resolving: Resolving, fields: dict[str, object]) -> None:
    resolving.settings = Settings.model_validate({"egress": ["npm"]})
    task = {**IN_CONTAINERS, **fields}
    with pytest.raises(UsageError, match=f"sets {next(iter(fields))} to more than your settings allow .*ccterm trust {resolving.file}"):
        resolving.resolve(task, from_file=CONTENT)
    assert resolving.resolve({**IN_CONTAINERS, "egress": "registry.npmjs.org:443"}, from_file=CONTENT).egress.mode == "list"
    trust_path(resolving.file, resolving.trust)
    assert resolving.resolve(task, from_file=CONTENT) == resolving.resolve(task)
