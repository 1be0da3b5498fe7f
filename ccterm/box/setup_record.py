"""Records what a setup command left in a tree, so that none of it is taken for the agent's work later."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ccterm.git.bounded_json import MANY, read_json
from ccterm.git.git import Git, init
from ccterm.git.objects import file_blocks
from ccterm.git.patterns import Ignored, ignored_by
from ccterm.git.rooted import FileNode, Root

FILE = "setup.json"
_MOST = 1_000_000
_MOST_RECORDED = 200_000
_MOST_IGNORED, _MOST_IGNORED_BYTES = 2_000, 64 << 20
"""How much of what is ignored is read, the upper directories first: an agent may still commit it with `git add -f`."""


class Seen(NamedTuple):
    """What lstat says of a path. Where two of them are equal, nothing was written."""

    mode: int
    size: int
    inode: int
    written: int
    """When content, or mode and place, were last changed, in nanoseconds."""
    moved: int


Level = dict[bytes, Seen]


class TooManyLeft(Exception):
    """There is more of it than can be recorded."""


class LeftFile(NamedTuple):
    """One file or link: its mode as git has it, and the SHA-256 of its bytes or its target."""

    mode: int
    digest: str


class SetupRecord:
    """What setup left: path -> file of everything that it made or touched, and the paths that it removed. note: why it is empty, or ""."""

    def __init__(self, files: dict[bytes, LeftFile], gone: set[bytes], note: str = "") -> None:
        self.files, self.gone, self.note = files, gone, note

    def write(self, directory: str) -> None:
        """Write it into a new directory. Raises OSError."""
        os.mkdir(directory)
        files = {os.fsdecode(path): list(left) for path, left in sorted(self.files.items())}
        with open(os.path.join(directory, FILE), "w", encoding="ascii") as file:
            json.dump({"files": files, "gone": sorted(map(os.fsdecode, self.gone)), "note": self.note}, file)

    @classmethod
    def read(cls, directory: str) -> "SetupRecord":
        """Read it. Raises OSError and ValueError."""
        with open(os.path.join(directory, FILE), "rb") as file:
            found = read_json(file.read(), values=MANY)
        try:
            files = {os.fsencode(path): LeftFile(int(mode), str(digest)) for path, (mode, digest) in found["files"].items()}
            return cls(files, set(map(os.fsencode, found["gone"])), str(found["note"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{FILE} is damaged: {error!r}") from error

    def is_as_left(self, root: Root, path: bytes, node: FileNode) -> bool:
        """Whether a path still is what setup made of it. Raises OSError."""
        left = self.files.get(path)
        return left is not None and left.mode == node.git_mode and left.digest == digest_of(root, path, node)


class Recording:
    """Compares a tree before and after a command. Its git directory is not asked: the command may have written into it."""

    def __init__(self, tree: str) -> None:
        """Look at the tree before the command. Raises OSError."""
        self._tree = tree
        self._files: Level = {}
        self._directories: set[bytes] = set()
        self._note = ""
        with Root(tree, hostile=True) as root:
            self._exclude = _own_excludes(root)
            try:
                for level in _levels(root, lambda _: set()):
                    self._directories |= {path for path, seen in level.items() if stat.S_ISDIR(seen.mode)}
                    self._files |= {path: seen for path, seen in level.items() if not stat.S_ISDIR(seen.mode)}
            except TooManyLeft:
                self._note = f"the tree holds more than {_MOST:,} files"

    def finish(self) -> SetupRecord:
        """Return what the command left. Raises OSError and GitError."""
        if self._note:
            return SetupRecord({}, set(), self._note)
        import tempfile  # deferred: it loads random numbers and hashes, and commit needs only what is kept

        directory = tempfile.mkdtemp(prefix="setup-")
        try:
            git = init(os.path.join(directory, "empty.git"), None, "main")
            assert git.directory
            os.makedirs(os.path.join(git.directory, "info"), exist_ok=True)
            with open(os.path.join(git.directory, "info", "exclude"), "wb") as file:
                file.write(self._exclude)
            return self._compared(ignored_by(Git(git.directory, work_tree=self._tree)))
        except TooManyLeft:
            return SetupRecord({}, set(), f"setup left more than {_MOST_RECORDED:,} files")
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _compared(self, ignored: Ignored) -> SetupRecord:
        files: dict[bytes, LeftFile] = {}
        there, skipped = set[bytes](), list[bytes]()

        def skip(level: Level) -> set[bytes]:
            """Return what is ignored of what was not there before."""
            new = [path for path in level if path not in self._files and path not in self._directories]
            found = ignored(new) if new else set()
            skipped.extend(sorted(found))
            return found

        with Root(self._tree, hostile=True) as root:
            for level in _levels(root, skip):
                for path, seen in level.items():
                    there.add(path)
                    if not stat.S_ISDIR(seen.mode) and self._files.get(path) != seen:
                        _record(root, path, files)
            _record_ignored(root, skipped, files)
        return SetupRecord(files, self._files.keys() - there)


def digest_of(root: Root, path: bytes, node: FileNode) -> str:
    """Return the SHA-256 of a file's bytes, or of a link's target. Raises OSError."""
    if node.is_link:
        return hashlib.sha256(root.link(path)).hexdigest()
    digest = hashlib.sha256()
    with os.fdopen(root.open(path), "rb", buffering=0) as file:
        for block in file_blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _record(root: Root, path: bytes, files: dict[bytes, LeftFile]) -> None:
    with suppress(OSError):
        node = root.node(path)
        if node.git_mode:
            files[path] = LeftFile(node.git_mode, digest_of(root, path, node))
    if len(files) > _MOST_RECORDED:
        raise TooManyLeft


def _record_ignored(root: Root, paths: list[bytes], files: dict[bytes, LeftFile]) -> None:
    """Record what is ignored, as far as it is little."""
    left, number = _MOST_IGNORED_BYTES, 0
    for path in paths:  # grows while it is read: the directories of one depth come before those of the next
        if (number := number + 1) > _MOST_IGNORED:
            return
        with suppress(OSError):
            node = root.node(path)
            if node.is_directory:
                paths += sorted(path + b"/" + name for name in root.list(path) if name != b".git")
            elif (left := left - node.size) >= 0:
                _record(root, path, files)


def _levels(root: Root, skip: Callable[[Level], set[bytes]]) -> Iterator[Level]:
    """Yield what a tree holds, all directories of one depth at a time, without git directories and without what `skip` returns."""
    directories, count = [b""], 0
    while directories:
        level: Level = {}
        for directory in directories:
            with suppress(OSError):
                level |= _listed(root, directory)
        for path in skip(level):
            level.pop(path, None)
        if (count := count + len(level)) > _MOST:
            raise TooManyLeft
        yield level
        directories = sorted(path for path, seen in level.items() if stat.S_ISDIR(seen.mode))


def _listed(root: Root, directory: bytes) -> Level:
    found: Level = {}
    with os.scandir(root.directory(directory)) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if name != b".git":
                at = entry.stat(follow_symlinks=False)
                path = directory + b"/" + name if directory else name
                found[path] = Seen(at.st_mode, at.st_size, at.st_ino, at.st_mtime_ns, at.st_ctime_ns)
    return found


def _own_excludes(root: Root) -> bytes:
    """Return the ignore rules that came along with the checkout beside the tree's .gitignore files."""
    try:
        return root.read(b".git/info/exclude", 1 << 20)
    except OSError:
        return b""
