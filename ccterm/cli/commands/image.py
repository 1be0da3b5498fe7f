"""The flags of `ccterm image`."""

from typing import Annotated

import typer

from ccterm.cli.commands.flags import Json, leave


def build(
    repo: Annotated[str | None, typer.Option(help="The image of this repository's settings. [default: ccterm's own]")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Make it even when it is there.")] = False,
    json: Json = False,
) -> None:
    """Make an image now, with all that it says; runs make it by themselves when they need it."""
    from ccterm.cli.image import build_image

    leave(build_image(repo, anew=anew, as_json=json))


def show(json: Json = False) -> None:
    """List the images that were made."""
    from ccterm.cli.image import show_images

    leave(show_images(as_json=json))


def remove(
    key: Annotated[str | None, typer.Argument(metavar="IMAGE", help="Its key, or the beginning of it.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every image.")] = False,
    json: Json = False,
) -> None:
    """Remove an image; the next run makes it again."""
    from ccterm.cli.image import remove_images

    leave(remove_images(key, everything=all_, as_json=json))
