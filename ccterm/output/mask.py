"""Replaces secrets in texts: the registered values in all their forms, and whatever has the shape of one.

Promised: no registered value, nor an encoding of it, passes, however the text is cut. Not promised: anything against an agent that
means to hide one (it may reverse it, spell it out). Works in UTF-8 from end to end; all positions are of bytes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from ccterm.output import shapes
from ccterm.output.finder import Finder, Needle, Range
from ccterm.output.forms import Form, forms_of

PIECE = 16
"""So many bytes in a row of an opaque token, or of an encoded secret, are masked as if they were all of it."""
PROOF = 32
"""So many bytes in a row of an encoded secret prove that it is there."""
_SHAPED = "token"


class Masker:
    """Masks the values of some named secrets, and what looks like a secret. Immutable; any number of runs and threads may share one."""

    def __init__(self, secrets: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        pairs = sorted(secrets.items() if isinstance(secrets, Mapping) else secrets, key=lambda pair: -len(pair[1]))
        self._names = [name for name, _ in pairs]
        self._forms = [forms_of(value) for _, value in pairs]
        self._labels = [f"[masked:{name}]".encode(errors="replace") for name in (*self._names, *self._names, _SHAPED)]
        self._finder = Finder(self._needles(lambda form: form.pieces, lambda _: True), least=PIECE)
        self.skipped = frozenset(name for name, forms in zip(self._names, self._forms, strict=True) if not forms)
        """Names of the secrets that are too short to be masked."""

    def _needles(self, in_pieces: Callable[[Form], bool], wanted: Callable[[Form], bool]) -> list[Needle]:
        """Return what to look for. Ranks: whole forms, the longest value's first; then pieces in the same order; then shapes."""
        ranked = [(rank, form) for rank, forms in enumerate(self._forms) for form in forms if wanted(form)]
        pieces = [Needle(form.data, len(self._names) + rank, pieces=True) for rank, form in ranked if in_pieces(form)]
        return [Needle(form.data, rank, pieces=False) for rank, form in ranked] + pieces

    def mask(self, text: str) -> str:
        """Return a text with `[masked:NAME]` in the place of each secret; the same object when there was none."""
        return self.masked(text)[0]

    def masked(self, text: str) -> tuple[str, frozenset[str]]:
        """Return a text masked, and the names of the registered secrets that it held."""
        data = _encoded(text)
        ranges, _ = self.find(data)
        if not ranges:
            return text, frozenset()
        painted, _ = self.paint(data, ranges, len(data), -1)
        return _decoded(painted), self.names(ranges)

    def found(self, text: str) -> frozenset[str]:
        """Return the names of the registered secrets that a text gives away beyond doubt; words of a value are no proof."""
        scan = self.scan()
        scan.feed(_encoded(text))
        return scan.names

    def stream(self) -> "MaskStream":
        """Return a masker for one text that comes in pieces."""
        return MaskStream(self)

    def scan(self) -> "Scan":
        """Return a search for registered secrets in bytes that come in pieces."""
        return Scan(self._proofs, self.names)

    @cached_property
    def _proofs(self) -> Finder:
        return Finder(self._needles(lambda form: form.proof == "piece", lambda form: form.proof != "none"), least=PROOF)

    def find(self, data: bytes) -> tuple[list[Range], int]:
        """Return what is to be masked, in order, and from where on a long registered value may be cut by the end of the data."""
        ranges, begun = self._finder.find(data)
        ranges += [(begin, 2 * len(self._names), end) for begin, end in shapes.shaped(data)]
        return sorted(ranges), begun

    def undecided(self, data: bytes) -> int:
        """Return from where on something else may be cut by the end of the data."""
        return min(self._finder.undecided(data), shapes.undecided(data))

    def names(self, ranges: Iterable[Range]) -> frozenset[str]:
        """Return the names of the registered secrets among what was found."""
        count = len(self._names)
        return frozenset(self._names[rank % count] for _, rank, _ in ranges if rank < 2 * count)

    def paint(self, data: bytes, ranges: Sequence[Range], upto: int, masked: int) -> tuple[bytes, int]:
        """Return the data up to a place with a label in the place of each range, and the new `masked`, seen from that place.

        Ranges that overlap or touch become one, with the label of the first. masked: up to where the data is part of what has its label
        already; -1 when not even its beginning touches such.
        """
        pieces: list[bytes] = []
        done = max(masked, 0)
        for begin, rank, end in ranges:
            if begin >= upto:
                break
            if begin > masked:
                pieces += (data[done:begin], self._labels[rank])
            masked = max(masked, end)
            done = masked
        pieces.append(data[done:upto])
        return b"".join(pieces), max(masked - upto, -1)


class MaskStream:
    """Masks a text that comes in pieces: all that it returns, joined, is what `mask` makes of the whole.

    Holds back what may be the beginning of a secret: never more than the longest form of one, or the longest shape (some 90 KB of a key).
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._masked = -1
        self.names: frozenset[str] = frozenset()
        """The registered secrets that were masked so far."""

    def feed(self, text: str) -> str:
        """Take the next piece; return what is certain."""
        data = self._held + _encoded(text)
        ranges, begun = self._masker.find(data)
        return self._let_out(data, ranges, min(begun, self._masker.undecided(data)))

    def flush(self) -> str:
        """Return the rest: the text is over."""
        rest = self._let_out(self._held, self._masker.find(self._held)[0], len(self._held))
        self._masked = -1
        return rest

    def _let_out(self, data: bytes, ranges: Sequence[Range], upto: int) -> str:
        self.names |= self._masker.names(ranges)
        painted, self._masked = self._masker.paint(data, ranges, upto, self._masked)
        self._held = data[upto:]
        return _decoded(painted)


class Scan:
    """Looks for registered secrets in bytes that come in pieces, as a commit's new files do."""

    def __init__(self, finder: Finder, names: Callable[[Iterable[Range]], frozenset[str]]) -> None:
        self._finder = finder
        self._names = names
        self._held = b""
        self.names: frozenset[str] = frozenset()
        """The secrets found so far."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        data = self._held + data
        ranges, begun = self._finder.find(data)
        self.names |= self._names(ranges)
        self._held = data[min(begun, self._finder.undecided(data)) :]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
