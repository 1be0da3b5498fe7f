"""`ccterm mcp`: the MCP server on stdin and stdout, over the daemon, which it starts when none runs."""

from collections.abc import Sequence

from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, note_unknown_variables, state_dir
from ccterm.cli.main import environment
from ccterm.cli.served import require_libraries, served_repos


def serve_mcp(repos: Sequence[str], *, allow_local: bool) -> ExitCode:
    """Answer the requests of one client until it closes stdin; its runs go on in the daemon."""
    require_libraries("ccterm mcp needs the MCP SDK", "mcp")
    return carry_out(_serve(served_repos(repos), allow_local=allow_local))


async def _serve(repos: Sequence[str], *, allow_local: bool) -> ExitCode:
    from ccterm.api.mcp.mcp_server import McpServer
    from ccterm.api.permissions import Permissions
    from ccterm.daemon.spawn import attached_or_started, keep_running
    from ccterm.settings import load_settings

    environ = environment()
    note_unknown_variables()
    permissions = Permissions(repos, lambda: load_settings(None, environ), allow_local=allow_local, command="ccterm mcp")
    async with attached_or_started(state_dir(), environ) as attached, keep_running(attached):
        await McpServer(attached.acting_for(None), permissions).serve()
    return ExitCode.OK
