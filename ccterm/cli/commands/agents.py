"""The commands for other agents: the MCP server, and the skill that teaches Claude Code to use ccterm."""

from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, leave
from ccterm.cli.commands.serve import AllowLocal, Repos


def mcp(repo: Repos = None, allow_local: AllowLocal = False) -> None:
    """Serve other agents over MCP on stdin and stdout: claude mcp add ccterm -- ccterm mcp. See ccterm help mcp."""
    from ccterm.cli.mcp import serve_mcp  # deferred, as in all commands: --help does without

    leave(serve_mcp(repo or (), allow_local=allow_local))


def install_skill(
    project: Annotated[
        bool, typer.Option("--project", help="For this project (.claude/skills) instead of for you (~/.claude/skills).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace one that was changed.")] = False,
    json: Json = False,
) -> None:
    """Teach Claude Code when and how to delegate work: write a skill where it finds it. Install it again after an update of ccterm."""
    from ccterm.cli.skill.install import install_skill

    leave(install_skill(project=project, force=force, as_json=json))
