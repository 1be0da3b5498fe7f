"""What of a repository's own settings and instructions the real CLI loads and obeys, as its launch line is completed in the box."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import JsonValue, SecretStr

from ccterm.agents.base import Launch
from ccterm.agents.claude import ClaudeAgent
from ccterm.box.agent.repository import EVERYTHING, admit
from ccterm.models import ExecutionMode
from tests.agents.hostile_repository import EVENTS, INSTRUCTIONS, hostile_files
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import Part, ToolUse, bash, say, use
from tests.support.git import write_files

pytestmark = pytest.mark.claude
BODIES = frozenset(["PLAIN-BODY", "SKILL-BODY", "COMMAND-BODY"])
SESSION = "3b1d0d6c-55a3-4d0c-9c0e-333333333333"
PROBE = use(bash("env > environment; curl -s http://127.0.0.1:9/"))
"""Denied in the default mode of local runs, unless something allowed it."""


def skill(name: str) -> ToolUse:
    """Return a call of a skill."""
    return ToolUse("Skill", {"skill": name})


@dataclass(frozen=True)
class Seen:
    """What came of one session."""

    acted: frozenset[str]
    told: frozenset[str]
    init: dict[str, JsonValue]
    denied: list[str]
    tree: Path

    def named(self, kind: str) -> set[str]:
        """Return those names of a list in the session's first message that come from the repository."""
        names = self.init[kind]
        assert isinstance(names, list)
        return {str(name) for name in names if any(own in str(name) for own in ("tidy", "plain", "ship", "helper"))}


class Sessions:
    """Runs the CLI on a hostile repository in a box of its own."""

    def __init__(self, binary: Path, box: Path, api: MessagesServer) -> None:
        self._agent, self._box, self._api = ClaudeAgent(str(binary)), box, api
        self.tree, self.marks, self.home = box / "work", box / "marks", box / "home"
        for directory in (self.tree, self.marks, self.home):
            directory.mkdir()

    def fill(self, *, proxy: bool) -> None:
        """Write the repository."""
        write_files(self.tree, hostile_files(self.tree, self.marks, proxy=proxy))

    def trust_workspace(self) -> None:
        """Let the CLI itself count the tree as trusted, as below a directory that the user opened once."""
        project = {"projects": {str(self.tree): {"hasTrustDialogAccepted": True}}}
        (self.home / ".claude.json").write_text(json.dumps(project))

    def run(self, *parts: Part, prompt: str = "Go", obeyed: str = "") -> Seen:
        """Run one session to its end."""
        self._api.script("COMMAND-BODY" if prompt.startswith("/") else prompt, *parts)
        launch = Launch(
            session_id=SESSION,
            execution_mode=ExecutionMode.LOCAL,
            model="sonnet",
            token=SecretStr("sk-ant-oat01-test"),
            base_url=self._api.origin,
        )
        command = self._agent.command(launch)
        admission = admit(str(self.tree), {"obeyed": obeyed, "hint": ""})
        secrets = {name: value.get_secret_value() for name, value in command.secrets.items()}
        env = {"PATH": os.defpath, "HOME": str(self.home), "CLAUDE_CODE_MAX_RETRIES": "0", **command.env, **secrets}
        message = {"type": "user", "message": {"role": "user", "content": admission.renamed(prompt)}}
        done = subprocess.run(
            [*command.argv, *admission.args],
            cwd=self.tree,
            env=env,
            input=json.dumps(message).encode() + b"\n",
            capture_output=True,
            timeout=90,
            check=False,
        )
        return self._seen([json.loads(line) for line in done.stdout.split(b"\n") if line])

    def _seen(self, lines: list[dict[str, JsonValue]]) -> Seen:
        sent = "\n".join(text for call in self._api.calls for text in (*call.user_texts, *call.system_texts))
        init = next(line for line in lines if line.get("subtype") == "init")
        denials = [denial for line in lines if isinstance(denial := line.get("permission_denials"), list)]
        return Seen(
            acted=frozenset(path.name for path in self.marks.iterdir()),
            told=frozenset(re.findall(r"(?<![\w-])(?:[A-Z]+-)*[A-Z]+(?![\w-])", sent)) & (INSTRUCTIONS | BODIES),
            init=init,
            denied=[str(each["tool_name"]) for some in denials for each in some if isinstance(each, dict)],
            tree=self.tree,
        )


@pytest.fixture
def api() -> Iterator[MessagesServer]:
    with MessagesServer() as server:
        yield server


@pytest.fixture
def sessions(claude_bin: Path, tmp_path: Path, api: MessagesServer) -> Sessions:
    return Sessions(claude_bin, tmp_path, api)


def test_nothing_of_an_untrusted_repository_acts_and_all_that_instructs_loads(sessions: Sessions) -> None:
    sessions.fill(proxy=True)
    sessions.trust_workspace()
    seen = sessions.run(use(skill("repo:plain")), use(skill("repo:tidy")), PROBE, say("Done."))
    assert seen.acted == frozenset()
    assert seen.denied == ["Bash"]  # the shell line in the one skill was refused before that
    assert seen.init["mcp_servers"] == []
    assert seen.told == INSTRUCTIONS | {"PLAIN-BODY"}
    assert seen.named("skills") == {"repo:tidy", "repo:plain"}
    assert seen.named("slash_commands") == {"repo:tidy", "repo:plain", "repo:ship"}
    assert seen.named("agents") == {"repo:helper"}


@pytest.mark.slow
def test_the_same_repository_acts_in_every_way_where_it_is_trusted(sessions: Sessions) -> None:
    sessions.fill(proxy=False)
    sessions.trust_workspace()
    seen = sessions.run(PROBE, say("Done."), obeyed=EVERYTHING)
    hooks = {f"{name}-{event}" for name in ("hook", "local-hook", "shop-hook") for event in EVENTS}
    assert seen.acted == hooks | {"helper", "mcp"}
    assert seen.denied == []
    assert {"EVIL_ENV=1", "EVIL_LOCAL=1"} <= set((sessions.tree / "environment").read_text().split("\n"))
    assert seen.named("skills") == {"tidy", "plain"}


@pytest.mark.slow
def test_a_command_of_an_untrusted_repository_works_by_its_own_name(sessions: Sessions) -> None:
    sessions.fill(proxy=True)
    seen = sessions.run(PROBE, prompt="/ship it")
    assert "COMMAND-BODY" in seen.told
    assert seen.denied == ["Bash"]
    assert seen.acted == frozenset()
