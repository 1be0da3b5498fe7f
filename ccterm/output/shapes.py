"""Knows secrets by their shape: tokens with a telling prefix, private keys, passwords in URLs. Nobody has to register them.

Each shape has a literal that it cannot be without; only where that stands is the pattern tried. All lengths are bounded, so it is always
known how much of a cut text may still become a match.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """What a kind of secret looks like, from its literal on.

    secret: matches all of it; its group 1, where it has one, is what to hide. begun: matches whatever may become a match.
    """

    secret: re.Pattern[bytes]
    begun: re.Pattern[bytes]


def _token(prefix: str, first: str, least: int, rest: str, most: int) -> Shape:
    begun = rf"{prefix[:-1]}(?:{prefix[-1]}{first}{{0,{least}}}+{rest}{{0,{most}}}+)?"
    return Shape(re.compile(rf"{prefix}{first}{{{least}}}{rest}{{0,{most}}}".encode()), re.compile(begun.encode()))


def _private_key() -> Shape:
    """Return the shape of a PEM block, also in JSON, on one line, or without its end. A mention of its first line alone is none."""
    begin, end = r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----", r"-----END [A-Z0-9 ]{0,80}-----"
    line, gap = r"(?:[\r\n]|\\{1,4}[nr]){1,4}+", r"(?:\s|\\{1,4}[nrt]){0,8}+"
    code, name, value = "[A-Za-z0-9+/=]", "[A-Za-z][A-Za-z0-9-]{0,30}", r"(?:[^\r\n\\]|\\{1,4}(?![nr\\])){0,200}+"
    head = rf"{begin}(?:{line}{name}: {value}){{0,8}}+"
    body = rf"(?:{gap}{code}{{20,200}}+){{1,400}}+"
    begun_head = rf"(?:{line}(?:{name}(?:: ?{value})?)?)?\\{{0,4}}"
    begun_body = rf"(?:{body})?(?:{gap}{code}{{0,200}})?{gap}\\{{0,4}}(?:-{{1,5}}|-----E(?:N(?:D(?: [A-Z0-9 ]{{0,80}}-{{0,5}})?)?)?)?"
    return Shape(
        re.compile(rf"{head}{body}(?:(?:{gap}{code}{{1,200}}+)?{gap}{end})?".encode()),
        re.compile(rf"-----BEGIN [A-Z0-9 ]{{0,80}}-{{0,5}}|{head}(?:{begun_head}|{begun_body})".encode()),
    )


_IN_URL = r"""[^\s/?#"'<>\\]"""
_SHAPES = {
    b"sk-ant": _token("sk-ant-", "[A-Za-z0-9_-]", 20, "[A-Za-z0-9_-]", 500),
    **{prefix.encode(): _token(prefix, "[A-Za-z0-9]", 20, "[A-Za-z0-9]", 500) for prefix in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")},
    b"github_pat_": _token("github_pat_", "[A-Za-z0-9]", 16, "[A-Za-z0-9_]", 500),
    b"glpat": _token("glpat-", "[A-Za-z0-9_-]", 20, "[A-Za-z0-9_-]", 500),
    b"AKIA": _token("AKIA", "[A-Z0-9]", 16, "[A-Z0-9]", 0),
    b"-----BEGIN ": _private_key(),
    b"://": Shape(
        re.compile(rf"://((?:(?![:@]){_IN_URL}){{0,200}}:{_IN_URL}{{1,500}})@".encode()), re.compile(rf"://{_IN_URL}{{0,701}}".encode())
    ),
}
_LITERALS = re.compile(b"|".join(map(re.escape, _SHAPES)))
_HEADS = frozenset(literal[:size] for literal in _SHAPES for size in range(1, len(literal)))
_LONGEST = max(map(len, _HEADS))


def shaped(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where in some bytes something has the shape of a secret: begin and end."""
    for begin, shape in _candidates(data):
        match = shape.secret.match(data, begin)
        if match:
            yield match.span(match.lastindex or 0)


def undecided(data: bytes) -> int:
    """Return from where on a shape may have begun that the end of the data cuts off."""
    begun = (begin for begin, shape in _candidates(data) if shape.begun.fullmatch(data, begin))
    head = (at for at in range(max(len(data) - _LONGEST, 0), len(data)) if data[at:] in _HEADS)
    return min(next(begun, len(data)), next(head, len(data)))


def _candidates(data: bytes) -> Iterator[tuple[int, Shape]]:
    found = _LITERALS.search(data)
    while found:
        yield found.start(), _SHAPES[found[0]]
        found = _LITERALS.search(data, found.start() + 1)
