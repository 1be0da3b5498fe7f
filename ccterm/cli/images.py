"""`ccterm image`: build, list and remove the images that boxes are made of."""

from collections.abc import Sequence

from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, print_data, print_json, print_note, require_one, state_dir
from ccterm.cli.main import environment
from ccterm.daemon.machine import ThisMachine
from ccterm.draft import current_directory
from ccterm.errors import UsageError
from ccterm.executors.dagger.image_store import ImageRecord
from ccterm.settings import load_settings
from ccterm.values import ImageChoice
from ccterm.workspace.origin import find_origin


def build_image(repo: str | None, *, again: bool, as_json: bool) -> ExitCode:
    """Build ccterm's own image, or that of a repository's settings, unless it exists."""
    choice = _choice(repo) if repo else ImageChoice()
    machine = ThisMachine(state_dir().prepare(), environment())
    record = carry_out(machine.build_image(choice, again=again), all_progress=True)
    _print_images([record], as_json=as_json)
    return ExitCode.OK


def _choice(repo: str) -> ImageChoice:
    settings = load_settings(None, environment())
    return settings.for_repo(find_origin(repo, environment(), current_directory()).remote.url_key).image_choice()


def show_images(*, as_json: bool) -> ExitCode:
    """List the images that were built."""
    records = ThisMachine(state_dir(), environment()).images()
    _print_images(records, as_json=as_json)
    if not records and not as_json:
        print_note("no image is built yet; ccterm image build builds one, or the first run in a container does")
    return ExitCode.OK


def _print_images(records: Sequence[ImageRecord], *, as_json: bool) -> None:
    if as_json:
        print_json([{**record.model_dump(mode="json"), "usable": record.usable} for record in records])
        return
    for record in records:
        size = f"{record.size / 1e6:,.0f} MB" if record.usable else "tarball missing"
        print_data(
            f"{record.key}  {record.built:%Y-%m-%d %H:%M}  {size:>8}  {record.platform}  claude {record.claude_version}  {record.name}"
        )


def remove_images(key: str | None, *, everything: bool, as_json: bool) -> ExitCode:
    """Remove one image by (a prefix of) its key, or all."""
    require_one(key, "image", every=everything, flag="--all", fix="ccterm image show lists them")
    machine = ThisMachine(state_dir(), environment())
    chosen = [record for record in machine.images() if everything or (key and record.key.startswith(key))]
    if not chosen and not everything:
        raise UsageError(f"there is no image {key!r}", "ccterm image show lists them")
    if not everything and len(chosen) > 1:
        raise UsageError(f"{key} may mean {len(chosen)} images", "type more of the key")
    for record in chosen:
        machine.remove_image(record)
    if as_json:
        _print_images(chosen, as_json=True)
    else:
        print_note(f"removed {len(chosen)} image{'' if len(chosen) == 1 else 's'}")
    return ExitCode.OK
