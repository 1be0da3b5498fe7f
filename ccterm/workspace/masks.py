"""Where kept work holds a secret: byte spans of its patches, and masked names of its paths.

They are found while the run's secrets are known, and used by everybody who shows the work later. The work itself stays as it is.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from ccterm.output.mask import Masker
from ccterm.output.sanitise import sanitise

_FILE = "masks.json"
_PATCHES = ("work.patch", "side.patch")
_WINDOW = 4 << 20
_OVERLAP = 128 << 10
"""More than the longest secret that is looked for by its shape."""
_LINE_BREAK = re.compile(rb"\n+")


class MaskedSpan(NamedTuple):
    """Bytes of a file that are not shown, and what is shown in their place."""

    begin: int
    end: int
    label: str


def masked_spans(masker: Masker, patch: bytes) -> list[MaskedSpan]:
    """Return what a patch must not show, in order. It is searched a window at a time, so that nothing else of this process waits for long."""
    found = []
    for at in range(0, len(patch), _WINDOW):
        begin = patch.rfind(b"\n", max(at - _OVERLAP, 0), at) + 1 or at
        spans = _spans(masker, patch[begin : at + _WINDOW + _OVERLAP])
        found += [(first + begin, last + begin, label) for first, last, label in spans]
    return list(_within_lines(patch, sorted(found)))


def _spans(masker: Masker, patch: bytes) -> list[tuple[int, int, str]]:
    """Return begin, end and label of secrets: looked for in the bytes, and in the lines without the sign that each begins with."""
    lines = [line + b"\n" for line in patch.split(b"\n")]
    text = b"".join(line[1:] if line[:1] in (b"+", b"-", b" ") else line for line in lines)
    begins = [0, *accumulate(map(len, lines))]
    signs = [0, *accumulate(line[:1] in (b"+", b"-", b" ") for line in lines)]
    starts = [begin - sign for begin, sign in zip(begins, signs, strict=True)]

    def place(at: int) -> int:
        line = bisect_right(starts, at) - 1
        return at - starts[line] + begins[line] + (signs[line + 1] - signs[line] if line + 1 < len(signs) else 0)

    found = list(masker.spans(patch))
    return found + [(place(begin), place(end - 1) + 1, label) for begin, end, label in masker.spans(text)]


def _within_lines(patch: bytes, spans: Iterable[tuple[int, int, str]]) -> Iterator[MaskedSpan]:
    """Cut spans at line breaks and behind the sign of each line, so that a masked patch has the same lines; spans do not overlap."""
    done = 0
    for begin, end, label in spans:
        at = max(begin, done)
        for piece in _LINE_BREAK.finditer(patch, at, max(end, at)):
            if piece.start() > at:
                yield MaskedSpan(at, piece.start(), label)
            at = piece.end() + (1 if piece.end() < end and patch[piece.end() : piece.end() + 1] in (b"+", b"-", b" ") else 0)
        if at < end:
            yield MaskedSpan(at, end, label)
        done = max(done, end)


def painted(patch: bytes, spans: Sequence[MaskedSpan]) -> bytes:
    """Return a patch with labels in place of the spans."""
    pieces, done = list[bytes](), 0
    for begin, end, label in spans:
        pieces += (patch[done:begin], label.encode())
        done = end
    return b"".join([*pieces, patch[done:]])


class Masks(NamedTuple):
    """What was found in one run's work. names: a path as people see it -> the same, masked."""

    spans: dict[str, list[MaskedSpan]]
    names: dict[str, str]

    @classmethod
    def read(cls, directory: Path) -> "Masks | None":
        """Read what was found; None when nobody looked, as in work of earlier versions. Raises nothing."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads((directory / _FILE).read_text("ascii"))
            return cls({name: [MaskedSpan(*span) for span in spans] for name, spans in found["spans"].items()}, dict(found["names"]))
        return None

    def text(self, text: str) -> str:
        """Return a text about the work with its paths masked."""
        for name, masked in self.names.items():
            text = text.replace(sanitise(name), masked)
        return text


def write_masks(directory: Path, masker: Masker, paths: Iterable[str]) -> None:
    """Look for secrets in the patches of the work in `directory`, and in the names of its paths. Raises OSError."""
    patches = {name: (directory / name).read_bytes() for name in _PATCHES if (directory / name).exists()}
    spans = {name: found for name, patch in patches.items() if (found := masked_spans(masker, patch))}
    names = {path: masked for path in paths if (masked := masker.mask(path)) != path}
    (directory / _FILE).write_text(json.dumps({"spans": spans, "names": names}), "ascii")


def shown_patch(path: Path) -> bytes:
    """Return a patch as people may see it. Where nobody looked for secrets, what is shaped like one is masked. Raises OSError."""
    patch, masks = path.read_bytes(), Masks.read(path.parent)
    spans = masked_spans(Masker({}), patch) if masks is None else masks.spans.get(path.name, [])
    return painted(patch, spans)
