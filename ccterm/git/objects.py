"""Git's objects as bytes: their names, their contents as git prints them, and loose objects as files."""

import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from ccterm.git.git import Git, GitError, hash_name
from ccterm.git.rooted import Root

if TYPE_CHECKING:
    import hashlib

_BLOCK = 1 << 20


def blob_digest(algorithm: str, size: int) -> "hashlib._Hash":
    """Return the hash that names a blob of `size` bytes, still to be fed its content. algorithm: see `hash_name`."""
    import hashlib  # deferred: it loads OpenSSL, and push hashes nothing

    return hashlib.new(algorithm, b"blob %d\0" % size)


def blob_name(algorithm: str, content: bytes) -> str:
    """Return the object name of a blob."""
    digest = blob_digest(algorithm, len(content))
    digest.update(content)
    return digest.hexdigest()


def file_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what is left of a file in blocks that fit into memory."""
    while block := file.read(_BLOCK):
        yield block


def read_blobs(git: Git, names: Sequence[str]) -> Iterator[bytes]:
    """Yield the contents of objects in the order of their names. Raises GitError when git lacks one."""
    answer = git.run("cat-file", "--batch", stdin=_listed(names)) if names else b""
    at = 0
    for name in names:
        end = answer.index(b"\n", at)
        _, _, size = answer[at:end].rpartition(b" ")
        if not size.isdigit():
            raise GitError("git", f"object {name} is missing")
        at = end + int(size) + 2
        yield answer[end + 1 : at - 1]


def blob_sizes(git: Git, names: Iterable[str]) -> dict[str, int]:
    """Return object name -> size in bytes; an object that git lacks, such as a submodule's commit, is left out."""
    listing = git.lines("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=_listed(names))
    pairs = (line.split(b" ") for line in listing)
    return {sha.decode(): int(size) for sha, size in pairs if size.isdigit()}


def _listed(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def write_loose_blob(objects: str, name: str, content: bytes) -> None:
    """Write a blob as a loose object below the directory `objects`. Raises OSError."""
    directory = os.path.join(objects, name[:2])
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name[2:]), "wb") as file:
        file.write(zlib.compress(b"blob %d\0%s" % (len(content), content), 1))


def loose_path(git_directory: bytes, name: str) -> bytes:
    """Return where a loose object of a git directory is."""
    return b"%s/objects/%s/%s" % (git_directory, name[:2].encode(), name[2:].encode())


def copy_loose(root: Root, path: bytes, to: str, name: str, limit: int) -> int:
    """Copy a loose object out of a git directory, which is data here, if its content bears its name; return its size unpacked.

    Raises OverflowError when it unpacks to more than `limit` bytes, ValueError when it is not what its name says, OSError and zlib.error.
    """
    import hashlib  # deferred, as above

    digest, unpacking, size = hashlib.new(hash_name(name)), zlib.decompressobj(), 0
    with os.fdopen(root.open(path), "rb") as source, open(to, "wb") as target:
        for block in file_blocks(source):
            target.write(block)
            while unpacked := unpacking.decompress(block, _BLOCK):
                digest.update(unpacked)
                if (size := size + len(unpacked)) > limit:
                    raise OverflowError
                block = unpacking.unconsumed_tail
    if not unpacking.eof or digest.hexdigest() != name:
        raise ValueError(f"object {name} is damaged")
    return size


def read_loose(root: Root, git_directory: bytes, name: str, limit: int) -> tuple[str, bytes]:
    """Return type and content of a loose object in a git directory, which is data here. Raises OSError, ValueError and zlib.error.

    limit: bytes that are read and unpacked at most.
    """
    unpacked = zlib.decompressobj().decompress(root.read(loose_path(git_directory, name), limit), limit)
    header, separator, content = unpacked.partition(b"\0")
    if not separator:
        raise ValueError(f"object {name} has no header")
    return header.partition(b" ")[0].decode("ascii", "replace"), content


_PARTIAL = '[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n'


def _listed_packs(objects: str) -> list[str]:
    try:
        return os.listdir(os.path.join(objects, "pack"))
    except OSError:
        return []


def borrow_objects(git: Git, directory: str) -> None:
    """Let a repository look objects up in another git directory. A relative path in the file: the variable for it is split at colons."""
    assert git.directory
    own, other = os.path.join(git.directory, "objects"), os.path.join(directory, "objects")
    with open(os.path.join(own, "info", "alternates"), "w", encoding="utf-8") as file:
        file.write(f"{os.path.relpath(other, own)}\n")
    if any(name.endswith(".promisor") for name in _listed_packs(other)):  # a partial clone, of which git must miss nothing
        with open(os.path.join(git.directory, "config"), "a", encoding="ascii") as file:
            file.write(_PARTIAL)
    if os.path.exists(shallow := os.path.join(directory, "shallow")):
        shutil.copyfile(shallow, os.path.join(git.directory, "shallow"))
