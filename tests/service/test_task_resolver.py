"""From drafts to tasks: what a file of a repository may say without the user's trust, and where."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ccterm.agents.base import ScriptedAgent
from ccterm.credentials.claude import Logins
from ccterm.draft import BatchFile, Draft
from ccterm.errors import UsageError
from ccterm.git.agent_files import config_digest
from ccterm.models import Task
from ccterm.service.task_resolver import TaskResolver
from ccterm.settings import Settings, Trust, digest_of, trust_path
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
        resolver = TaskResolver(self.settings, os.environ, {"scripted": ScriptedAgent()}, self.trust, Logins())
        return resolver.resolve(Draft.model_validate(given), source)


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
