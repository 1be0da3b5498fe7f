"""Whole runs of the real CLI on repositories that bring agent settings of their own."""

import json
from pathlib import Path

import pytest

from ccterm.events import Notice
from ccterm.models import State
from tests.agents.hostile_repository import hostile_files
from tests.e2e.claude import TOKEN, Claude
from tests.servers.model_script import say, use, write
from tests.support.git import add_commit

pytestmark = pytest.mark.claude


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


async def test_a_run_says_in_one_line_what_it_left_out_and_nothing_of_it_acted(claude: Claude, marks: Path, tmp_path: Path) -> None:
    add_commit(claude.remote, hostile_files(tmp_path, marks, proxy=True))
    run = await claude.run(use(write("a.txt", "a\n")), say("Done."))
    assert (run.state, run.pushed is not None) == (State.SUCCEEDED, True), run.summary
    assert list(marks.iterdir()) == []
    lines = [event.text for event in await claude.events(run.id) if isinstance(event, Notice) and "left out of" in event.text]
    assert len(lines) == 1
    assert ".claude/settings.json (hooks, env, apiKeyHelper, permissions, enabledPlugins, enableAllProjectMcpServers, 1 more), " in lines[0]
    assert any(call.says("DOT-CLAUDE-MD") for call in claude.api.calls)


@pytest.mark.slow
async def test_the_users_own_hooks_and_instructions_still_act(
    claude: Claude, marks: Path, isolation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLAUDE_CODE_OAUTH_TOKEN")
    own = isolation / ".claude"
    own.mkdir()
    login = {"claudeAiOauth": {"accessToken": TOKEN, "scopes": ["user:inference"]}}
    hook = {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": f"touch {marks}/own"}]}]}}
    for name, content in {".credentials.json": login, "settings.json": hook}.items():
        (own / name).write_text(json.dumps(content))
    (own / "CLAUDE.md").write_text("OWN-MEMORY\n")
    add_commit(claude.remote, hostile_files(tmp_path, marks, proxy=True))
    run = await claude.run(use(write("a.txt", "a\n")), say("Done."))
    assert run.state is State.SUCCEEDED, run.summary
    assert [path.name for path in marks.iterdir()] == ["own"]
    assert any(call.says("OWN-MEMORY") for call in claude.api.calls)
