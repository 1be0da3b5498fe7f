"""The commands and their flags. What they do is imported when a command runs, so that `--help` costs nothing."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from ccterm import __version__
from ccterm.cli.commands import agents, auth, config, launch, machine, network, runs, serve
from ccterm.cli.commands.flags import leave
from ccterm.cli.commands.usage import PlainCommand

_UNSET = dict.fromkeys(("help", "install_completion", "show_completion"), False)
"""Typer would import pydantic to make booleans of these flags when they are not given: 100 ms of `ccterm run --help`."""

app = typer.Typer(
    name="ccterm",
    help="Launch many Claude Code agents at once; each one's work comes back as a pushed branch, or into your working copy.\n\n"
    "Without a command: the terminal, in which agents are launched, watched side by side and steered.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "default_map": _UNSET},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_skill = typer.Typer(help="The skill that teaches Claude Code to delegate work.", no_args_is_help=True)
_images = typer.Typer(help="Build, list and remove images.", no_args_is_help=True)
_auth = typer.Typer(help="The Claude login: set up, export, show, remove.", no_args_is_help=True)
_egress = typer.Typer(
    help="The hosts that runs asked for, a list of them, and more for further runs.",
    short_help="The hosts that runs asked for; more for others.",
    no_args_is_help=True,
)
_config = typer.Typer(help="The settings: show, locate, check.", no_args_is_help=True)


def _of(group: typer.Typer) -> Callable[..., Any]:
    """Return what adds a command to a group."""
    return partial(group.command, cls=PlainCommand)


def _example(line: str) -> str:
    return f"\b\nExample:\n  {line}"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ccterm {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Carry runs out in the terminal's own process: they end with it.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,  # noqa: ARG001
) -> None:
    """Show the terminal when there is no command, or how to get help when there is no terminal either."""
    if context.invoked_subcommand is not None:
        return
    from ccterm.cli.terminal import on_terminal, terminal

    if on_terminal():
        leave(terminal(foreground=foreground))
    typer.echo(context.get_help())


_of(app)(hidden=True)(machine.daemon)
_of(app)(short_help="Run one task, to its end.", epilog=launch.RUN_EXAMPLES)(launch.run)
_of(app)(epilog=launch.BATCH_KEYS)(launch.batch)
for command in (launch.demo, runs.runs, runs.show, runs.logs):
    _of(app)()(command)
_of(app)(short_help="Print what a run changed, as a patch.")(runs.diff)
for order in (runs.cancel, runs.steer, runs.hold, runs.release, runs.allow):
    _of(app)()(order)
_of(app)(short_help="Refuse what an agent asks permission for.")(runs.deny)
_of(app)("continue", short_help="Go on with an ended run.", epilog=_example('ccterm continue 12 "now fix the tests"'))(runs.continue_)
_of(app)()(runs.retry)
_of(app)(epilog=_example("ccterm push 12 --allow-deletions 40"))(runs.push)
_of(app)(short_help="Bring a run's changes into its working copy.")(runs.apply)
_of(app)(short_help="Restore what a run's changes replaced.")(runs.undo)
_of(app)(short_help="Bring a run's work into a local repository.")(runs.fetch)
_of(app)(short_help="Open a shell where a run's agent was.")(runs.shell)
_of(app)(short_help="Remove what is kept of a run.")(runs.clean)
_of(app)(epilog=_example("ccterm check --repo https://github.com/acme/shop --branch fix/login"))(machine.check)
_of(app)(short_help="Trust what a working copy or batch file runs.")(machine.trust)
_of(app)(short_help="Serve the HTTP API.", epilog=_example("ccterm serve --port 8001 --repo ~/code/shop"))(serve.serve)
_of(app)(short_help="Print the token of the HTTP API.")(serve.token)
_of(app)(short_help="Serve other agents over MCP.")(agents.mcp)
# a map of its own: from the one above it would get the value of the flag --help as its map
_of(app)(context_settings={"default_map": {}}, short_help="Explain a command, or print a topic's page.")(machine.help)
app.add_typer(_auth, name="auth")
_of(_auth)(short_help="Store a token that lasts a year, for all runs.")(auth.setup)
_of(_auth)(short_help="Copy your login's access token for containers.")(auth.export)
_of(_auth)(short_help="Show which login runs use, and why.")(auth.status)
_of(_auth)()(auth.logout)
app.add_typer(_config, name="config")
_of(_config)(short_help="Print the settings as they count here.")(config.show)
_of(_config)()(config.path)
_of(_config)(short_help="Say all that is wrong with the settings.")(config.check)
app.add_typer(_egress, name="egress")
_of(_egress)(short_help="List the hosts that a run asked for.")(network.log)
_of(_egress)(short_help="Print a list of them, to paste.", epilog=_example("ccterm egress suggest 12 13"))(network.suggest)
_of(_egress)(short_help="Let further runs reach more hosts.", epilog=_example("ccterm egress allow 12 pypi.org"))(network.allow)
app.add_typer(_images, name="image")
app.add_typer(_skill, name="skill")
_of(_skill)("install", short_help="Teach Claude Code when and how to delegate.")(agents.install_skill)
_of(_images)("build", short_help="Build an image now and show the output.")(machine.build_image)
_of(_images)("show")(machine.show_images)
_of(_images)("rm")(machine.remove_images)
