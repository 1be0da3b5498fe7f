"""What lies at a path of a working copy, as a value that can be compared, kept and written again."""

import hashlib
import stat
from enum import StrEnum

from ccterm.models import Value


class Kind(StrEnum):
    """What kind of thing it is."""

    NOTHING = "nothing"
    FILE = "file"
    LINK = "link"
    DIRECTORY = "directory"
    OTHER = "other"
    """A socket, a FIFO, a device: never read, never replaced."""


class Content(Value):
    """What lies at a path."""

    kind: Kind = Kind.NOTHING
    mode: int = 0
    """Permission bits of a file."""
    size: int = 0
    sha256: str = ""
    """Of a file's bytes, or of a link's target."""

    @property
    def executable(self) -> bool:
        """Whether its owner may execute the file."""
        return bool(self.mode & stat.S_IXUSR)

    def same(self, other: "Content") -> bool:
        """Whether both are the same to git: kind, bytes and executability."""
        mine, theirs = (self.kind, self.sha256, self.executable), (other.kind, other.sha256, other.executable)
        return mine == theirs

    @classmethod
    def of(cls, data: bytes, git_mode: int, *, mode: int | None = None) -> "Content":
        """Return what data becomes that git knows with a mode; `mode` says the permission bits when they are known."""
        digest = hashlib.sha256(data).hexdigest()
        if stat.S_ISLNK(git_mode):
            return cls(kind=Kind.LINK, size=len(data), sha256=digest)
        bits = (0o755 if git_mode & stat.S_IXUSR else 0o644) if mode is None else mode
        return cls(kind=Kind.FILE, mode=bits, size=len(data), sha256=digest)


NOTHING = Content()
_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.LINK, stat.S_IFDIR: Kind.DIRECTORY}


def kind_of(mode: int) -> Kind:
    """Return the kind that a mode of lstat speaks of."""
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
