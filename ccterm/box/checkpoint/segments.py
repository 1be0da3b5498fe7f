"""Cuts the files of a checkpoint into pieces, so that only pieces that were not handed out before need to be.

A file is a list of pieces, each a range of a segment: all new pieces of one checkpoint. The host stores segments and joins pieces; it need
not know what is in them.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ccterm.git.git import Git, hash_name

_PACK_HEADER = 12
Piece = tuple[int, int, int]
"""Number of the segment, offset and length in it."""


class Segments:
    """What was handed out so far, and the segment `number` that comes next.

    place: a directory of ours. known: the `memory` of the last checkpoint that went out whole.
    """

    def __init__(self, place: str, number: int, known: Mapping[str, Any]) -> None:
        self._bodies_file, self._number = os.path.join(place, "bodies"), number
        self._known: dict[str, Piece] = {digest: (segment, at, length) for digest, (segment, at, length) in known.get("pieces", {}).items()}
        self._sent: set[str] = set(known.get("sent", []))
        self._bodies: list[Piece] = [(segment, at, length) for segment, at, length in known.get("bodies", [])]
        self._used: dict[str, Piece] = {}
        self._new: list[bytes] = []
        self._length = 0

    @property
    def memory(self) -> Mapping[str, object]:
        """What to remember of it."""
        return {"pieces": self._used, "sent": sorted(self._sent), "bodies": self._bodies}

    @property
    def size(self) -> int:
        """Bytes of all pieces that the files consist of."""
        return sum(length for _, _, length in {*self._used.values(), *self._bodies})

    def blocks(self) -> Iterator[bytes]:
        """Yield the new segment, compressed."""
        packer = zlib.compressobj(1)
        for data in self._new:
            yield packer.compress(data)
        yield packer.flush()

    def file(self, data: bytes, cuts: Sequence[int] = ()) -> list[Piece]:
        """Return the pieces of a file, which is cut at these offsets."""
        return [self._piece(data[begin:end]) for begin, end in pairwise([0, *cuts, len(data)]) if end > begin]

    def bundle(self, git: Git, data: bytes) -> list[Piece]:
        """Return the pieces of a bundle that holds what this one does: its pack is made of those that were sent, and a new one.

        Packs can be joined: an object in one refers to others by their names, or by how far back they are in the same pack.
        """
        header = data[: data.index(b"\n\nPACK") + 2]
        wanted = _objects(git, header)
        fresh = [name for name in wanted if name not in self._sent]
        digest_size = 32 if hash_name(fresh[0] if fresh else next(iter(self._sent))) == "sha256" else 20
        self._append(git, fresh, digest_size)
        count = struct.pack(">4sII", b"PACK", 2, len(self._sent))
        return [self._piece(header + count), *self._bodies, self._piece(self._digest(count, digest_size))]

    def _append(self, git: Git, names: Sequence[str], digest_size: int) -> None:
        if not names:
            return
        pack = git.run("pack-objects", "--stdout", "-q", stdin="".join(f"{name}\n" for name in names).encode())
        body = pack[_PACK_HEADER:-digest_size]
        with open(self._bodies_file, "ab") as file:
            file.truncate(self._bodies_length)  # a checkpoint that did not go out whole may have left something
            file.write(body)
        self._bodies.append(self._add(body))
        self._sent.update(names)

    def _digest(self, header: bytes, size: int) -> bytes:
        digest = hashlib.sha256(header) if size == 32 else hashlib.sha1(header, usedforsecurity=False)
        with open(self._bodies_file, "rb") as file:
            left = self._bodies_length
            while left and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
        return digest.digest()

    def _piece(self, data: bytes) -> Piece:
        key = hashlib.sha256(data).hexdigest()
        if key not in self._used:
            self._used[key] = self._known.get(key) or self._add(data)
        return self._used[key]

    def _add(self, data: bytes) -> Piece:
        at = self._length
        self._new.append(data)
        self._length += len(data)
        return self._number, at, len(data)

    @property
    def _bodies_length(self) -> int:
        return sum(length for _, _, length in self._bodies)


def _objects(git: Git, header: bytes) -> list[str]:
    """Return the names of all objects that a bundle with this header has to hold."""
    lines = [line for line in header.split(b"\n") if line and line[:1] not in b"#@"]
    refs = [line.split(b" ", 1)[0].decode() for line in lines if not line.startswith(b"-")]
    without = [f"^{line[1:].split(b' ', 1)[0].decode()}" for line in lines if line.startswith(b"-")]
    return [line.split(b" ", 1)[0].decode() for line in git.lines("rev-list", "--objects", *refs, *without)]
