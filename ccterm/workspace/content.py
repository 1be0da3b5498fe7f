"""What is at a path of a working copy: its kind, its bytes as a hash, and the permission bits of a file."""

import errno
import hashlib
import os
import stat
import sys
from enum import StrEnum

from ccterm.git.objects import file_blocks
from ccterm.git.rooted import Root, is_link_error, open_regular
from ccterm.values import Value


class Kind(StrEnum):
    """What kind of thing it is."""

    NOTHING = "nothing"
    FILE = "file"
    LINK = "link"
    DIRECTORY = "directory"
    OTHER = "other"
    """A socket, a FIFO, a device: never read, never replaced."""


FileId = tuple[int, int]
"""Device and inode: what all names of one file have in common."""
Owner = tuple[int, int]
"""User and group, as numbers."""
_OF_OLD_BYTES = ("security.ima", "security.evm", "security.capability")
"""Attributes that vouch for the bytes of a file."""


class Content(Value):
    """What is at a path."""

    kind: Kind = Kind.NOTHING
    mode: int = 0
    """Permission bits of a file."""
    size: int = 0
    sha256: str = ""
    """Of a file's bytes, or of a link's target."""
    owner: Owner | None = None
    """If known."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Extended attributes of a file, if known: their names, and their values as Latin-1."""

    @property
    def executable(self) -> bool:
        """Whether its owner may execute the file."""
        return bool(self.mode & stat.S_IXUSR)

    @property
    def git_mode(self) -> int:
        """The mode that git gives it; of a file or a link."""
        return 0o120000 if self.kind is Kind.LINK else 0o100755 if self.executable else 0o100644

    def same(self, other: "Content") -> bool:
        """Whether both are the same to git: kind, bytes and executable bit."""
        mine, theirs = (self.kind, self.sha256, self.executable), (other.kind, other.sha256, other.executable)
        return mine == theirs

    @classmethod
    def of(cls, data: bytes, git_mode: int, *, mode: int | None = None) -> "Content":
        """Return the content for data that git has with a mode. mode: the permission bits, if known."""
        digest = hashlib.sha256(data).hexdigest()
        if stat.S_ISLNK(git_mode):
            return cls(kind=Kind.LINK, size=len(data), sha256=digest)
        bits = (0o755 if git_mode & stat.S_IXUSR else 0o644) if mode is None else mode
        return cls(kind=Kind.FILE, mode=bits, size=len(data), sha256=digest)


NOTHING = Content()


def attributes_of(file: int) -> tuple[tuple[str, str], ...]:
    """Return the extended attributes of an open file, except those that vouch for its bytes; none where there is no such thing."""
    if sys.platform != "linux":
        return ()
    try:
        return tuple((name, os.getxattr(file, name).decode("latin-1")) for name in os.listxattr(file) if name not in _OF_OLD_BYTES)
    except OSError:
        return ()


def file_id(found: os.stat_result) -> FileId:
    """Return which file it is."""
    return found.st_dev, found.st_ino


def content_of(root: Root, path: bytes) -> Content:
    """Return what is at a path now. Raises OSError."""
    found = root.stat(path)
    return NOTHING if found is None else content_at(*root.parent(path), found)


def content_at(directory: int, name: bytes, found: os.stat_result | None = None) -> Content:
    """Return what is at a name in a directory; `NOTHING` if nothing is. found: what lstat said of it. Raises OSError."""
    try:
        found = found or os.stat(name, dir_fd=directory, follow_symlinks=False)
        match kind_of(found.st_mode):
            case Kind.LINK:
                return Content.of(os.readlink(name, dir_fd=directory), stat.S_IFLNK)
            case Kind.FILE:
                return _file(directory, name)
            case kind:
                return Content(kind=kind)
    except FileNotFoundError:
        return NOTHING
    except OSError as error:
        if is_link_error(error) or error.errno == errno.ENXIO:  # it was replaced by a link or a special file just now
            return Content(kind=Kind.OTHER)
        raise


def _file(directory: int, name: bytes) -> Content:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_regular(name, directory), "rb", buffering=0) as file:
        for block in file_blocks(file):
            digest.update(block)
            size += len(block)
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    return Content(kind=Kind.FILE, mode=mode, size=size, sha256=digest.hexdigest())


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.LINK, stat.S_IFDIR: Kind.DIRECTORY}


def kind_of(mode: int) -> Kind:
    """Return the kind for a mode of lstat."""
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
