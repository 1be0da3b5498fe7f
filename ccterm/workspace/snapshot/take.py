"""The working copy as it is when a run begins: a bare repository of its history with one commit T0 on top that holds every byte of it.

T0's blobs are the raw bytes, whatever .gitattributes say, and so the repository switches all conversions off for whoever uses it.
"""

import hashlib
import os
import stat
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.git.git import Git, GitError, hash_name
from ccterm.git.names import shown
from ccterm.state_dir import StateDir, private_directory
from ccterm.workspace.locks import holding
from ccterm.workspace.repository import Repository, excludes
from ccterm.workspace.rooted import Kind, Root, kind_of
from ccterm.workspace.snapshot.history import History
from ccterm.workspace.snapshot.listing import Listing, list_included, list_paths
from ccterm.workspace.snapshot.manifest import Row, at_rest, mark_of, read_manifest, write_manifest

RAW = "* -text -filter -ident -working-tree-encoding -eol\n"
_MESSAGE = "The working copy as the run found it\n\nMade by ccterm from tracked files and those that are not ignored.\n"
_GITLINK = 0o160000


@dataclass(frozen=True)
class Snapshot:
    """What a run begins from. base: T0, or HEAD itself when nothing differs from it."""

    directory: Path
    base: str
    branch: str
    files: int
    notes: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    """Ignored files that come along beside the commit."""

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
    repository: Repository, state: StateDir, to: Path, *, env: Mapping[str, str], include: Sequence[str] = (), max_file: int = 50 << 20
) -> Snapshot:
    """Take a snapshot into the directory `to`, which must not exist yet. Raises StepError(checkout) with one sentence, and UsageError."""
    with holding(state, repository.root):
        repository.require_rest()
        try:
            return _Taking(repository, state, private_directory(to), env, max_file).run(include)
        except GitError as error:
            raise _fault(f"the snapshot of {repository.root} failed: {error.detail}", "git fsck in it may say more") from error
        except OSError as error:
            name = error.filename if isinstance(error.filename, str) else str(repository.root)
            raise _fault(f"the snapshot of {repository.root} failed: {name}: {error.strerror or error}") from error


def _fault(message: str, fix: str = "") -> StepError:
    return StepError(Cause.CHECKOUT, message, fix, reason="snapshot")


