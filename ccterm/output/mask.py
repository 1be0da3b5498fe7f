"""Replaces secrets in texts: the registered values in all their forms, and whatever looks like a token or a key.

Promised: no registered value, nor a known encoding of one, gets through, however the text is cut. Not promised: anything against an
agent that hides one on purpose (it may reverse it or spell it out). Works in UTF-8 throughout; all positions are byte offsets.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from ccterm.output import secret_shapes
from ccterm.output.finder import Finder, Needle, Range
from ccterm.output.forms import Form, forms_of, wide_forms

PIECE = 16
"""This many consecutive bytes of an opaque token, or of an encoded secret, are masked as if they were the whole."""
PROOF = 32
"""This many consecutive bytes of an encoded secret prove that it is present."""
_SHAPED = "token"


class Masker:
    """Masks the values of named secrets, and whatever looks like a secret. Immutable; runs and threads may share one."""

    def __init__(self, secrets: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        pairs = sorted(secrets.items() if isinstance(secrets, Mapping) else secrets, key=lambda pair: -len(pair[1]))
        self._pairs = pairs
        self._names = [name for name, _ in pairs]
        self._forms = [forms_of(value) for _, value in pairs]
        self._wide = [Needle(data, rank, pieces=False) for rank, (_, value) in enumerate(pairs) for data in wide_forms(value)]
        self._labels = [f"[masked:{name}]".encode(errors="replace") for name in (*self._names, *self._names, _SHAPED)]
        self._finder = Finder(self._needles(lambda form: form.pieces, lambda _: True), least=PIECE)
        self.skipped = frozenset(name for name, forms in zip(self._names, self._forms, strict=True) if not forms)
        """Names of the secrets that are too short to be masked."""

    def _needles(self, in_pieces: Callable[[Form], bool], wanted: Callable[[Form], bool]) -> list[Needle]:
        """Return what to search for. Ranks: whole forms, those of the longest value first; then pieces in the same order; then shapes."""
        ranked = [(rank, form) for rank, forms in enumerate(self._forms) for form in forms if wanted(form)]
        pieces = [Needle(form.data, len(self._names) + rank, pieces=True) for rank, form in ranked if in_pieces(form)]
        return [Needle(form.data, rank, pieces=False) for rank, form in ranked] + pieces

    def knowing(self, secrets: Iterable[tuple[str, str]]) -> "Masker":
        """Return a masker that knows these as well."""
        return Masker(list(dict.fromkeys([*self._pairs, *secrets])))

    def mask(self, text: str) -> str:
        """Return a text with `[masked:NAME]` in place of each secret; the same object if there was none."""
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
        """Return the names of the registered secrets that a text discloses beyond doubt; single words of a value prove nothing."""
        scan = self.scan()
        scan.feed(_encoded(text))
        return scan.names

    def stream(self) -> "MaskStream":
        """Return a masker for one text that arrives in pieces."""
        return MaskStream(self)

    def scan(self) -> "SecretScan":
        """Return a search for registered secrets in bytes that arrive in pieces."""
        return SecretScan(self._proofs, self.names)

    @cached_property
    def _proofs(self) -> Finder:
        """Finds what proves that a secret is present; a text that was decoded is never in UTF-16, but a file may be."""
        return Finder([*self._needles(lambda form: form.proof == "piece", lambda form: form.proof != "none"), *self._wide], least=PROOF)

    def find(self, data: bytes) -> tuple[list[Range], int]:
        """Return what is to be masked, in order, and where a long registered value may begin that the end of the data cuts off."""
        ranges, begun = self._finder.find(data)
        ranges += [(begin, 2 * len(self._names), end) for begin, end in secret_shapes.shaped(data)]
        return sorted(ranges), begun

    def spans(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield begin, end and label of each part of the data that is to be masked; parts that overlap or touch are one."""
        begin = end = -1
        label = b""
        for at, rank, until in self.find(data)[0]:
            if at > end:
                if end > begin:
                    yield begin, end, label.decode()
                begin, label = at, self._labels[rank]
            end = max(end, until)
        if end > begin:
            yield begin, end, label.decode()

    def undecided(self, data: bytes) -> int:
        """Return where anything else may begin that the end of the data cuts off."""
        return min(self._finder.undecided(data), secret_shapes.undecided(data))

    def names(self, ranges: Iterable[Range]) -> frozenset[str]:
        """Return the names of the registered secrets among the ranges."""
        count = len(self._names)
        return frozenset(self._names[rank % count] for _, rank, _ in ranges if rank < 2 * count)

    def paint(self, data: bytes, ranges: Sequence[Range], upto: int, masked: int) -> tuple[bytes, int]:
        """Return the data up to `upto` with a label in place of each range, and the new `masked`, relative to `upto`.

        Ranges that overlap or touch become one, with the label of the first. masked: where the part of the data ends whose label is
        already written; -1 if the data does not even touch such a part.
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
    """Masks a text that arrives in pieces: its results, joined, equal what `mask` makes of the whole text.

    Holds back what may be the beginning of a secret: never more than the longest form of one, or the longest shape (a key of some 90 KB).
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._masked = -1
        self.names: frozenset[str] = frozenset()
        """The registered secrets that were masked so far."""

    def feed(self, text: str) -> str:
        """Take the next piece; return what is final."""
        data = self._held + _encoded(text)
        ranges, begun = self._masker.find(data)
        return self._release(data, ranges, min(begun, self._masker.undecided(data)))

    def flush(self) -> str:
        """Return the rest: the text has ended."""
        rest = self._release(self._held, self._masker.find(self._held)[0], len(self._held))
        self._masked = -1
        return rest

    def _release(self, data: bytes, ranges: Sequence[Range], upto: int) -> str:
        self.names |= self._masker.names(ranges)
        painted, self._masked = self._masker.paint(data, ranges, upto, self._masked)
        self._held = data[upto:]
        return _decoded(painted)


class SecretScan:
    """Searches for registered secrets in bytes that arrive in pieces, such as the new files of a commit."""

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
