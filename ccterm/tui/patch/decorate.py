"""Lines of a patch in colours: syntax, and which words of a line have changed. Made for a few lines at a time, when they are visible."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

from ccterm.tui.code import LONGEST_LINE, CodeStyle, Lexers, Piece, Pieces, time_limit
from ccterm.tui.patch.parse import FilePatch, Kind

BLOCK = 60
"""Lines that are decorated together."""
MOST_WORDS = 150
ALIKE = 0.4
"""Share of words that two lines must have in common for their differences to be marked; else one simply replaces the other."""
Marks = list[tuple[int, int]]
_WORD = re.compile(r"\w+|\s+|.")


def block_of(file: FilePatch, index: int) -> range:
    """Return the lines that are decorated together with one, which is no hunk's heading: a part of its hunk."""
    number = bisect_right(file.hunks, index)
    start = file.hunks[number - 1] + 1 if number else 0
    end = file.hunks[number] if number < len(file.hunks) else len(file.lines)
    begin = start + (index - start) // BLOCK * BLOCK
    return range(begin, min(begin + BLOCK, end))


def decorate(file: FilePatch, block: range, lexers: Lexers, changed: Callable[[], None] | None = None) -> dict[int, Pieces]:
    """Return lines of a file as coloured pieces, by their index; those without an entry are plain. changed: see `Lexers`."""
    name = file.path.rpartition("/")[2]
    new = _coloured(file, [index for index in block if file.lines.kinds[index] in ("same", "added")], name, lexers, changed)
    gone = [index for index in block if file.lines.kinds[index] in ("same", "removed")]
    old = _coloured(file, gone, name, lexers, changed) if any(file.lines.kinds[index] == "removed" for index in gone) else {}
    pieces = {**old, **new}
    for index, marks in _marks(file, block).items():
        pieces[index] = tuple(_marked(pieces.get(index) or (Piece(file.lines.texts[index]),), marks))
    return pieces


def _coloured(file: FilePatch, indexes: Sequence[int], name: str, lexers: Lexers, changed: Callable[[], None] | None) -> dict[int, Pieces]:
    texts = [text if len(text := file.lines.texts[index]) <= LONGEST_LINE else "" for index in indexes]
    found = dict(zip(indexes, lexers.coloured("\n".join(texts), name, changed), strict=False))
    return {index: pieces for index, pieces in found.items() if "".join(piece.text for piece in pieces) == file.lines.texts[index]}


def _marks(file: FilePatch, block: range) -> dict[int, Marks]:
    """Return the characters of lines that differ from the line beside them."""
    found: dict[int, Marks] = {}
    try:
        with time_limit():
            for before, after in _replaced(file.lines.kinds, block):
                found[before], found[after] = changed_words(file.lines.texts[before], file.lines.texts[after])
    except TimeoutError:
        pass  # the lines that were reached have their marks
    return {index: marks for index, marks in found.items() if marks}


def _replaced(kinds: Sequence[Kind], block: range) -> Iterator[tuple[int, int]]:
    """Yield the indexes of removed lines with those of the lines that replaced them."""
    removed: list[int] = []
    for index in block:
        match kinds[index]:
            case "removed":
                removed.append(index)
            case "added" if removed:
                yield removed.pop(0), index
            case "same" | "hunk":
                removed.clear()


def changed_words(before: str, after: str) -> tuple[Marks, Marks]:
    """Return which characters of two lines differ, by words; nothing when the lines have little in common."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(before), len(after)) > LONGEST_LINE or max(len(old), len(new)) > MOST_WORDS:
        return [], []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if not any(word.strip() for word in old) or matcher.ratio() < ALIKE:
        return [], []
    changes = [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]
    return _spans(old, [(i, j) for i, j, _, _ in changes]), _spans(new, [(i, j) for _, _, i, j in changes])


def _spans(words: Sequence[str], ranges: Sequence[tuple[int, int]]) -> Marks:
    ends = [0]
    for word in words:
        ends.append(ends[-1] + len(word))
    found: Marks = []
    for begin, end in ranges:
        if begin == end:
            continue
        if found and not "".join(words)[found[-1][1] : ends[begin]].strip():  # only a space apart
            found[-1] = (found[-1][0], ends[end])
        else:
            found.append((ends[begin], ends[end]))
    return found


def _marked(pieces: Pieces, marks: Marks) -> Iterator[Piece]:
    """Yield the pieces, cut where a mark begins and ends."""
    at = 0
    for text, style, _ in pieces:
        done, end = 0, len(text)
        for begin, stop in marks:
            low, high = max(begin - at, done), min(stop - at, end)
            if low < high:
                if done < low:
                    yield Piece(text[done:low], style)
                yield Piece(text[low:high], style, marked=True)
                done = high
        if done < end:
            yield Piece(text[done:], style)
        at += end


def sliced(pieces: Pieces, begin: int, end: int) -> list[tuple[str, CodeStyle, bool]]:
    """Return the part of a line between two characters."""
    found, at = [], 0
    for text, style, marked in pieces:
        if at < end and at + len(text) > begin:
            found.append((text[max(0, begin - at) : end - at], style, marked))
        at += len(text)
    return found
