"""An agent's private HOME holds the user's files that the settings list, and nothing else of theirs."""

from pathlib import Path

import pytest

from ccterm.agents.base import MCP_FILE
from ccterm.errors import SettingsError
from ccterm.pipeline.agent_home import HomeFiles


@pytest.fixture
def own(tmp_path: Path) -> Path:
    source = tmp_path / ".claude"
    (source / "skills" / "one").mkdir(parents=True)
    (source / "skills" / "one" / "SKILL.md").write_text("a skill")
    (source / "CLAUDE.md").write_text("be brief")
    (source / ".credentials.json").write_text("secret")
    (source / "agents").symlink_to(source / "skills")
    return source


def files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_only_listed_files_that_exist_are_copied(own: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert HomeFiles(own, ("CLAUDE.md", "skills", "agents", "commands"), None).fill(home)
    assert files(home) == {".claude/CLAUDE.md", ".claude/skills/one/SKILL.md", ".claude/agents/one/SKILL.md"}


def test_the_mcp_servers_have_a_file_of_their_own(own: Path, tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text("{}")
    assert HomeFiles(own, (), tmp_path / "mcp.json").fill(tmp_path / "home")
    assert files(tmp_path / "home") == {MCP_FILE}


def test_without_anything_to_copy_there_is_no_home(tmp_path: Path) -> None:
    assert not HomeFiles(tmp_path / "none", ("CLAUDE.md",), None).fill(tmp_path / "home")


def test_an_unreadable_file_is_an_error(own: Path, tmp_path: Path) -> None:
    (own / "CLAUDE.md").unlink()
    (own / "CLAUDE.md").symlink_to(own / "skills")
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(SettingsError, match="cannot be read"):
        HomeFiles(own, ("CLAUDE.md",), None).fill(tmp_path / "home")
