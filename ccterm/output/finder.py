"""Finds many byte strings at once in a text, whole or in pieces, and tells how much of a cut text is final.

A match is a local matter: a needle occurs whole, or at least LEAST consecutive bytes are pieces of one. So the answer does not depend
on how a text was cut, and no more of its end has to be held back than a needle could still continue.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from struct import Struct

WHOLE = 8192
"""Needles longer than this are not searched for in pieces: the index would be too large."""

Range = tuple[int, int, int]
"""Start, rank of the needle, end. Of two with the same start the smaller rank comes first."""


@dataclass(frozen=True)
class Needle:
    """Bytes to search for. pieces: whether to search for pieces of them instead of the whole."""

    data: bytes
    rank: int
    pieces: bool


class Finder:
    """Finds needles. least: how many consecutive bytes make a piece."""

    def __init__(self, needles: Sequence[Needle], *, least: int) -> None:
        self._least = least
        pieces = [needle for needle in needles if needle.pieces and least <= len(needle.data) <= WHOLE]
        whole = [needle for needle in needles if not needle.pieces]
        short = [needle for needle in whole if len(needle.data) < least]
        long = [needle for needle in whole if len(needle.data) >= least]
        shortest = min((len(needle.data) for needle in short), default=least)
        self._layers = [_Layer(*layer) for layer in ((short, [], shortest), (long, pieces, least)) if layer[0] or layer[1]]
        self._heads = frozenset(needle.data[:size] for needle in whole for size in range(1, min(len(needle.data), least)))
        self._near = frozenset(n.data[at : at + size] for n in pieces for size in (1, 2, 3) for at in range(len(n.data) - size + 1))

    def find(self, data: bytes) -> tuple[list[Range], int]:
        """Return where needles occur, in no particular order, and where a long one may begin that the end of the data cuts off."""
        ranges: list[Range] = []
        begun = [layer.find(data, ranges) for layer in self._layers]
        return ranges, min(begun, default=len(data))

    def undecided(self, data: bytes) -> int:
        """Return where something shorter than a piece may begin that the end of the data cuts off."""
        size = len(data)
        first = max(size - self._least + 1, 0)
        at = next((at for at in range(first, size) if data[at:] in self._heads), size)
        near = size
        while near > first and data[near - 1 : near + 2] in self._near:
            near -= 1
        return min(at, near)


class _Layer:
    """Finds needles of at least `shortest` bytes, and pieces of that length."""

    def __init__(self, whole: Sequence[Needle], pieces: Sequence[Needle], shortest: int) -> None:
        self._width = 8 if shortest >= 12 else 4
        self._stride = shortest - self._width + 1
        self._starts: defaultdict[bytes, list[tuple[int, Needle]]] = defaultdict(list)
        self._pieces: dict[bytes, int] = {}
        for needle in whole:
            for at in range(self._stride):
                self._starts[needle.data[at : at + self._width]].append((at, needle))
        for needle in pieces:
            for at in range(len(needle.data) - self._width + 1):
                self._pieces.setdefault(needle.data[at : at + self._width], needle.rank)
        self._prefilter = Prefilter(self._starts.keys() | self._pieces.keys(), width=self._width, stride=self._stride)

    def find(self, data: bytes, ranges: list[Range]) -> int:
        """Add the matches to the ranges; return the first position where a cut needle may begin, as far as the prefilter can tell."""
        hits = self._prefilter.hits(data)
        if not hits:
            return len(data)
        self._find_pieces(data, hits, ranges)
        return self._find_whole(data, hits, ranges)

    def _find_whole(self, data: bytes, hits: Sequence[int], ranges: list[Range]) -> int:
        begun = len(data)
        for position in hits:
            for at, needle in self._starts.get(data[position : position + self._width], ()):
                begin, end = position - at, position - at + len(needle.data)
                if begin < 0:
                    continue
                if data.startswith(needle.data, begin):
                    ranges.append((begin, needle.rank, end))
                elif end > len(data) and needle.data.startswith(data[begin:]):
                    begun = min(begun, begin)
        return begun

    def _find_pieces(self, data: bytes, hits: Sequence[int], ranges: list[Range]) -> None:
        last = -1
        for position in sorted(hits):
            if position <= last or data[position : position + self._width] not in self._pieces:
                continue
            first, last = self._run(data, position)
            ranges += self._ranked(data, first, last - self._stride + 1)

    def _ranked(self, data: bytes, first: int, last: int) -> Iterator[Range]:
        """Yield the pieces that begin between two positions; consecutive pieces of one needle become one range.

        The last gram of a piece tells which needle it belongs to: many tokens begin alike.
        """
        end = self._stride - 1 + self._width
        for rank, group in groupby(range(first, last + 1), lambda at: self._pieces[data[at + self._stride - 1 : at + end]]):
            begins = list(group)
            yield begins[0], rank, begins[-1] + end

    def _run(self, data: bytes, position: int) -> tuple[int, int]:
        """Return the first and the last position of the unbroken run of known grams around a position."""
        first = last = position
        while first > 0 and data[first - 1 : first - 1 + self._width] in self._pieces:
            first -= 1
        while data[last + 1 : last + 1 + self._width] in self._pieces:
            last += 1
        return first, last


BLOCK = 128


class Prefilter:
    """Finds grams of `width` bytes at the positions 0, stride, 2 * stride, …"""

    def __init__(self, grams: Collection[bytes], *, width: int, stride: int) -> None:
        self._grams = frozenset(grams)
        self._width, self._stride = width, stride
        self._step = stride * -(-width // stride)  # a gram may be wider than the stride: then it takes several passes

    def hits(self, data: bytes) -> list[int]:
        """Return the positions of grams, in no particular order."""
        return [position for begin in range(0, self._step, self._stride) for position in self._pass(data, begin)]

    def _pass(self, data: bytes, begin: int) -> Iterator[int]:
        while (count := min((len(data) - begin - self._width) // self._step + 1, BLOCK)) > 0:
            seen = _layout(self._width, self._step, count).unpack_from(data, begin)
            if not self._grams.isdisjoint(seen):
                yield from (begin + number * self._step for number, gram in enumerate(seen) if gram in self._grams)
            begin += count * self._step


@lru_cache(maxsize=4 * BLOCK)
def _layout(width: int, step: int, count: int) -> Struct:
    """Return the layout of `count` grams, each `step` bytes after the previous one."""
    gram = f"{width}s"
    return Struct(f"{gram}{step - width}x" * (count - 1) + gram)
