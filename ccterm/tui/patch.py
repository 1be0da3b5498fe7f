"""A git patch as files and numbered lines, and as two columns; pure. What an agent wrote is sanitised here, before it is shown."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal, NamedTuple

from ccterm.output.sanitise import sanitise

Kind = Literal["hunk", "same", "added", "removed", "note"]
Pair = tuple["PatchLine | None", "PatchLine | None"]
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")
_KINDS: dict[str, Kind] = {" ": "same", "+": "added", "-": "removed", "": "same"}


class PatchLine(NamedTuple):
    """One line of a patch. old, new: its number in the file before and after, or None."""

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None


@dataclass
class FilePatch:
    """The changes to one file. action: modified, added, deleted or renamed from PATH."""

    path: str
    action: str = "modified"
    lines: list[PatchLine] = field(default_factory=list)

    @property
    def added(self) -> int:
        """How many lines it adds."""
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        """How many lines it removes."""
        return sum(line.kind == "removed" for line in self.lines)


def parse_patch(patch: bytes) -> list[FilePatch]:
    """Return the files of a patch in git's format."""
    files: list[FilePatch] = []
    old = new = 0
    for line in patch.decode("utf-8", "replace").split("\n"):
        if line.startswith("diff --git "):
            files.append(FilePatch(_clean(line.rpartition(" b/")[2])))
            old = new = 0
        elif files and (hunk := _HUNK.match(line)):
            old, new = int(hunk[1]), int(hunk[2])
            files[-1].lines.append(PatchLine("hunk", _clean(hunk[3])))
        elif files and new + old > 0:
            if line[:1] in _KINDS and (line or old):
                entry = _numbered(line, old, new)
                files[-1].lines.append(entry)
                old += entry.old is not None
                new += entry.new is not None
        elif files:
            _head(files[-1], line)
    return [_without_tail(file) for file in files]


def _numbered(line: str, old: int, new: int) -> PatchLine:
    kind = _KINDS[line[:1]]
    return PatchLine(kind, _clean(line[1:]), None if kind == "added" else old, None if kind == "removed" else new)


def _head(file: FilePatch, line: str) -> None:
    """Apply a line that stands between a file's name and its first hunk."""
    if line.startswith("new file"):
        file.action = "added"
    elif line.startswith("deleted file"):
        file.action = "deleted"
    elif line.startswith("rename from "):
        file.action = f"renamed from {_clean(line.removeprefix('rename from '))}"
    elif line.startswith(("Binary files", "GIT binary patch")):
        file.lines.append(PatchLine("note", "binary"))
    elif line.startswith(("old mode", "new mode")):
        file.lines.append(PatchLine("note", line))


def _without_tail(file: FilePatch) -> FilePatch:
    """Drop the empty line that splitting the text leaves at its end."""
    if file.lines and file.lines[-1].kind == "same" and not file.lines[-1].text:
        file.lines.pop()
    return file


def _clean(text: str) -> str:
    return sanitise(text).replace("\t", "    ").replace("\n", " ")


def side_by_side(lines: Sequence[PatchLine]) -> Iterator[Pair]:
    """Yield lines as pairs of before and after; removed lines are beside those that replaced them."""
    removed: list[PatchLine] = []
    added: list[PatchLine] = []
    for line in lines:
        if line.kind == "removed":
            removed.append(line)
        elif line.kind == "added":
            added.append(line)
        else:
            yield from zip_longest(removed, added)
            removed, added = [], []
            yield line, line
    yield from zip_longest(removed, added)
