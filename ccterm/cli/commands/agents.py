"""The commands for other agents: the MCP server, and the skill that teaches Claude Code to use ccterm."""

from ccterm.cli.commands.flags import leave
from ccterm.cli.commands.serve import AllowLocal, Repos


def mcp(repo: Repos = None, allow_local: AllowLocal = False) -> None:
    """Serve other agents over MCP on stdin and stdout: claude mcp add ccterm -- ccterm mcp. See ccterm help mcp."""
    from ccterm.cli.mcp import serve_mcp  # deferred, as in all commands: --help does without

    leave(serve_mcp(repo or (), allow_local=allow_local))
