"""`ccterm image`: the images that boxes are made of: make one now, see them, remove them."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, say, state_dir, tell, tell_json
from ccterm.daemon.wiring import dagger_executor
from ccterm.errors import UsageError
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.executors.dagger.image_store import ImageRecord
from ccterm.models import ImageChoice
from ccterm.settings import load_settings
from ccterm.workspace.origin import find_origin


def build_image(repo: str | None, *, anew: bool, as_json: bool) -> ExitCode:
    """Make ccterm's own image, or that of a repository's settings, unless it is there."""
    settings = load_settings(None, os.environ)
    own = settings.for_repo(find_origin(repo, os.environ, Path.cwd()).remote.url_key) if repo else None
    choice = ImageChoice(reference=own.image, dockerfile=str(own.dockerfile) if own.dockerfile else None) if own else ImageChoice()

    async def work() -> ImageRecord:
        async with dagger_executor(settings, state_dir().prepare(), os.environ) as executor:
            if anew:
                _forget(executor, _names(executor, choice))
            return await executor.build_image(choice)

    record = carry_out(work(), all_progress=True)
    _show([record], as_json=as_json)
    return ExitCode.OK


def _names(executor: DaggerExecutor, choice: ImageChoice) -> set[str]:
    return {choice.dockerfile or choice.reference or executor.image_spec.base}


def _forget(executor: DaggerExecutor, names: set[str]) -> None:
    for record in list(executor.images.all()):
        if record.name in names:
            executor.images.remove(record)


def show_images(*, as_json: bool) -> ExitCode:
    """List the images that were made."""
    executor = dagger_executor(load_settings(None, os.environ), state_dir(), os.environ)
    records = list(executor.images.all())
    _show(records, as_json=as_json)
    if not records and not as_json:
        say("no image is made yet; ccterm image build makes one, or the first run in a container does")
    return ExitCode.OK


def _show(records: Sequence[ImageRecord], *, as_json: bool) -> None:
    if as_json:
        tell_json([{**record.model_dump(mode="json"), "usable": record.usable} for record in records])
        return
    for record in records:
        size = f"{record.size / 1e6:,.0f} MB" if record.usable else "tarball gone"
        tell(f"{record.key}  {record.built:%Y-%m-%d %H:%M}  {size:>8}  {record.platform}  claude {record.claude_version}  {record.name}")


def remove_images(key: str | None, *, everything: bool, as_json: bool) -> ExitCode:
    """Remove one image by (a prefix of) its key, or all; tarballs that the user brought stay."""
    if (key is None) != everything:
        raise UsageError("say which image, or --all", "ccterm image show lists them")
    executor = dagger_executor(load_settings(None, os.environ), state_dir(), os.environ)
    chosen = [record for record in executor.images.all() if everything or record.key.startswith(key or "")]
    if not chosen and not everything:
        raise UsageError(f"there is no image {key}", "ccterm image show lists them")
    if not everything and len(chosen) > 1:
        raise UsageError(f"{key} means {len(chosen)} images", "give more of the key")
    for record in chosen:
        executor.images.remove(record)
        shutil.rmtree(executor.images.log(record.key), ignore_errors=True)
    _show(chosen, as_json=True) if as_json else say(f"removed {len(chosen)} image{'' if len(chosen) == 1 else 's'}")
    return ExitCode.OK
