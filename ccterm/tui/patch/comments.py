"""Comments on lines of a diff: collected while reading, and sent to the agent together when its run goes on."""

from collections.abc import Iterable, Sequence

from ccterm.tui.patch.parse import FilePatch, PatchLine
from ccterm.values import Value

_SIGNS = {"added": "+", "removed": "-"}


class Comment(Value):
    """A comment on a line. line: its number after the change, or before it if `removed`; None = on the file as a whole."""

    path: str
    line: int | None
    removed: bool = False
    quoted: str = ""
    """The line as the diff shows it, with its sign."""
    text: str

    @property
    def where(self) -> str:
        """The line in words: shop/login.py:12."""
        return self.path if self.line is None else f"{self.path}:{self.line}{' (before)' if self.removed else ''}"

    def is_on(self, path: str, line: PatchLine | None) -> bool:
        """Whether it is on this line."""
        number, removed = number_of(line)
        return (self.path, self.line, self.removed) == (path, number, removed)


Comments = tuple[Comment, ...]


def number_of(line: PatchLine | None) -> tuple[int | None, bool]:
    """Return a line's number, and whether that is the one before the change."""
    if line is None or line.kind in ("hunk", "note"):
        return None, False
    return (line.old, True) if line.kind == "removed" else (line.new, False)


def commented(comments: Iterable[Comment], file: FilePatch, line: PatchLine | None, text: str) -> Comments:
    """Return the comments with this one on a line, in place of an earlier one; without it when the text is empty. In the order of lines."""
    kept = [comment for comment in comments if not comment.is_on(file.path, line)]
    if text:
        number, removed = number_of(line)
        quoted = f"{_SIGNS.get(line.kind, ' ')}{line.text}" if line and number is not None else ""
        kept.append(Comment(path=file.path, line=number, removed=removed, quoted=quoted, text=text))
    return tuple(sorted(kept, key=lambda comment: (comment.path, comment.line or 0)))


def with_comments(text: str, comments: Sequence[Comment]) -> str:
    """Return what is said to the agent: a text, then each comment below the line it is on."""
    parts = [text, *(f"{comment.where}\n" + (f"> {comment.quoted}\n" if comment.quoted else "") + comment.text for comment in comments)]
    return "\n\n".join(parts)
