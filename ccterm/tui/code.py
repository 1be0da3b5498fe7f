"""Source text in colours, by pygments. A lexer is loaded in a thread, and gives up after a few milliseconds: the text is a stranger's."""

import asyncio
import gc
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from types import FrameType
from typing import NamedTuple, Protocol

SECONDS = 0.03
"""Processor time that one text may take."""
LONGEST_TEXT, LONGEST_LINE = 16 * 1024, 500
"""Characters of a text, and of a line, that are coloured."""
_MOST_LEXERS, _MOST_TEXTS = 200, 200


class CodeStyle(StrEnum):
    """What a piece of source text is; the theme decides on its colour."""

    PLAIN = ""
    KEYWORD = "keyword"
    NAME = "name"
    TYPE = "type"
    STRING = "string"
    NUMBER = "number"
    COMMENT = "comment"


class Piece(NamedTuple):
    """A piece of a line of source text. marked: it is what changed in the line."""

    text: str
    style: CodeStyle = CodeStyle.PLAIN
    marked: bool = False


Pieces = tuple[Piece, ...]


class Lexer(Protocol):
    """A lexer of pygments, which is untyped."""

    def get_tokens_unprocessed(self, text: str) -> Iterable[tuple[int, tuple[str, ...], str]]:
        """Yield position, kind and text of each token; a kind is a tuple of names."""
        ...


_STYLES = {
    "Keyword.Constant": CodeStyle.NUMBER, "Keyword.Type": CodeStyle.TYPE, "Keyword": CodeStyle.KEYWORD, "Operator.Word": CodeStyle.KEYWORD,
    "Name.Builtin.Pseudo": CodeStyle.PLAIN, "Name.Function": CodeStyle.NAME, "Name.Decorator": CodeStyle.NAME, "Name.Tag": CodeStyle.NAME, "Name.Attribute": CodeStyle.NAME,
    "Name.Class": CodeStyle.TYPE, "Name.Builtin": CodeStyle.TYPE, "Name.Exception": CodeStyle.TYPE,
    "Literal.String": CodeStyle.STRING, "Literal.Number": CodeStyle.NUMBER, "Comment.Preproc": CodeStyle.KEYWORD, "Comment": CodeStyle.COMMENT,
    "Generic.Heading": CodeStyle.NAME, "Generic.Subheading": CodeStyle.NAME,
}  # fmt: skip


class Lexers:
    """The lexers that were asked for, by file name or by the name of a language. changed: called when one has been loaded."""

    def __init__(self) -> None:
        self.version = 0
        """Counts what has been loaded: a text that was plain for want of a lexer may have colours now."""
        self._known: dict[str, Lexer | None] = {}
        self._kept: OrderedDict[tuple[str, str], list[Pieces]] = OrderedDict()
        self._loading: set[asyncio.Task[None]] = set()

    def coloured(self, text: str, name: str, changed: Callable[[], None] | None = None) -> list[Pieces]:
        """Return the lines of a source text in colours; plain while the lexer for its file name or language is being loaded."""
        lexer = self._lexer(name, changed) if name and 0 < len(text) <= LONGEST_TEXT else None
        if lexer is None:
            return [(Piece(line),) for line in text.split("\n")]
        found = self._kept.pop((name, text), None) or self._coloured(lexer, text, name)
        self._kept[name, text] = found
        if len(self._kept) > _MOST_TEXTS:
            self._kept.popitem(last=False)
        return found

    def _coloured(self, lexer: Lexer, text: str, name: str) -> list[Pieces]:
        try:
            with time_limit():
                return list(_lines(lexer, text))
        except TimeoutError:
            self._known[name] = None  # it would take as long for the next text
            return [(Piece(line),) for line in text.split("\n")]

    def _lexer(self, name: str, changed: Callable[[], None] | None) -> Lexer | None:
        if name in self._known or threading.current_thread() is not threading.main_thread():
            return self._known.get(name)
        if len(self._known) >= _MOST_LEXERS:
            self._known.clear()
        self._known[name] = None
        task = asyncio.get_running_loop().create_task(self._load(name, changed))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)
        return None

    async def _load(self, name: str, changed: Callable[[], None] | None) -> None:
        self._known[name] = await asyncio.to_thread(_find, name)
        if self._known[name] is not None:
            self.version += 1
            if changed:
                changed()


def _find(name: str) -> Lexer | None:
    """Return the lexer for a file name or a language, ready for use: its first use compiles its patterns."""
    from pygments.lexers import find_lexer_class_by_name, find_lexer_class_for_filename  # type: ignore[import-untyped]  # it has no types
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]  # the same

    try:
        kind = find_lexer_class_for_filename(name) if "." in name or "/" in name else None
        lexer: Lexer = (kind or find_lexer_class_by_name(name))()
    except ClassNotFound:
        return None
    list(lexer.get_tokens_unprocessed("x\n"))
    return lexer


def _lines(lexer: Lexer, text: str) -> Iterator[Pieces]:
    line: list[Piece] = []
    for _, token, value in lexer.get_tokens_unprocessed(text):
        style = style_of(token)
        for number, part in enumerate(value.split("\n")):
            if number:
                yield tuple(line)
                line = []
            if part:
                line.append(Piece(part, style))
    yield tuple(line)


@lru_cache(maxsize=1024)
def style_of(token: tuple[str, ...]) -> CodeStyle:
    """Return the style of a token of pygments: that of the nearest kind that has one."""
    return next((_STYLES[name] for end in range(len(token), 0, -1) if (name := ".".join(token[:end])) in _STYLES), CodeStyle.PLAIN)


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TimeoutError in the block after so much processor time, even from within a regular expression. Main thread only."""
    begin = time.thread_time()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if time.thread_time() - begin >= seconds:  # the timer counts that of other threads, too
            raise TimeoutError

    before, collects = signal.signal(signal.SIGVTALRM, stop), gc.isenabled()
    gc.disable()  # an exception in what a collection calls would be lost
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds / 4)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if collects:
            gc.enable()
