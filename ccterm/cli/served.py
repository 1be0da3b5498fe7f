"""What `ccterm serve` and `ccterm mcp` have in common: the libraries that they alone need, and the repositories that programs may name."""

import shlex
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

from ccterm.draft import anchored_repo
from ccterm.errors import PreflightError, UsageError
from ccterm.git.bounded_json import read_json
from ccterm.remotes import looks_like_url, parse_remote

EXTRAS = "ccterm[serve,mcp]"


def require_libraries(needs: str, *modules: str) -> None:
    """Refuse to go on without the libraries of an extra. needs: which command needs what. Raises PreflightError."""
    if all(map(find_spec, modules)):
        return
    wanted = shlex.quote(_requirement())
    raise PreflightError(
        f"{needs}, which is not installed here", f"install ccterm with it: uv tool install {wanted}, or pipx install --force {wanted}"
    )


def _requirement() -> str:
    """Return what to install: from where ccterm was installed, since no index needs to have it; both extras, since installing replaces."""
    try:
        origin = read_json(Distribution.from_name("ccterm").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {"url": (Path(__file__).parents[2]).as_uri()}  # a checkout without an installation
    if not (url := origin.get("url")):
        return EXTRAS
    scheme = f"{origin['vcs_info']['vcs']}+" if "vcs_info" in origin else ""
    return f"{EXTRAS} @ {scheme}{url}"


def served_repos(repos: Sequence[str]) -> Sequence[str]:
    """Return the repositories that programs may name, the first of which is the default: at least the current directory. Raises UsageError."""
    return [_served(repo) for repo in repos] or [anchored_repo(None)]


def _served(repo: str) -> str:
    if looks_like_url(repo):
        parse_remote(repo)
    elif not Path(path := anchored_repo(repo)).is_dir():
        raise UsageError(f"--repo: there is no directory {path}", "name a working copy, one above several, or a URL")
    return anchored_repo(repo)
