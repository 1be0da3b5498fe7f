"""The Dagger CLI on this machine: which one is used, and whether its version fits the SDK."""

import asyncio
import importlib
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ccterm.errors import PreflightError

SERIES = (0, 21)
"""Major and minor version of the Dagger that ccterm was measured with; CLI, SDK and engine must be of it."""
INSTALL = "curl -fsSL https://dl.dagger.io/dagger/install.sh | DAGGER_VERSION=0.21.8 sh, or name one in CCTERM_DAGGER_CLI"
VERSION_SECONDS = 10.0
progress = logging.getLogger("ccterm.progress")
"""What takes long and happens rarely is told here, in words for the user."""


async def find_cli(chosen: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the CLI to use: the chosen one, the one on PATH when it fits, else the SDK's own, downloaded once.

    Raises PreflightError when there is none that fits.
    """
    named = chosen or _named(environ)
    if named is not None:
        await _require_fit(named)
        return named
    found = shutil.which("dagger", path=environ.get("PATH"))
    if found and fits(await version(Path(found))):
        return Path(found)
    return await _downloaded(f"dagger on PATH ({found}) does not fit" if found else "the Dagger CLI is not there")


def _named(environ: Mapping[str, str]) -> Path | None:
    name = environ.get("_EXPERIMENTAL_DAGGER_CLI_BIN", "")
    place = shutil.which(name, path=environ.get("PATH")) if name else None
    return Path(place or name) if name else None


async def _require_fit(cli: Path) -> None:
    if not cli.is_file() or not os.access(cli, os.X_OK):
        raise PreflightError(f"the Dagger CLI is not there: {cli}", INSTALL)
    if not fits(found := await version(cli)):
        wanted = ".".join(map(str, SERIES))
        raise PreflightError(f"{cli} is Dagger {found or 'of no known version'}; ccterm needs {wanted}", INSTALL)


def fits(version: str) -> bool:
    """Return whether a version such as "0.21.8" is of our series."""
    return version.startswith("".join(f"{part}." for part in SERIES))


async def version(cli: Path) -> str:
    """Return what `dagger version` says, such as "0.21.8"; "" when it says nothing that can be understood."""
    try:
        async with asyncio.timeout(VERSION_SECONDS):
            null, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(cli, "version", stdin=null, stdout=pipe, stderr=null, env=child_environment({}))
            try:
                said, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    except (OSError, TimeoutError):
        return ""
    match = re.search(rb"v?(\d+\.\d+\.\d+)", said)
    return match[1].decode() if match else ""


async def _downloaded(why: str) -> Path:
    await load_sdk()
    from ccterm.executors.dagger.dagger_private import downloaded_cli  # deferred: needs the SDK

    try:
        cli = await downloaded_cli(lambda version: progress.info("%s: downloading Dagger %s, once", why, version))
    except Exception as error:
        raise PreflightError(f"{why}, and it cannot be downloaded: {error}", INSTALL) from error
    if cli is None:
        raise PreflightError(f"{why}, and this Dagger SDK does not download it", INSTALL)
    return cli


_DROPPED = ("OTEL_", "DAGGER_SESSION_", "TRACEPARENT", "CLAUDECODE", "_EXPERIMENTAL_DAGGER_", "CLAUDE_CODE_", "ANTHROPIC_")


def child_environment(environ: Mapping[str, str], runner: str | None = None) -> dict[str, str]:
    """Return the environment of a Dagger CLI: the user's, without tracing, other sessions and logins; quiet; other engines left alone."""
    kept = {name: value for name, value in (environ or os.environ).items() if not name.startswith(_DROPPED)}
    runner = runner or (environ or os.environ).get("_EXPERIMENTAL_DAGGER_RUNNER_HOST")
    quiet = {"DAGGER_LEAVE_OLD_ENGINE": "1", "DAGGER_NO_UPDATE_CHECK": "1", "DO_NOT_TRACK": "1"}
    # an engine that is named is there or not; one that has to be started tells how that goes
    named = {"_EXPERIMENTAL_DAGGER_RUNNER_HOST": runner, "DAGGER_SILENT": "1"} if runner else {}
    return kept | quiet | named


FIX = "pip install dagger-io, or make ccterm's environment anew"
_PARTS = ("dagger.provisioning", "ccterm.executors.dagger.boxes", "ccterm.executors.dagger.images", "ccterm.executors.dagger.session")
_loader = ThreadPoolExecutor(1, "dagger-sdk")


async def load_sdk() -> None:
    """Import the SDK and all of ours that needs it. Raises PreflightError when it is not there."""
    try:
        await asyncio.get_running_loop().run_in_executor(_loader, _load, _PARTS)
    except ImportError as error:
        raise PreflightError(f"Dagger SDK not found ({error})", FIX) from error


def _load(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name)
