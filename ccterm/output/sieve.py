"""Says quickly where in some bytes one of many grams may stand, by looking at a few places only.

Whoever looks at every `stride`-th place cannot miss a text that has one of the grams at each of `stride` places in a row. The looking is
done by `struct` and `frozenset`: for 300 needles it is a hundred times as fast as one big alternation, and takes no longer for 3,000.
"""

from collections.abc import Collection, Iterator
from functools import lru_cache
from struct import Struct

BLOCK = 128


class Sieve:
    """Finds grams of `width` bytes at the places 0, stride, 2 * stride, …"""

    def __init__(self, grams: Collection[bytes], *, width: int, stride: int) -> None:
        self._grams = frozenset(grams)
        self._width, self._stride = width, stride
        self._step = stride * -(-width // stride)  # a gram may reach over the next place: then it takes several passes

    def hits(self, data: bytes) -> list[int]:
        """Return the places where a gram stands, in no order."""
        return [place for begin in range(0, self._step, self._stride) for place in self._pass(data, begin)]

    def _pass(self, data: bytes, begin: int) -> Iterator[int]:
        while (count := min((len(data) - begin - self._width) // self._step + 1, BLOCK)) > 0:
            seen = _layout(self._width, self._step, count).unpack_from(data, begin)
            if not self._grams.isdisjoint(seen):
                yield from (begin + number * self._step for number, gram in enumerate(seen) if gram in self._grams)
            begin += count * self._step


@lru_cache(maxsize=4 * BLOCK)
def _layout(width: int, step: int, count: int) -> Struct:
    """Return the layout of `count` grams, each `step` behind the one before."""
    gram = f"{width}s"
    return Struct(f"{gram}{step - width}x" * (count - 1) + gram)
