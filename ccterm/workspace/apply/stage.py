"""Where an apply puts new contents, and what they replace: a directory beside the user's files on each file system that it writes to.

Names can be exchanged only within one file system, and a working copy may hold several: a volume that is mounted into a container, say.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ccterm.git.rooted import Root, open_regular
from ccterm.workspace.apply.journal import Journal
from ccterm.workspace.content import Content, FileId, content_at, file_id
from ccterm.workspace.disk import Disk, mount_of


class Stage:
    """One such directory. For the content of change N, `N` is the new one, `N.old` what it replaced,
    `N.link` a name of the file that it is written to in place."""

    def __init__(self, root: Root, path: bytes) -> None:
        self.descriptor = os.dup(root.directory(path))

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)

    def has(self, name: bytes) -> bool:
        """Whether it holds that name."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def id(self, name: bytes) -> FileId:
        """Return which file it holds by that name."""
        return file_id(os.stat(name, dir_fd=self.descriptor, follow_symlinks=False))

    def is_elsewhere(self, name: bytes) -> bool:
        """Whether what it holds by that name has other names, so that it can be removed without loss."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_nlink > 1

    def content(self, name: bytes) -> Content:
        """Return what it holds by that name."""
        return content_at(self.descriptor, name)

    def read(self, name: bytes) -> bytes:
        """Return the bytes of the regular file by that name."""
        with os.fdopen(open_regular(name, self.descriptor), "rb") as file:
            return file.read()


class Stages:
    """The open stages of one journal: directory -> stage, the working copy's own as b""."""

    def __init__(self, stages: Mapping[bytes, Stage]) -> None:
        self._stages = stages

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    def of(self, path: bytes) -> Stage:
        """Return the stage on the file system of a path."""
        return self._stages[top_of(path, self._stages)]


def make_stages(root: Root, disk: Disk, journal: Journal) -> None:
    """Make the stages that are not there. Raises OSError."""
    for path in stage_paths(journal).values():
        if not root.stat(path):
            directory, name = root.parent(path)
            disk.make_directory(name, directory, 0o700)
            root.forget()


def any_stage(root: Root, journal: Journal) -> bool:
    """Whether there is a stage: else nothing was started, or everything was cleared."""
    return any(root.stat(path) for path in stage_paths(journal).values())


@contextmanager
def staged(root: Root, journal: Journal) -> Iterator[Stages]:
    """Open the stages that are there. Raises OSError."""
    stages: dict[bytes, Stage] = {}
    try:
        for top, path in stage_paths(journal).items():
            if root.stat(path):
                stages[top] = Stage(root, path)
        yield Stages(stages)
    finally:
        for stage in stages.values():
            stage.close()


def stage_paths(journal: Journal) -> dict[bytes, bytes]:
    """Return the directories that have a stage -> where it is."""
    name = os.fsencode(journal.stage)
    tops = (b"", *(top.encode("latin-1") for top in journal.mounts))
    return {top: top + b"/" + name if top else name for top in tops}


def top_of(path: bytes, tops: Mapping[bytes, object]) -> bytes:
    """Return which of some directories is the next one above a path; b"" is one of them."""
    above = path
    while above := above.rpartition(b"/")[0]:
        if above in tops:
            return above
    return b""


class Mounts:
    """Finds the file systems that are mounted in a working copy. tops: the directories at which those of the paths asked for begin."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._known: dict[bytes, tuple[int, bytes]] = {b"": (mount_of(root.directory(b"")), b"")}
        self.tops: dict[str, None] = {}

    def look(self, path: bytes) -> None:
        """Look at the directories above a path, as far as they are there. Raises OSError."""
        _, top = self._of(path.rpartition(b"/")[0])
        if top:
            self.tops[top.decode("latin-1")] = None

    def _of(self, directory: bytes) -> tuple[int, bytes]:
        """Return the file system of a directory, and the directory at which it begins."""
        if directory not in self._known:
            mount, top = self._of(directory.rpartition(b"/")[0])
            try:
                here = mount_of(self._root.directory(directory))
            except (FileNotFoundError, NotADirectoryError):
                here = mount  # it will be made
            self._known[directory] = (here, top if here == mount else directory)
        return self._known[directory]
