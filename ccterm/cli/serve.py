"""`ccterm serve`: the HTTP API over the daemon, which it starts when none runs."""

import asyncio
import gc
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, note_unknown_variables, print_data, print_json, print_note, state_dir
from ccterm.cli.main import environment
from ccterm.cli.served import require_libraries, served_repos

if TYPE_CHECKING:
    from ccterm.api.server import ServedAt


COLLECTIONS = (50_000, 20, 20)
"""When garbage is looked for. A list of a thousand runs is as many objects, all of which go without that: it takes half the time so."""


def serve(port: int | None, repos: Sequence[str], *, allow_local: bool) -> ExitCode:
    """Answer requests until a signal comes."""
    _require_libraries()
    return carry_out(_serve(port, served_repos(repos), allow_local=allow_local))


async def _serve(port: int | None, repos: Sequence[str], *, allow_local: bool) -> ExitCode:
    from ccterm.api.backend import Backend
    from ccterm.api.feeds import Feeds
    from ccterm.api.permissions import Permissions
    from ccterm.api.server import server_sockets, serving_http
    from ccterm.daemon.spawn import attached_or_started, keep_running
    from ccterm.settings import load_settings

    gc.set_threshold(*COLLECTIONS)
    environ, stopped, loop = environment(), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    note_unknown_variables()
    permissions = Permissions(repos, lambda: load_settings(None, environ), allow_local=allow_local)
    state = state_dir().prepare()
    with server_sockets(state, port) as sockets:  # first, since it may be refused
        async with attached_or_started(state, environ) as attached, keep_running(attached):
            service = attached.acting_for(None)
            async with serving_http(Backend(service, permissions, Feeds(service)), state, sockets) as address:
                _say(address, repos, allow_local=allow_local)
                await stopped.wait()
    return ExitCode.OK


def _say(address: "ServedAt", repos: Sequence[str], *, allow_local: bool) -> None:
    if address.port is not None:
        print_note(f"http://localhost:{address.port} with the token in {state_dir().server_token} (ccterm token prints it)")
    print_note(f"{address.socket} without one")
    print_note(f"tasks work on {repos[0]}" + (f", or when they say so on {', '.join(repos[1:])}" if repos[1:] else ""))
    print_note("whoever has the token can run code as you" if allow_local else "whoever has the token can start agents and push as you")


def _require_libraries() -> None:
    require_libraries("ccterm serve needs FastAPI with uvicorn", "fastapi", "uvicorn")


def print_openapi() -> ExitCode:
    """Print the OpenAPI document."""
    _require_libraries()
    from ccterm.api.app import make_app, openapi

    print_json(openapi(make_app()))
    return ExitCode.OK


def print_token(*, as_json: bool) -> ExitCode:
    """Print the token of the server that runs."""
    from ccterm.api.token import current_token

    token = current_token(state_dir())
    if as_json:
        print_json({"token": token})
    else:
        print_data(token)
    return ExitCode.OK
