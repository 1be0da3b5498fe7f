"""The working copy as it is when a run begins: a bare repository of its history with one commit T0 on top that holds every byte of it.

T0's blobs are the raw bytes, whatever .gitattributes say. So the repository turns all conversions off for everything that uses it.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ccterm.git.git import SNAPSHOT_REF, Git, GitError
from ccterm.git.names import shown
from ccterm.git.rooted import Root
from ccterm.git.tree import GITLINK, TreeEntry, read_tree
from ccterm.state_dir import StateDir, private_directory
from ccterm.workspace.logins import refuse_logins
from ccterm.workspace.repository import Repository, excludes, working_copy_lock
from ccterm.workspace.snapshot.history import History
from ccterm.workspace.snapshot.listing import Listing, list_included, list_paths
from ccterm.workspace.snapshot.manifest import ManifestRow, read_manifest, write_manifest
from ccterm.workspace.snapshot.reading import Reading, snapshot_error, too_large

RAW = "* -text -filter -ident -working-tree-encoding -eol\n"
_MESSAGE = "The working copy as the run found it\n\nMade by ccterm from tracked files and those that are not ignored.\n"


@dataclass(frozen=True)
class Snapshot:
    """What a run begins from. base: T0, or HEAD itself when nothing differs from it."""

    directory: Path
    base: str
    branch: str
    files: int
    notes: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    """Ignored files that come along outside of the commit."""

    @property
    def clean(self) -> Path:
        """The bare repository."""
        return self.directory / "clean.git"

    @property
    def manifest(self) -> Path:
        """What every path held."""
        return self.directory / "manifest.json"

    @property
    def include(self) -> Path | None:
        """A directory with the ignored files that come along, or None."""
        return self.directory / "include" if self.included else None


def take(
    repository: Repository,
    state: StateDir,
    to: Path,
    *,
    env: Mapping[str, str],
    include: Sequence[str] = (),
    max_file: int = 50 << 20,
    allowed: Callable[[str], bool] = lambda _: False,
) -> Snapshot:
    """Take a snapshot into the directory `to`, which must not exist yet. allowed: whether a file may come along although it holds a login.

    Raises StepError(checkout) with one sentence, and UsageError.
    """
    with working_copy_lock(state, repository.root):
        repository.require_rest()
        try:
            return _Taking(repository, state, private_directory(to), env, max_file, allowed).run(include)
        except GitError as error:
            fix = "" if error.reason == "pattern" else "git fsck in it may say more"
            raise snapshot_error(f"the snapshot of {repository.root} failed: {error.detail}", fix) from error
        except OSError as error:
            name = error.filename if isinstance(error.filename, str) else str(repository.root)
            raise snapshot_error(f"the snapshot of {repository.root} failed: {name}: {error.strerror or error}") from error


@dataclass
class _Taking:
    """One snapshot in progress."""

    repository: Repository
    state: StateDir
    to: Path
    env: Mapping[str, str]
    max_file: int
    allowed: Callable[[str], bool]
    notes: list[str] = field(default_factory=list)

    def run(self, include: Sequence[str]) -> Snapshot:
        head, store = self.repository.head, private_directory(self.state.snapshots / self.repository.id)
        storage, history = self.state.storage, History(store / "history", self.repository, self.state.storage)
        history.bring()
        git = storage.bulk(self.to, lambda: history.clone(self.to / "clean.git"))
        self._configure(git)
        cache = store / "manifest.json"
        with ThreadPoolExecutor(2) as pool:  # two processes of git while we read the manifest
            asked = pool.submit(list_paths, self.repository.git, str(self.to / "clean.git" / "info" / "exclude"))
            known = read_manifest(cache)
            answer = None if known.commit == head else pool.submit(read_tree, git, head)
            listing, committed = asked.result(), answer.result() if answer else {}
        listing.leave_out(self.repository.root, self.state.path)
        with Root(self.repository.root) as root:
            refuse_logins(root, listing.fresh, self.allowed)
            have = frozenset(entry.sha for entry in committed.values()) if answer else frozenset(row.git for row in known.rows.values())
            reading = Reading(root, git, known.rows, self.max_file, head)
            rows = reading.read(listing.paths, have, listing.fresh)
            included = list_included(self.repository.git, include, listing)
            for path in included:
                self._include(root, path)
        same = answer is None and rows == known.rows and not listing.submodules
        base = head if same else storage.bulk(self.to, lambda: self._commit(git, rows, listing, committed or read_tree(git, head)))
        git.run("update-ref", f"refs/heads/{self.repository.branch}", base)
        if base != head:
            git.run("update-ref", SNAPSHOT_REF, base)
        clean = head if base == head else ""
        if rows != known.rows or clean != known.commit:
            write_manifest(cache, rows, clean, storage)
        os.link(cache, self.to / "manifest.json")  # the cache is only ever replaced, so this file never changes
        if history.partial:
            self.notes.append("the repository is a partial clone: the agent has its files, and of their history what had been fetched")
        if reading.pointers:
            self.notes.append(f"too large for a snapshot, so that the agent has only their LFS pointers: {_some(reading.pointers)}")
        self._note(listing, included)
        names = tuple(shown(path) for path in included)
        return Snapshot(self.to, base, self.repository.branch, len(rows), tuple(self.notes), names)

    def _configure(self, git: Git) -> None:
        """Turn conversions off and the user's own ignore rules on, for every git that uses this repository."""
        assert git.directory
        info = Path(git.directory) / "info"
        info.mkdir(exist_ok=True)
        (info / "attributes").write_text(RAW, "ascii")
        (info / "exclude").write_bytes(excludes(self.repository, self.env) + b"\n")

    def _commit(self, git: Git, rows: Mapping[bytes, ManifestRow], listing: Listing, committed: Mapping[bytes, TreeEntry]) -> str:
        entries = {path: TreeEntry(row.git_mode, row.git) for path, row in rows.items()}
        entries |= {path: committed.get(path, TreeEntry(GITLINK, sha)) for path, sha in listing.submodules.items()}
        head = self.repository.head
        return head if entries == committed else _commit_on(git, head, entries, committed)

    def _include(self, root: Root, path: bytes) -> None:
        found = root.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return
        if found.st_size > self.max_file:
            raise too_large(path, found.st_size, self.max_file, "leave it out of include")
        target = self.to / "include" / os.fsdecode(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(root.open(path), "rb") as source:
            target.write_bytes(source.read())
        target.chmod(stat.S_IMODE(found.st_mode) & 0o700)

    def _note(self, listing: Listing, included: Sequence[bytes]) -> None:
        if listing.nested:
            self.notes.append(f"not in the snapshot, because they are repositories of their own: {_some(listing.nested)}")
        if listing.submodules:
            self.notes.append(f"submodules are empty in the snapshot: {_some(list(listing.submodules))}")
        if included:
            self.notes.append(f"ignored files that the agent gets and can read: {_some(included)}")


def _commit_on(git: Git, head: str, entries: Mapping[bytes, TreeEntry], committed: Mapping[bytes, TreeEntry]) -> str:
    """Make a commit of all entries on top of `head`; git is given what differs."""
    assert git.directory
    index = Path(git.directory) / "snapshot-index"
    git = git.with_env({"GIT_INDEX_FILE": str(index)})
    git.run("read-tree", head)
    gone = [b"0 %s\t%s\0" % (b"0" * len(head), path) for path in committed if path not in entries]
    other = [b"%o %s\t%s\0" % (entry.mode, entry.sha.encode(), path) for path, entry in entries.items() if committed.get(path) != entry]
    git.run("update-index", "-z", "--add", "--replace", "--index-info", stdin=b"".join(gone + other))
    tree = git.text("write-tree")
    index.unlink()
    return git.text("commit-tree", tree, "-p", head, "-F", "-", stdin=_MESSAGE.encode())


def _some(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(shown(path) for path in paths[:5]) + more
