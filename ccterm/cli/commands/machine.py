"""The commands about this machine: preflight checks, images, trust, and the daemon itself."""

from pathlib import Path
from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, leave, number, option


def check(
    execution_mode: Annotated[str | None, option("execution_mode", "Check what this mode needs. [default: where runs go]")] = None,
    repo: Annotated[
        str | None, option("repo", "Also check that this repository can be read and pushed to: a URL or a working copy.")
    ] = None,
    branch: Annotated[str | None, option("branch", "Also check that this branch is free, and which rules its host has for it.")] = None,
    json: Json = False,
) -> None:
    """Check what a run needs, each thing with its fix."""
    from ccterm.cli.show import print_checks  # deferred, as in all commands: --help does without

    leave(print_checks(execution_mode, repo, branch, as_json=json))


def _topics_like(begin: str) -> list[tuple[str, str]]:
    from ccterm.cli.topics import TOPICS  # deferred: only the shell asks

    return [(name, about) for name, about in TOPICS.items() if name.startswith(begin)]


def help(
    topic: Annotated[list[str] | None, typer.Argument(metavar="TOPIC", help="A command, or a topic.", autocompletion=_topics_like)] = None,
    json: Json = False,
) -> None:
    """Explain a command, print the page of a topic, or list the topics."""
    from ccterm.cli.commands.usage import explain_command
    from ccterm.cli.topics import TOPICS, print_topic, print_topics

    match topic or []:
        case []:
            leave(print_topics(as_json=json))
        case [name] if name in TOPICS:
            leave(print_topic(name, as_json=json))
        case command:
            leave(explain_command(command, TOPICS))


def trust(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A working copy, or a batch file.")] = Path(), json: Json = False
) -> None:
    """Trust files that run something here or hand something out, as they are now: those of a working copy, or a batch file."""
    from ccterm.cli.run_orders import trust_files

    leave(trust_files(path, as_json=json))


def daemon(
    idle: Annotated[
        float, typer.Option(metavar="SECONDS", parser=number, help="Seconds without runs and terminals after which it exits.")
    ] = 600.0,
) -> None:
    """Carry runs out for other processes until none needs it."""
    from ccterm.cli.console import carry_out, state_dir
    from ccterm.cli.main import environment
    from ccterm.daemon.process import run_daemon

    carry_out(run_daemon(state_dir(), environment(), idle))


def build_image(
    repo: Annotated[
        str | None, typer.Option(metavar="URL|DIR", help="The image of this repository's settings. [default: ccterm's own]")
    ] = None,
    again: Annotated[bool, typer.Option("--anew", help="Build it even when it exists.")] = False,
    json: Json = False,
) -> None:
    """Build an image now and show the output; runs build what they need by themselves."""
    from ccterm.cli.images import build_image

    leave(build_image(repo, again=again, as_json=json))


def show_images(json: Json = False) -> None:
    """List the images that were built."""
    from ccterm.cli.images import show_images

    leave(show_images(as_json=json))


def remove_images(
    key: Annotated[str | None, typer.Argument(metavar="IMAGE", help="Its key, or the beginning of it.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every image.")] = False,
    json: Json = False,
) -> None:
    """Remove an image; the next run builds it again."""
    from ccterm.cli.images import remove_images

    leave(remove_images(key, everything=all_, as_json=json))
