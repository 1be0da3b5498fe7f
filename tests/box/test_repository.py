"""What is decided of a repository's own agent settings before Claude starts, and the line that the user reads about it."""

import json
from pathlib import Path

import pytest

from ccterm.box.agent.repository import EVERYTHING, Admission, admit
from ccterm.git.agent_files import NotDigestible, config_digest

CLOSED = "--setting-sources"


@pytest.fixture
def tree(box: Path) -> Path:
    return box / "tree"


def put(tree: Path, **files: str) -> None:
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def admitted(tree: Path, obeyed: str = "") -> Admission:
    return admit(str(tree), {"obeyed": obeyed, "hint": "run ccterm trust /copy"})


def test_a_repository_without_settings_starts_without_a_word(tree: Path) -> None:
    put(tree, **{"CLAUDE.md": "x", ".claude/commands/a.md": "x"})
    admission = admitted(tree)
    assert admission.note == ""
    assert admission.args == ["--add-dir", ".", "--plugin-dir", "../repo"]


def test_one_line_says_what_was_left_out_and_how_to_change_that(tree: Path) -> None:
    settings = json.dumps({"hooks": {}, "env": {}, "$schema": "x"})
    put(tree, **{".claude/settings.json": settings, ".mcp.json": '{"mcpServers": {"db": {}}}', ".claude/settings.local.json": "no JSON"})
    put(tree, **{".claude/skills/a/SKILL.md": "---\nallowed-tools: Bash\n---\n"})
    assert admitted(tree).note == (
        "left out of the repository's own agent settings: .claude/settings.json (hooks, env), .claude/settings.local.json, .mcp.json (db), "
        ".claude/skills (allowed-tools); to let them act: run ccterm trust /copy"
    )


def test_settings_act_where_everything_is_obeyed_and_the_line_says_so(tree: Path) -> None:
    put(tree, **{".claude/settings.json": '{"env": {}}', ".mcp.json": "{}"})
    admission = admitted(tree, EVERYTHING)
    assert admission.args == [CLOSED, "user,project,local", "--mcp-config", ".mcp.json"]
    assert admission.note == "the repository's own agent settings act: .claude/settings.json (env), .mcp.json"


def test_trusted_settings_act_until_a_byte_of_them_changes(tree: Path) -> None:
    put(tree, **{".claude/settings.json": '{"env": {}}', ".claude/hooks/check.sh": "true"})
    trusted = config_digest(tree.as_posix())
    assert CLOSED in admitted(tree, trusted).args
    put(tree, **{".claude/hooks/check.sh": "false"})
    changed = admitted(tree, trusted)
    assert CLOSED not in changed.args
    assert "they are not as you trusted them" in changed.note


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / ".claude/settings.json").write_text("[]"),
        lambda tree: (tree / ".claude/settings.local.json").write_text("{}"),
        lambda tree: (tree / ".claude/hooks/check.sh").chmod(0o755),
        lambda tree: (tree / ".claude/hooks/check.sh").rename(tree / ".claude/check.sh"),
        lambda tree: (tree / ".mcp.json").write_text("{}"),
        lambda tree: (tree / ".claude/hooks/check.sh").unlink(),
    ],
    ids=["content", "file", "mode", "name", "servers", "removal"],
)
def test_the_digest_notices_every_change(tree: Path, change: object) -> None:
    put(tree, **{".claude/settings.json": "{}", ".claude/hooks/check.sh": "true"})
    (tree / ".claude/hooks/check.sh").chmod(0o644)
    before = config_digest(str(tree))
    assert callable(change)
    change(tree)
    assert config_digest(str(tree)) != before


def test_the_digest_is_about_nothing_else(tree: Path) -> None:
    put(tree, **{".claude/settings.json": "{}", "a.txt": "a"})
    before = config_digest(str(tree))
    put(tree, **{"a.txt": "b", ".claude/worktrees/x/y": "z"})
    assert config_digest(str(tree)) == before
    assert config_digest(str(tree.parent / "home")) == ""


def test_a_link_cannot_be_trusted_because_its_content_lies_elsewhere(tree: Path) -> None:
    put(tree, **{"settings.json": "{}", ".claude/x": ""})
    (tree / ".claude/settings.json").symlink_to("../settings.json")
    with pytest.raises(NotDigestible, match=r"\.claude/settings\.json is a link"):
        config_digest(str(tree))
    assert CLOSED not in admitted(tree, "0" * 64).args


def test_instructions_that_lead_out_of_the_repository_do_not_come_along(tree: Path, tmp_path: Path) -> None:
    put(tmp_path, **{"home/secret.md": "SECRET", "home/skill/SKILL.md": "SECRET"})
    put(tree, **{".claude/commands/good.md": "good", ".claude/rules/x.md": "x", "docs/a.md": "inside"})
    for name in ("rules/out.md", "commands/out.md", "CLAUDE.md"):
        (tree / ".claude" / name).symlink_to(tmp_path / "home/secret.md")
    (tree / ".claude/skills").symlink_to(tmp_path / "home")
    (tree / ".claude/commands/linked.md").symlink_to("../../docs/a.md")
    admission = admitted(tree)
    copies = {path.name for path in (tree.parent / "repo").rglob("*") if path.is_file()}
    assert copies == {"good.md", "linked.md"}
    assert "." not in admission.args
    assert "links out of the repository (.claude/skills, .claude/commands/out.md, .claude/CLAUDE.md and 1 more)" in admission.note


def test_what_belongs_to_a_skill_stays_in_the_tree_behind_links(tree: Path) -> None:
    put(tree, **{".claude/skills/a/SKILL.md": "x", ".claude/skills/a/run.py": "print()", ".claude/skills/none/x": "x"})
    admitted(tree)
    plugin = tree.parent / "repo/skills"
    assert (plugin / "a/run.py").resolve() == tree.resolve() / ".claude/skills/a/run.py"
    assert not (plugin / "none").exists()


def test_agents_md_stands_for_a_missing_claude_md(tree: Path) -> None:
    put(tree, **{"AGENTS.md": "AGENTS"})
    assert admitted(tree).args == ["--add-dir", ".", "../guidance"]
    assert (tree.parent / "guidance/CLAUDE.md").read_text() == "AGENTS"


def test_beside_a_claude_md_it_does_not(tree: Path) -> None:
    put(tree, **{"AGENTS.md": "AGENTS", ".claude/CLAUDE.md": "x"})
    assert admitted(tree).args == ["--add-dir", "."]


def test_deeper_instructions_come_along_but_for_those_of_others(tree: Path) -> None:
    put(tree, **{f"{name}/CLAUDE.md": "x" for name in ("packages/api", "node_modules/x", ".git/x", "a/b/c/d/e", "vendor/x")})
    assert admitted(tree).args == ["--add-dir", ".", "packages/api"]


def test_links_in_circles_end(tree: Path) -> None:
    put(tree, **{".claude/commands/a.md": "x"})
    for name in "bcdefghij":
        (tree / ".claude/commands" / name).symlink_to(".")
    assert "beyond some hundreds of files" in admitted(tree).note


def test_a_command_is_called_by_the_name_it_has_now(tree: Path) -> None:
    put(tree, **{".claude/commands/git/tidy.md": "x", ".claude/skills/ship/SKILL.md": "x"})
    admission = admitted(tree)
    assert admission.renamed("/git:tidy now") == "/repo:git:tidy now"
    assert admission.renamed("/ship") == "/repo:ship"
    assert admission.renamed("/shipping it") == "/shipping it"
    assert admission.renamed("see /ship") == "see /ship"
