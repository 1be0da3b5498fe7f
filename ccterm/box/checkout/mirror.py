"""A bare mirror of one remote, kept between runs, so that the second clone of a big repository is only local copying."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence

from ccterm.git.errors import fault_of
from ccterm.git.git import Git, GitError, hash_name, init
from ccterm.git.remote import Remote

_AS_THEY_ARE = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
AS_REMOTE = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
_MANY_PACKS = 60
_CONFIGS = {
    "sha1": b"[core]\n\trepositoryFormatVersion = 0\n\tbare = true\n",
    "sha256": b"[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n",
}
"""The whole configuration of a mirror, by the hash that names its objects."""
_NEEDED = {"HEAD", "config", "objects", "refs"}
_LONGEST_CONFIG = 4096
_USUAL = _NEEDED | {"packed-refs", "shallow", "FETCH_HEAD"}


class Mirror:
    """The mirror in one directory, which several boxes may use at once. Only repacking ever removes anything from it."""

    def __init__(self, directory: str, remote: Remote) -> None:
        self._directory, self._remote = directory, remote
        self._path = os.path.join(directory, "mirror.git")

    @contextlib.contextmanager
    def holding(self, base: str, newest: str | None = None) -> Iterator[tuple[Git, bool]]:
        """Yield the mirror with `base` in it, and whether that took a fetch. The lock is held for init and fetch only. Raises GitError.

        newest: another commit that the remote has; a mirror without it is out of date.
        """
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        with self._lock():
            fetched = self._bring(base, newest)
        yield Git(self._path), fetched

    def forget(self) -> None:
        """Remove the mirror: its content turned out to be broken."""
        with self._lock():
            self._remove()

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with open(os.path.join(self._directory, "lock"), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _bring(self, base: str, newest: str | None) -> bool:
        git = Git(self._path)
        if (made := self._as_made()) and holds(git, base) and (newest in (None, base) or holds(git, newest or "")):
            return False
        if not (made and git.succeeds("rev-parse", "--git-dir")):
            self._remove()
            init(self._path, base, "main")
            with open(os.path.join(self._path, "config"), "wb") as file:
                file.write(_CONFIGS[hash_name(base)])
        self._remove_temporary()
        fetch(self._remote, self._path, base, _AS_THEY_ARE)
        self._pack(git)
        return True

    def _as_made(self) -> bool:
        """Whether nothing but us steers git in the mirror: it outlives the run, and on this machine an agent could have written to it."""
        try:
            names = {name for name in os.listdir(self._path) if not name.endswith(".lock")}
            with open(os.path.join(self._path, "config"), "rb") as file:
                configured = file.read(_LONGEST_CONFIG)
        except OSError:
            return False
        alternates = os.path.join(self._path, "objects", "info", "alternates")
        return _NEEDED <= names <= _USUAL and configured in _CONFIGS.values() and not os.path.lexists(alternates)

    def _remove(self) -> None:
        if os.path.lexists(self._path):
            aside = f"{self._path}.broken-{os.getpid()}"
            os.rename(self._path, aside)
            shutil.rmtree(aside, ignore_errors=True)

    def _remove_temporary(self) -> None:
        """Remove what a killed fetch left behind: we hold the lock, so nobody is using it."""
        for parent, _, names in os.walk(self._path):
            for name in names:
                if name.startswith("tmp_") or (name.endswith(".lock") and parent != self._directory):
                    os.unlink(os.path.join(parent, name))

    def _pack(self, git: Git) -> None:
        packs = [name for name in os.listdir(os.path.join(self._path, "objects", "pack")) if name.endswith(".pack")]
        if len(packs) > _MANY_PACKS:
            git.run("repack", "-a", "-d", "-q", "-n")


def fetch(remote: Remote, directory: str, base: str, refs: Sequence[str] = AS_REMOTE) -> None:
    """Fetch branches and tags, and `base` itself if it is on none of them. Raises GitError(moved) when the remote does not have it."""
    git = remote.git(directory)
    git.run("-c", "core.fsync=committed", "fetch", "--quiet", "--prune", "--no-auto-gc", "--", remote.url, *refs)
    if not holds(git, base):
        _, _, stderr = git.answer("fetch", "--quiet", "--no-tags", "--no-auto-gc", "--", remote.url, base)
        if not holds(git, base):
            raise not_given(base, stderr)


def not_given(base: str, stderr: str) -> GitError:
    """Return the error of a fetch that did not bring `base`."""
    fault = fault_of(stderr, "")
    if fault.reason in ("auth", "network", "disk"):
        return GitError(fault.reason, fault.detail, stderr)
    return GitError("moved", f"the remote does not give out commit {base}", stderr)


def holds(git: Git, sha: str) -> bool:
    """Return whether a repository has a commit."""
    return git.succeeds("cat-file", "-e", f"{sha}^{{commit}}")


_FILLS = 64
"""Most rounds of asking for missing objects; each brings at least one more level of the tree."""


def fetch_narrow(remote: Remote, clean: str, base: str, ref: str | None, *, depth: int | None, filter_spec: str | None) -> list[str]:
    """Fetch `base` into an empty git directory and return notes. Raises GitError."""
    git = remote.git(clean)
    options = [f"--depth={depth}"] if depth else []
    if filter_spec is None:
        _fetch(git, base, ref, remote.url, options)
        return []
    promisor = {"remote.origin.url": remote.url, "remote.origin.promisor": "true", "remote.origin.partialCloneFilter": filter_spec}
    git = Git(clean, env=remote.environment(promisor) | {"GIT_NO_LAZY_FETCH": "0"})  # by environment: the directory keeps none of it
    stderr = _fetch(git, base, ref, "origin", [*options, f"--filter={filter_spec}"])
    _fill(git, base)
    return ["the remote does not filter; everything was fetched"] if "filtering not recognized" in stderr else []


def _fetch(git: Git, base: str, ref: str | None, source: str, options: list[str]) -> str:
    stderr = ""
    for wanted in (base, ref):  # a server may refuse to give out a commit by its name
        if wanted is not None:
            _, _, stderr = git.answer("fetch", "--quiet", "--no-tags", *options, "--", source, wanted)
            if holds(git, base):
                return stderr
    raise not_given(base, stderr)


def _fill(git: Git, base: str) -> None:
    """Fetch every object of the base's tree that the filter left out."""
    plain = ("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--recurse-submodules=no", "--filter=blob:none")
    for _ in range(_FILLS):
        listing = git.lines("rev-list", "--objects", "--no-walk", "--missing=print", base)
        if not (missing := [line[1:] for line in listing if line.startswith(b"?")]):
            return
        git.run(*plain, "--stdin", "origin", stdin=b"\n".join(missing) + b"\n")
    raise GitError("git", "the remote's partial history cannot be filled")
