"""The working copy of a testing run: found and checked before anything starts, and locked so that one process at a time changes it."""

import fcntl
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ccterm.errors import CctermError, RemoteError, UsageError
from ccterm.git.git import Git
from ccterm.models import Mode, Task
from ccterm.remotes import looks_like_url, parse_remote, shown
from ccterm.state_dir import StateDir, private_directory, private_file
from ccterm.workspace.origin import address_settings, ask, find_origin, origin_address

_IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}
_BRANCH = "or give --branch"


@dataclass(frozen=True)
class Repository:
    """A working copy and its git directory, which is only ever read."""

    root: Path
    git_dir: Path
    common_dir: Path
    """The git directory itself, or the main one of a linked worktree."""
    head: str
    branch: str
    """The branch that is checked out, or "work"."""
    key: str
    """Identity of its origin, else its path: the key of its settings."""

    @property
    def id(self) -> str:
        """Its name in the state directory."""
        return repository_id(self.root)

    @property
    def git(self) -> Git:
        """Git on this repository, without any configuration that could start a program."""
        return Git(str(self.git_dir), work_tree=str(self.root))

    def busy_with(self) -> str:
        """Return what is in progress in it, such as a merge, or ""."""
        return next((what for name, what in _IN_PROGRESS.items() if (self.git_dir / name).exists()), "")

    def require_rest(self) -> None:
        """Raise UsageError while a merge or the like is in progress."""
        if what := self.busy_with():
            raise UsageError(f"a {what} is in progress in {self.root}", f"finish or abort it (git {what} --abort), then try again")


def require_history(root: Path, commits: Collection[str]) -> None:
    """Raise UsageError unless the repository at `root` has one of the commits; without any there is nothing to compare."""
    git = Git(str(root / ".git"))
    if commits and not any(git.succeeds("cat-file", "-e", f"{commit}^{{commit}}") for commit in commits):
        raise UsageError(
            f"{root} is not the repository that the changes were made in: it does not have the commit that the run began from",
            "put that repository back in its place, or apply the kept patch by hand",
        )


def repository_id(root: Path) -> str:
    """Return the name of a working copy in the state directory."""
    return sha256(os.fsencode(root)).hexdigest()[:24]


@contextmanager
def working_copy_lock(state: StateDir, root: Path) -> Iterator[None]:
    """Hold the lock of a working copy, without waiting for it; it is released when the process dies.

    Raises UsageError when another process has it, and StateError.
    """
    path = private_directory(state.locks) / repository_id(root)
    descriptor = private_file(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another ccterm process is using {root}", "try again in a moment") from error
        yield
    finally:
        os.close(descriptor)


def find_repository(repo: str, env: Mapping[str, str], cwd: Path) -> Repository:
    """Return the working copy that contains `repo`, a path from `cwd`. Raises UsageError with the one thing that is wrong."""
    if looks_like_url(repo) and not os.path.lexists(cwd / repo):
        raise UsageError("without a branch the work comes back into a working copy, and a URL is not one", "give --branch, or a directory")
    parse_remote(str(cwd / repo) if repo else repo)  # rejects what must not reach git or a message
    directory = cwd / Path(repo).expanduser()
    if not directory.is_dir():
        raise RemoteError(f"{shown(str(directory))} is not a directory", "name a working copy, or give a URL and --branch")
    found = ask(directory, env, "rev-parse", "--is-bare-repository", "--absolute-git-dir")
    if found is None:
        raise RemoteError(f"{shown(str(directory))} is not a git repository", "git init makes one; git add and git commit fill it")
    bare, git_dir = found.split("\n", 1)
    if bare == "true":
        raise UsageError(
            f"{shown(str(directory))} is a bare repository: there is no working copy to bring changes back to", "give --branch"
        )
    return _working_copy(directory, Path(os.path.realpath(git_dir)), env)


def _working_copy(directory: Path, git_dir: Path, env: Mapping[str, str]) -> Repository:
    top = ask(directory, env, "rev-parse", "--show-toplevel")
    if not top:
        raise UsageError(f"{shown(str(directory))} is inside a git directory", f"name the working copy, {_BRANCH}")
    root = Path(os.path.realpath(top))
    if above := ask(root, env, "rev-parse", "--show-superproject-working-tree"):
        raise UsageError(f"{shown(str(root))} is a submodule of {shown(above)}", f"clone it on its own, {_BRANCH}")
    head = ask(root, env, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not head:
        raise UsageError(f"{shown(str(root))} has no commit yet", "git add and git commit first: the snapshot needs a commit to build on")
    if not os.access(root, os.W_OK | os.X_OK):
        raise UsageError(f"{shown(str(root))} cannot be written to, so no changes could be brought back", f"make it writable, {_BRANCH}")
    common = ask(root, env, "rev-parse", "--git-common-dir") or str(git_dir)
    branch = ask(root, env, "symbolic-ref", "--short", "--quiet", "HEAD") or "work"
    return Repository(root, git_dir, Path(os.path.realpath(root / common)), head, branch, _key(root, env))


def _key(root: Path, env: Mapping[str, str]) -> str:
    settings = address_settings(root, env)
    try:
        return origin_address(settings.rewritten(settings.origin), root).url_key if settings.origin else str(root)
    except UsageError:
        return str(root)


def repository_key(repo: str, env: Mapping[str, str], cwd: Path) -> str:
    """Return the key of the settings of a repository, a URL or a path from `cwd`; "" where nothing is there. Blocks."""
    with suppress(CctermError):
        return find_origin(repo, env, cwd).remote.url_key
    with suppress(CctermError):
        return find_repository(repo, env, cwd).key  # it has no origin
    return ""


def settings_key(task: Task, env: Mapping[str, str]) -> str:
    """Return the key of the settings of a task's repository; "" where its working copy is no longer there."""
    if task.mode is Mode.PIPELINE:
        return task.remote_key or ""
    try:
        return find_repository(task.repo, env, Path("/")).key
    except UsageError:
        return ""


def excludes(repository: Repository, env: Mapping[str, str]) -> bytes:
    """Return the user's ignore rules outside of .gitignore files: the repository's and the global ones."""
    named = ask(repository.root, env, "config", "--get", "--type=path", "core.excludesFile")
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/")) / ".config") / "git" / "ignore"
    files = (Path(named) if named else home, repository.common_dir / "info" / "exclude")
    return b"\n".join(map(_read, files))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""
