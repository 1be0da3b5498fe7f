"""A git patch as files and numbered lines, and as two columns; pure. What an agent wrote is made safe here, before it is shown."""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Literal, NamedTuple, overload

from ccterm.output.sanitise import sanitise
from ccterm.tui.pane.cells import safe

Kind = Literal["hunk", "same", "added", "removed", "note"]
Pair = tuple[int | None, int | None]
"""The indexes of a line before and of the line after that is beside it."""
LARGEST = 32 << 20
"""Bytes of a patch that are read; what follows is only mentioned."""
LONGEST = 10_000
"""Characters of a line that are shown."""
TAB = 4
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")
_KINDS: dict[str, Kind] = {" ": "same", "+": "added", "-": "removed", "": "same"}
_QUOTED = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


class PatchLine(NamedTuple):
    """One line of a patch. old, new: its number in the file before and after, or None."""

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None


class PatchLines(Sequence[PatchLine]):
    """The lines of a file, in columns: an object for each of a hundred thousand would have every collection of garbage take half a second."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.kinds: list[Kind] = []
        self._old, self._new = array("L"), array("L")

    def add(self, kind: Kind, text: str, old: int = 0, new: int = 0) -> None:
        """Append a line; a number of 0 = none."""
        self.kinds.append(kind)
        self.texts.append(text)
        self._old.append(old)
        self._new.append(new)

    def pop(self) -> None:
        """Remove the last line."""
        for column in (self.kinds, self.texts, self._old, self._new):
            column.pop()

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> PatchLine: ...
    @overload
    def __getitem__(self, index: slice) -> list[PatchLine]: ...
    def __getitem__(self, index: int | slice) -> PatchLine | list[PatchLine]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return PatchLine(self.kinds[index], self.texts[index], self._old[index] or None, self._new[index] or None)


@dataclass(eq=False)
class FilePatch:
    """The changes to one file. action: modified, added, deleted or renamed from PATH."""

    path: str
    action: str = "modified"
    lines: PatchLines = field(default_factory=PatchLines)

    @cached_property
    def added(self) -> int:
        """How many lines it adds."""
        return self.lines.kinds.count("added")

    @cached_property
    def removed(self) -> int:
        """How many lines it removes."""
        return self.lines.kinds.count("removed")

    @cached_property
    def pairs(self) -> list[Pair]:
        """Its lines in two columns."""
        return list(side_by_side(self.lines.kinds))

    @cached_property
    def longest(self) -> int:
        """Cells of its longest line, or more where there are wide characters."""
        return max([len(text) if text.isascii() else 2 * len(text) for text in self.lines.texts], default=0)

    @cached_property
    def hunks(self) -> list[int]:
        """The indexes of the lines that begin a hunk."""
        return [index for index, kind in enumerate(self.lines.kinds) if kind == "hunk"]


def parse_patch(patch: bytes) -> list[FilePatch]:
    """Return the files of a patch in git's format, all counted: ten megabytes take half a second, so do it in a thread."""
    files: list[FilePatch] = []
    old = new = 0
    for line in patch[:LARGEST].decode("utf-8", "replace").split("\n"):
        if line.startswith("diff --git "):
            files.append(FilePatch(_path(line.removeprefix("diff --git "), " b/")))
            old = new = 0
        elif files and new + old > 0 and (kind := _KINDS.get(line[:1])) and (line or old):
            files[-1].lines.add(kind, _clean(line[1:]), 0 if kind == "added" else old, 0 if kind == "removed" else new)
            old += kind != "added"
            new += kind != "removed"
        elif files and (hunk := _HUNK.match(line)):
            old, new = int(hunk[1]), int(hunk[2])
            files[-1].lines.add("hunk", _clean(hunk[3]))
        elif files and new + old == 0:
            _head(files[-1], line)
    if files:
        _drop_tail(files[-1])
    if files and len(patch) > LARGEST:
        files[-1].lines.add("note", f"the diff is cut here: {len(patch) - LARGEST:,} bytes more")
    for file in files:
        _ = (file.added, file.removed, file.pairs, file.longest, file.hunks)  # here, as the screen must not wait for them
    return files


def _head(file: FilePatch, line: str) -> None:
    """Apply a line that stands between a file's name and its first hunk."""
    if line.startswith("new file"):
        file.action = "added"
    elif line.startswith("deleted file"):
        file.action = "deleted"
    elif line.startswith("rename from "):
        file.action = f"renamed from {_path(line, 'rename from ')}"
    elif line.startswith(("+++ b/", '+++ "b/')):  # says where the name begins, which the first line does not
        file.path = _path(line, "b/")
    elif line.startswith(("Binary files", "GIT binary patch")):
        file.lines.add("note", "binary")
    elif line.startswith(("old mode", "new mode")):
        file.lines.add("note", line)


def _path(line: str, before: str) -> str:
    """Return the path at the end of a line, after `before`. git quotes the bytes of unusual names."""
    if line.endswith('"') and (quoted := line[:-1].rpartition(' "')[2]):
        raw = _QUOTED.sub(lambda found: _ESCAPES.get(found[1]) or _byte(found[1]), quoted.encode("utf-8", "replace"))
        return _clean(raw.decode("utf-8", "replace").removeprefix("b/"))
    begin = line.find(before) if before == "b/" else line.rfind(before)
    return _clean(line[begin + len(before) :].removesuffix("\t"))


def _byte(escape: bytes) -> bytes:
    return bytes([int(escape, 8) & 0xFF]) if escape.isdigit() else escape


def _drop_tail(file: FilePatch) -> None:
    """Drop the empty line that splitting the text leaves at its end."""
    if file.lines and file.lines.kinds[-1] == "same" and not file.lines.texts[-1]:
        file.lines.pop()


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable() and len(text) <= LONGEST:
        return text
    if len(text) > LONGEST:
        return f"{_clean(text[:LONGEST])} … {len(text) - LONGEST:,} more characters"
    return safe(sanitise(text).expandtabs(TAB))


def side_by_side(kinds: Sequence[Kind]) -> Iterator[Pair]:
    """Yield the indexes of lines of these kinds as pairs of before and after; removed lines are beside those that replaced them."""
    removed: list[int] = []
    added: list[int] = []
    for index, kind in enumerate(kinds):
        if kind == "removed":
            removed.append(index)
        elif kind == "added":
            added.append(index)
        else:
            if removed or added:
                yield from zip_longest(removed, added)
                removed, added = [], []
            yield index, index
    yield from zip_longest(removed, added)
