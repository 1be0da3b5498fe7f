"""What `repo` means on this machine: a URL is itself, a working copy stands for its origin, a bare repository for itself.

git is only asked questions, with settings under which no configuration can run a command. `url.*.insteadOf` and ssh aliases of the user's
own configuration are followed here, and the sentence says so.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ccterm.errors import PreflightError, RemoteError
from ccterm.git.git import Git, GitError
from ccterm.remotes import RemoteAddress, looks_like_url, parse_remote, shown
from ccterm.workspace.user_addresses import ADDRESS_SETTINGS, AddressSettings, resolve_ssh_alias

_SECONDS = 20


@dataclass(frozen=True)
class Origin:
    """What a run works on.

    repo: as the run records it, a URL or an absolute path. root: the top of the working copy, or None when `repo` is not one.
    unpushed: commits of its HEAD that no branch of origin contained at the last fetch. followed: how the user's configuration led to the
    remote, or "".
    """

    repo: str
    remote: RemoteAddress
    root: Path | None = None
    unpushed: int = 0
    followed: str = ""

    @property
    def sentence(self) -> str:
        """What the user should know before the run starts, or ""."""
        if self.root is None:
            return f"the remote is {self.remote.display}, {self.followed}" if self.followed else ""
        left = f"; {self.unpushed} unpushed commit{'s' if self.unpushed > 1 else ''} not included" if self.unpushed else ""
        followed = f", {self.followed}" if self.followed else ""
        return f"{self.root} stands for its origin {self.remote.display}{followed}{left}"


def find_origin(repo: str, env: Mapping[str, str], cwd: Path) -> Origin:
    """Return what `repo`, a URL or a path from `cwd`, stands for. Raises RemoteError, or PreflightError without git."""
    if looks_like_url(repo) and not os.path.lexists(cwd / repo):
        remote, followed = _followed(repo, address_settings(Path("/"), env), env)
        if remote.kind == "path":  # file:// means that very repository, bare or not
            _git_dir(Path(remote.path), env, repo)
        return Origin(remote.url, remote, followed=followed)
    parse_remote(str(cwd / repo) if repo else repo)  # rejects what must not reach git or a message
    return _of_directory(cwd / Path(repo).expanduser(), env, repo)


def _of_directory(directory: Path, env: Mapping[str, str], text: str) -> Origin:
    bare, git_dir = _git_dir(directory, env, text)
    if bare and Path(os.path.realpath(directory)).is_relative_to(git_dir):
        return Origin(git_dir, parse_remote(git_dir))
    return _of_working_copy(directory, env)  # or a directory of worktrees, whose .git file names a bare repository


def _git_dir(directory: Path, env: Mapping[str, str], text: str) -> tuple[bool, str]:
    """Return whether a repository is bare, and its git directory."""
    if not os.path.isdir(directory):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        fix = (
            f"name one, or a URL such as https://github.com/{text}"
            if re.fullmatch(r"[\w.-]+/[\w.-]+", text)
            else "name a working copy, or a URL"
        )
        raise RemoteError(f"{shown(text)} is not a directory", fix)
    found = ask(directory, env, "rev-parse", "--is-bare-repository", "--absolute-git-dir")
    if found is None:
        raise RemoteError(
            f"{shown(str(directory))} is not a git repository", "name a working copy or a bare repository, or a URL; git init makes one"
        )
    bare, git_dir = found.split("\n", 1)
    return bare == "true", os.path.realpath(git_dir)


def _of_working_copy(directory: Path, env: Mapping[str, str]) -> Origin:
    top = ask(directory, env, "rev-parse", "--show-toplevel")
    root = Path(os.path.realpath(top)) if top else Path(os.path.realpath(directory))
    settings = address_settings(root, env)
    if not settings.origin:
        raise RemoteError(f"{shown(str(root))} has no remote named origin", "git remote add origin URL, or give the URL as --repo")
    try:
        remote, followed = _followed(settings.origin, settings, env, root)
    except RemoteError as error:
        raise RemoteError(f"the origin of {shown(str(root))} cannot be used: {error.message}", error.fix) from error
    return Origin(str(root), remote, root, _unpushed(root, env), followed)


def address_settings(directory: Path, env: Mapping[str, str]) -> AddressSettings:
    """Return what the user's configuration, with a repository's own, says about addresses; nothing where there is no git."""
    try:
        return AddressSettings.of(ask(directory, env, "config", "--null", "--get-regexp", ADDRESS_SETTINGS) or "")
    except (PreflightError, RemoteError):
        return AddressSettings()


def origin_address(text: str, root: Path) -> RemoteAddress:
    """Return the address that a working copy's configuration gives; a path is relative to the top. Raises RemoteError."""
    return parse_remote(text if looks_like_url(text) else os.path.realpath(root / Path(text).expanduser()))


def _followed(text: str, settings: AddressSettings, env: Mapping[str, str], root: Path = Path("/")) -> tuple[RemoteAddress, str]:
    """Return what an address stands for by the user's configuration, and the words for that, "" when it is as written. Raises RemoteError."""
    rewritten = settings.rewritten(text)
    remote = origin_address(rewritten, root)
    reached, unused = resolve_ssh_alias(remote, env)
    words = ["by insteadOf in your git configuration"] if rewritten != text else []
    words += ["by your ssh configuration"] if reached != remote else []
    words += [unused] if unused else []
    if _pushes_elsewhere(settings.pushed_to(text), rewritten, reached, env, root):
        words.append("where ccterm also pushes: pushurl and pushInsteadOf are not used")
    return reached, ", ".join(words)


def _pushes_elsewhere(pushed_to: str, fetched_from: str, remote: RemoteAddress, env: Mapping[str, str], root: Path) -> bool:
    """Return whether the user's git would push to another repository than the one that it fetches from."""
    if pushed_to == fetched_from:
        return False
    try:
        return resolve_ssh_alias(origin_address(pushed_to, root), env)[0].url_key != remote.url_key
    except RemoteError:
        return True


def _unpushed(root: Path, env: Mapping[str, str]) -> int:
    counted = ask(root, env, "rev-list", "--count", "--max-count=10000", "HEAD", "--not", "--remotes=origin")
    return int(counted) if counted and counted.isdecimal() else 0


def is_safe_for_user(directory: Path, env: Mapping[str, str]) -> bool:
    """Return whether a repository belongs to another user, and the user's own configuration of git says that it is safe. Blocks."""
    with suppress(PreflightError, RemoteError, OSError):
        found = [path for path in (directory, directory / ".git") if path.exists()]
        if any(path.stat().st_uid != os.geteuid() for path in found):
            return ask(directory, env, "rev-parse", "--git-dir") is not None
    return False


def ask(directory: Path, env: Mapping[str, str], *question: str) -> str | None:
    """Ask git about a directory. Returns its answer without the final line break, or None when git fails."""
    try:
        code, answer, stderr = Git.inspecting(str(directory), env).answer(*question, timeout=_SECONDS)
    except FileNotFoundError as error:
        raise PreflightError("git is not installed", "install git 2.30 or newer") from error
    except GitError as error:
        raise RemoteError(f"git does not answer in {shown(str(directory))}", "try git status there") from error
    if "dubious ownership" in stderr or "unsafe repository" in stderr:  # the words of 2.35 to 2.37
        raise RemoteError(
            f"{shown(str(directory))} belongs to another user, so git will not read it",
            f"git config --global --add safe.directory {directory}",
        )
    return answer.decode("utf-8", "surrogateescape").removesuffix("\n") if code == 0 else None