@dataclass
class _Taking:
    """One snapshot under way."""

    repository: Repository
    state: StateDir
    to: Path
    env: Mapping[str, str]
    max_file: int
    notes: list[str] = field(default_factory=list)

    def run(self, include: Sequence[str]) -> Snapshot:
        store = private_directory(self.state.snapshots / self.repository.id)
        history = History(store / "history", self.repository)
        history.bring()
        git = history.clone(self.to / "clean.git")
        self._steer(git)
        cache = store / "manifest.json"
        with ThreadPoolExecutor(2) as pool:  # two gits at work while we read
            asked = pool.submit(list_paths, self.repository.git, str(self.to / "clean.git" / "info" / "exclude"))
            known = read_manifest(cache)
            answer = None if known.commit == self.repository.head else pool.submit(_committed, git, self.repository.head)
            listing, committed = asked.result(), answer.result() if answer else {}
        listing.leave_out(self.repository.root, self.state.path)
        with Root(self.repository.root) as root:
            have = frozenset(sha for _, sha in committed.values()) if answer else frozenset(row.git for row in known.rows.values())
            rows = _Reading(root, git, known.rows, self.max_file, self.repository.head).read(listing.paths, have)
            included = list_included(self.repository.git, include, listing)
            for path in included:
                self._include(root, path)
        same = answer is None and rows == known.rows and not listing.submodules
        base = self.repository.head if same else self._commit(git, rows, listing, committed or _committed(git, self.repository.head))
        git.run("update-ref", f"refs/heads/{self.repository.branch}", base)
        clean = self.repository.head if base == self.repository.head else ""
        if rows != known.rows or clean != known.commit:
            write_manifest(cache, rows, clean)
        os.link(cache, self.to / "manifest.json")  # the cache is only ever replaced, so this stays what it is
        self._note(listing, included)
        names = tuple(shown(path) for path in included)
        return Snapshot(self.to, base, self.repository.branch, len(rows), tuple(self.notes), names)

    def _steer(self, git: Git) -> None:
        """Leave conversions off and the user's own ignore rules on, for every git that uses this repository."""
        assert git.directory
        info = Path(git.directory) / "info"
        info.mkdir(exist_ok=True)
        (info / "attributes").write_text(RAW, "ascii")
        (info / "exclude").write_bytes(excludes(self.repository, self.env) + b"\n")

    def _commit(self, git: Git, rows: Mapping[bytes, Row], listing: Listing, committed: Mapping[bytes, tuple[int, str]]) -> str:
        entries = {path: (row.git_mode, row.git) for path, row in rows.items()}
        entries |= {path: committed.get(path, (_GITLINK, sha)) for path, sha in listing.submodules.items()}
        base = self.repository.head
        if entries != committed:
            base = _commit_on(git, base, entries, committed)
        return base

    def _include(self, root: Root, path: bytes) -> None:
        found = root.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return
        if found.st_size > self.max_file:
            raise _too_large(path, found.st_size, self.max_file, "leave it out of include")
        target = self.to / "include" / os.fsdecode(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(root.open(path), "rb") as source:
            target.write_bytes(source.read())
        target.chmod(stat.S_IMODE(found.st_mode) & 0o700)

    def _note(self, listing: Listing, included: Sequence[bytes]) -> None:
        if listing.nested:
            self.notes.append(f"not in the snapshot, being repositories of their own: {_some(listing.nested)}")
        if listing.submodules:
            self.notes.append(f"submodules are empty in the snapshot: {_some(list(listing.submodules))}")
        if included:
            self.notes.append(f"ignored files that come along, readable for the agent: {_some(included)}")


class _Reading:
    """Reads what is new or changed, and writes into git what git does not have yet."""

    def __init__(self, root: Root, git: Git, known: Mapping[bytes, Row], max_file: int, head: str) -> None:
        self._hash = hash_name(head)
        self._root, self._known, self._max_file = root, known, max_file
        assert git.directory
        self._objects = Path(git.directory) / "objects"
        self._now = time.time_ns()
        self._written: set[str] = set()

    def read(self, paths: Sequence[bytes], have: Collection[str]) -> dict[bytes, Row]:
        """Return path -> row. have: names of the blobs that git has already."""
        rows: dict[bytes, Row] = {}
        for path in paths:
            if (found := self._root.stat(path)) is None:
                continue
            known = self._known.get(path)
            if known and known.mark == mark_of(found) and known.git in have:
                rows[path] = known
            elif (kind := kind_of(found.st_mode)) in (Kind.FILE, Kind.LINK):
                rows[path] = self._row(path, kind, found, have)
        return rows

    def _row(self, path: bytes, kind: Kind, found: os.stat_result, have: Collection[str]) -> Row:
        if kind is Kind.FILE and found.st_size > self._max_file:
            return self._large(path, found, have)
        data, found = self._bytes(path, kind, found)
        name = hashlib.new(self._hash, b"blob %d\0%s" % (len(data), data)).hexdigest()
        if name not in have:
            self._write(name, data)
        return self._as_row(kind, name, hashlib.sha256(data).hexdigest(), len(data), found)

    def _as_row(self, kind: Kind, name: str, digest: str, size: int, found: os.stat_result) -> Row:
        permissions = stat.S_IMODE(found.st_mode) if kind is Kind.FILE else 0
        return Row(str(kind), name, digest, size, permissions, mark_of(found) if at_rest(found, self._now) else None)

    def _bytes(self, path: bytes, kind: Kind, found: os.stat_result) -> tuple[bytes, os.stat_result]:
        """Return what is at a path, and what goes with exactly these bytes."""
        try:
            if kind is Kind.LINK:
                return self._root.link(path), found
            with os.fdopen(self._root.open(path), "rb", buffering=0) as file:
                before = os.fstat(file.fileno())  # of before: when it is written to meanwhile, the mark does not fit any more
                return file.readall()[: self._max_file + 1], before
        except PermissionError as error:
            raise _fault(f"{shown(path)} cannot be read: {error.strerror}", "chmod u+r it, or let .gitignore name it") from error

    def _large(self, path: bytes, found: os.stat_result, have: Collection[str]) -> Row:
        """Return the row of a file above the cap, which must be one that is committed already."""
        digest, ours = hashlib.new(self._hash, b"blob %d\0" % found.st_size), hashlib.sha256()
        with os.fdopen(self._root.open(path), "rb", buffering=0) as file:
            while block := file.read(1 << 20):
                digest.update(block)
                ours.update(block)
        if digest.hexdigest() not in have:
            raise _too_large(path, found.st_size, self._max_file, "let .gitignore name it, or raise policy.max_file_mb")
        return self._as_row(Kind.FILE, digest.hexdigest(), ours.hexdigest(), found.st_size, found)

    def _write(self, name: str, data: bytes) -> None:
        if name in self._written:
            return
        self._written.add(name)
        directory = self._objects / name[:2]
        directory.mkdir(exist_ok=True)
        (directory / name[2:]).write_bytes(zlib.compress(b"blob %d\0%s" % (len(data), data), 1))


def _too_large(path: bytes, size: int, cap: int, fix: str) -> StepError:
    return _fault(f"{shown(path)} is {size / 1e6:.0f} MB, and a snapshot takes files up to {cap / 1e6:.0f} MB", fix)


def _committed(git: Git, commit: str) -> dict[bytes, tuple[int, str]]:
    """Return path -> (mode, name) of a commit."""
    entries: dict[bytes, tuple[int, str]] = {}
    for line in git.fields("ls-tree", "-r", "-z", "--full-tree", commit):
        about, _, path = line.partition(b"\t")
        mode, _, sha = about.split(b" ")
        entries[path] = (int(mode, 8), sha.decode())
    return entries


def _commit_on(git: Git, head: str, entries: Mapping[bytes, tuple[int, str]], committed: Mapping[bytes, tuple[int, str]]) -> str:
    """Make a commit of all entries on top of `head`; git is told what differs."""
    assert git.directory
    index = Path(git.directory) / "snapshot-index"
    git = git.with_env({"GIT_INDEX_FILE": str(index)})
    git.run("read-tree", head)
    gone = [b"0 %s\t%s\0" % (b"0" * len(head), path) for path in committed if path not in entries]
    other = [b"%o %s\t%s\0" % (mode, sha.encode(), path) for path, (mode, sha) in entries.items() if committed.get(path) != (mode, sha)]
    git.run("update-index", "-z", "--add", "--replace", "--index-info", stdin=b"".join(gone + other))
    tree = git.text("write-tree")
    index.unlink()
    return git.text("commit-tree", tree, "-p", head, "-F", "-", stdin=_MESSAGE.encode())


def _some(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(shown(path) for path in paths[:5]) + more
