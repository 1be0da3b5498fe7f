"""What an agent says, as Markdown: a line of text stays a line, so that searching and cutting work as with plain text. Pure.

Only what helps reading is shown as such: headings, lists, quotes, rules, tables, emphasis, links, code. Everything costs a few microseconds a line;
code has the colours that its lexer finds (`ccterm.tui.code`), which gives up early.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from ccterm.tui.code import CodeStyle, Pieces
from ccterm.tui.pane.cells import cells
from ccterm.tui.pane.spans import Span, TextLine, TextStyle

Colour = Callable[[str, str], Sequence[Pieces]]
"""Returns the lines of a source text in the colours of a language."""
LONGEST = 2_000
"""Characters of a line that is searched for emphasis, links and code."""
_FENCE = re.compile(r" {0,3}(```+|~~~+) *([\w+#.-]{0,30})")
_HEADING = re.compile(r" {0,3}#{1,6} +(.*?)(?: +#+)?$")
_ITEM = re.compile(r"( *)([-*+])( +)(?=\S)")
_QUOTE = re.compile(r" {0,3}> ?")
_RULE = re.compile(r" {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,})$")
_ROW = re.compile(r" *\|(.*)\| *$")
_DASHES = re.compile(r"[ :|-]+$")
_INDENT = re.compile(r"\s*(?:(?:[-*+•]|\d+[.)])\s+)?")
_INLINE = re.compile(
    r"(?<!`)(?P<tick>`+)(?P<code>[^`]{1,200})(?P=tick)(?!`)"
    r"|(?<![\w*])\*\*(?P<strong>[^*\s](?:[^*]{0,200}[^*\s])?)\*\*(?![\w*])"
    r"|(?<![\w*])\*(?P<star>[^*\s](?:[^*]{0,200}[^*\s])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<line>[^_\s](?:[^_]{0,200}[^_\s])?)_(?![\w_])"
    r"|\[(?P<text>[^\[\]]{1,200})\]\((?P<url>[^()\s]{1,300})\)"
)
_STYLES = {style: TextStyle(f"code-{style}") if style else TextStyle.TEXT for style in CodeStyle}


def open_fence(text: str) -> str | None:
    """Return the language of the code block that a text ends in, "" when it names none; None when it ends outside of one."""
    language, mark = None, ""
    for found in re.finditer(r"^ {0,3}(?:```+|~~~+).*$", text, re.MULTILINE):
        language, mark = _next_fence(found[0], language, mark)
    return language


def _next_fence(line: str, language: str | None, mark: str) -> tuple[str | None, str]:
    """Return in which language a line leaves the text, and the mark that ends the block."""
    found = _FENCE.match(line)
    if found is None:
        return language, mark
    if language is None:
        return found[2], found[1]
    return (None, "") if found[1].startswith(mark) and not found[2] else (language, mark)


def markdown(text_lines: Sequence[str], colour: Colour, *, inside: str | None = None) -> list[TextLine]:
    """Return safe lines of Markdown as lines of a pane, one for each. inside: the language of a code block that the text begins in."""
    found: list[TextLine] = []
    language, mark, number = inside, "", 0
    while number < len(text_lines):
        line = text_lines[number]
        after, mark = _next_fence(line, language, mark)
        if after != language:
            found.append(TextLine((Span(f"  ┄┄ {after}" if after else "  ┄┄", TextStyle.DIM),), single=True))
            language, number = after, number + 1
        elif language is not None:
            end = _end_of_code(text_lines, number, language, mark)
            found += _code(text_lines[number:end], language, colour)
            number = end
        elif _ROW.match(line):
            end = next((n for n in range(number, len(text_lines)) if not _ROW.match(text_lines[n])), len(text_lines))
            found += _table(text_lines[number:end])
            number = end
        else:
            found.append(_line(line))
            number += 1
    return found


def _end_of_code(lines: Sequence[str], begin: int, language: str, mark: str) -> int:
    return next((n for n in range(begin, len(lines)) if _next_fence(lines[n], language, mark)[0] is None), len(lines))


def _code(lines: Sequence[str], language: str, colour: Colour) -> Iterator[TextLine]:
    text = "\n".join(lines)
    for line, pieces in zip(lines, colour(text, language), strict=False):
        coloured = "".join(piece.text for piece in pieces) == line
        spans = [Span(piece.text, _STYLES[piece.style]) for piece in pieces] if coloured else [Span(line)]
        yield TextLine((Span("  "), *spans), hang=4, words=False)


def _table(lines: Sequence[str]) -> Iterator[TextLine]:
    """Yield the rows of a table with its columns below each other."""
    rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]
    shown = [[list(_inline(cell)) for cell in row] for row in rows]
    width = [
        max((_width(row[n]) for row, line in zip(shown, lines, strict=True) if n < len(row) and not _DASHES.match(line)), default=0)
        for n in range(max(map(len, rows)))
    ]
    for line, row in zip(lines, shown, strict=True):
        if _DASHES.match(line):
            yield TextLine((Span("─┼─".join("─" * each for each in width), TextStyle.DIM),), single=True)
            continue
        spans: list[Span] = []
        for n, cell in enumerate(row):
            spans += [Span(" │ ", TextStyle.DIM)] if n else []
            spans += [*cell, Span(" " * (width[n] - _width(cell)))]
        yield TextLine(tuple(spans), hang=2)


def _width(spans: Sequence[Span]) -> int:
    return sum(cells(span.text) for span in spans)


def _line(line: str) -> TextLine:
    if found := _HEADING.match(line):
        return TextLine((Span(found[1], TextStyle.HEADING),))
    if _RULE.match(line):
        return TextLine((Span("─" * 24, TextStyle.DIM),), single=True)
    if found := _QUOTE.match(line):
        return TextLine((Span("▎ ", TextStyle.DIM), *(Span(text, TextStyle.DIM) for text, _ in _inline(line[found.end() :]))), hang=2)
    if found := _ITEM.match(line):
        lead = Span(f"{found[1]}•{found[3]}", TextStyle.ACCENT)
        return TextLine((lead, *_inline(line[found.end() :])), hang=found.end())
    return TextLine(tuple(_inline(line)), hang=hanging(line))


def hanging(line: str) -> int:
    """Return by how much the wrapped rest of a line is indented: as its text is, behind what marks it as an item of a list."""
    found = _INDENT.match(line)
    return found.end() if found else 0


def _inline(line: str) -> Iterator[Span]:
    """Yield a line's text without the marks of emphasis, code and links, in their styles."""
    at = 0
    for found in _INLINE.finditer(line) if len(line) <= LONGEST else ():
        if found.start() > at:
            yield Span(line[at : found.start()])
        at = found.end()
        if found["code"]:
            yield Span(found["code"], TextStyle.CODE)
        elif found["strong"]:
            yield Span(found["strong"], TextStyle.STRONG)
        elif found["text"]:
            yield Span(found["text"], TextStyle.ACCENT)
            yield from [Span(f" ({found['url']})", TextStyle.DIM)] if found["url"] != found["text"] else []
        else:
            yield Span(found["star"] or found["line"], TextStyle.EMPHASIS)
    if at < len(line) or not line:
        yield Span(line[at:])
