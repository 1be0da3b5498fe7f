"""Finds the Dagger CLI on this machine, and checks that its version fits the SDK."""

import importlib.metadata
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ccterm.errors import PreflightError
from ccterm.executors.dagger.sdk import load_sdk
from ccterm.processes import run_command_async

SERIES = (0, 21)
"""Major and minor version of Dagger that ccterm is tested with; CLI, SDK and engine must have it."""
VERSION_SECONDS = 4.0
NEUTRAL = "/"
"""Where the CLI is started: in a repository it looks for modules of its own, and warns of what it finds."""
progress = logging.getLogger("ccterm.progress")
"""Messages to the user about rare, slow work."""


def install_fix() -> str:
    """Return how to install the CLI in the version that belongs to the SDK."""
    try:
        wanted = importlib.metadata.version("dagger-io")
    except importlib.metadata.PackageNotFoundError:
        wanted = f"{'.'.join(map(str, SERIES))}.0"
    return f"curl -fsSL https://dl.dagger.io/dagger/install.sh | DAGGER_VERSION={wanted} sh, or name a CLI in CCTERM_DAGGER_CLI"


async def find_cli(chosen: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the CLI to use: the chosen one, the one on PATH if its version fits, else the SDK's own, downloaded once.

    Raises PreflightError when no CLI fits.
    """
    if installed := await installed_cli(chosen, environ):
        return installed
    found = shutil.which("dagger", path=environ.get("PATH"))
    return await _downloaded(f"dagger on PATH ({found}) has the wrong version" if found else "the Dagger CLI is not installed")


async def installed_cli(chosen: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the chosen CLI, or the one on PATH if its version fits. Raises PreflightError when the chosen one does not fit."""
    if named := chosen or _named(environ):
        await _require_fit(named)
        return named
    found = shutil.which("dagger", path=environ.get("PATH"))
    return Path(found) if found and fits(await version(Path(found))) else None


def _named(environ: Mapping[str, str]) -> Path | None:
    name = environ.get("_EXPERIMENTAL_DAGGER_CLI_BIN", "")
    path = shutil.which(name, path=environ.get("PATH")) if name else None
    return Path(path or name) if name else None


async def _require_fit(cli: Path) -> None:
    if not cli.is_file() or not os.access(cli, os.X_OK):
        raise PreflightError(f"there is no Dagger CLI at {cli}", install_fix())
    if not fits(found := await version(cli)):
        wanted = ".".join(map(str, SERIES))
        raise PreflightError(f"{cli} is Dagger {found or 'of unknown version'}; ccterm needs {wanted}", install_fix())


def fits(version: str) -> bool:
    """Return whether a version such as "0.21.8" is in the supported series."""
    return version.startswith("".join(f"{part}." for part in SERIES))


async def version(cli: Path) -> str:
    """Return the version that a CLI reports, such as "0.21.8", or "" when it reports none."""
    try:
        answer = await run_command_async([cli, "version"], env=child_environment({}), seconds=VERSION_SECONDS)
    except OSError:
        return ""
    match = re.search(rb"v?(\d+\.\d+\.\d+)", answer.output)
    return match[1].decode() if match else ""


async def _downloaded(why: str) -> Path:
    await load_sdk()
    from ccterm.executors.dagger.dagger_private import downloaded_cli  # deferred: needs the SDK

    try:
        cli = await downloaded_cli(lambda version: progress.info("%s: downloading Dagger %s, once", why, version))
    except Exception as error:
        raise PreflightError(f"{why}, and it cannot be downloaded: {error}", install_fix()) from error
    if cli is None:
        raise PreflightError(f"{why}, and this Dagger SDK does not download it", install_fix())
    return cli


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Variables that may name the certificates of a company's proxy; the first one set is used for all tools in a box."""
_DROPPED = ("OTEL_", "DAGGER_SESSION_", "TRACEPARENT", "CLAUDECODE", "_EXPERIMENTAL_DAGGER_", "CLAUDE_CODE_", "ANTHROPIC_")


def child_environment(environ: Mapping[str, str], runner: str | None = None) -> dict[str, str]:
    """Return the environment of a Dagger CLI: the user's, without tracing, other sessions and logins. It leaves other engines alone."""
    kept = {name: value for name, value in (environ or os.environ).items() if not name.startswith(_DROPPED)}
    runner = runner or (environ or os.environ).get("_EXPERIMENTAL_DAGGER_RUNNER_HOST")
    quiet = {"DAGGER_LEAVE_OLD_ENGINE": "1", "DAGGER_NO_UPDATE_CHECK": "1", "DO_NOT_TRACK": "1"}
    # a named engine is either up or not; one that has to be started reports its progress
    named = {"_EXPERIMENTAL_DAGGER_RUNNER_HOST": runner, "DAGGER_SILENT": "1"} if runner else {}
    return kept | quiet | named
