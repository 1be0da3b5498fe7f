"""Recognises secrets by their shape: tokens with a known prefix, private keys, passwords in URLs and their queries. Nobody has to register them.

Every shape begins with a literal, so that one search for all of them is fast, and has a bounded length, so that it is always known how
much of a cut text may still become a match.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class Shape(NamedTuple):
    """What one kind of secret looks like, as two patterns.

    secret: matches all of it; its only group, if any, is what to hide. begun: matches whatever may yet become a match.
    """

    secret: str
    begun: str


def _token(prefix: str, first: str, least: int, rest: str, most: int) -> Shape:
    return Shape(f"{prefix}{first}{{{least}}}{rest}{{0,{most}}}+", f"{prefix}{first}{{0,{least}}}+{rest}{{0,{most}}}+")


def _private_key() -> Shape:
    """Return the shape of a PEM block: also in JSON, on one line, or without its end. Its first line alone does not count."""
    begin, end = r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----", r"-----END [A-Z0-9 ]{0,80}-----"
    line, gap = r"(?:[\r\n]|\\{1,4}[nr]){1,4}+", r"(?:\s|\\{1,4}[nrt]){0,8}+"
    code, name, value = "[A-Za-z0-9+/=]", "[A-Za-z][A-Za-z0-9-]{0,30}", r"(?:[^\r\n\\]|\\{1,4}(?![nr\\])){0,200}+"
    head = rf"{begin}(?:{line}{name}: {value}){{0,8}}+"
    body = rf"(?:{gap}{code}{{20,200}}+){{1,400}}+"
    begun_head = rf"(?:{line}(?:{name}(?:: ?{value})?)?)?\\{{0,4}}"
    begun_body = rf"(?:{body})?(?:{gap}{code}{{0,200}})?{gap}\\{{0,4}}(?:-{{1,5}}|-----E(?:N(?:D(?: [A-Z0-9 ]{{0,80}}-{{0,5}})?)?)?)?"
    return Shape(
        rf"{head}{body}(?:(?:{gap}{code}{{1,200}}+)?{gap}{end})?",
        rf"(?:-----BEGIN [A-Z0-9 ]{{0,80}}-{{0,5}}|{head}(?:{begun_head}|{begun_body}))",
    )


def _in_query(mark: str) -> Shape:
    """Return the shape of a value in a URL's query whose name says that it is secret. What a shell or a person would fill in is none."""
    name = r"(?i:[A-Z0-9_.-]{0,40}(?:token|secret|password|passwd|signature|credential|api[_-]?key)|sig|key)"
    value = r"""[^\s&#"'<>\\`,;)\]}]"""
    return Shape(rf"{mark}{name}=((?![$*{{.]|%[A-Z_]+%){value}{{6,2000}})", rf"{mark}(?:[A-Za-z0-9_.-]{{0,60}}|{name}={value}{{0,2000}}+)")


_IN_URL = r"""[^\s/?#"'<>\\]"""
_LITERALS = ("sk-ant-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AKIA", "-----BEGIN ", "://")
_SHAPES = (
    _token("sk-ant-", "[A-Za-z0-9_-]", 20, "[A-Za-z0-9_-]", 500),
    _token("gh[pousr]_", "[A-Za-z0-9]", 20, "[A-Za-z0-9]", 500),
    _token("github_pat_", "[A-Za-z0-9]", 16, "[A-Za-z0-9_]", 500),
    _token("glpat-", "[A-Za-z0-9_-]", 20, "[A-Za-z0-9_-]", 500),
    _token("AKIA", "[A-Z0-9]", 16, "[A-Z0-9]", 0),
    _private_key(),
    _in_query(r"\?"),
    _in_query("&"),
    Shape(rf"://((?:(?![:@]){_IN_URL}){{0,200}}:{_IN_URL}{{1,500}})@", rf"://{_IN_URL}{{0,701}}+"),
)
_SECRET = re.compile("|".join(shape.secret for shape in _SHAPES).encode())
_BEGUN = re.compile(rf"(?:{'|'.join(shape.begun for shape in _SHAPES)})\Z".encode())
_HEADS = frozenset(literal[:size].encode() for literal in _LITERALS for size in range(1, len(literal)))
_LONGEST = max(map(len, _HEADS))


def shaped(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the ranges of bytes that have the shape of a secret, as start and end. They may overlap."""
    match = _SECRET.search(data)
    while match:
        yield match.span(match.lastindex or 0)
        match = _SECRET.search(data, match.start() + 1)


def holds_key_or_token(data: bytes) -> bool:
    """Whether bytes contain something shaped like a token or a private key. What is in URLs does not count: every example has one."""
    match = _SECRET.search(data)
    while match:
        if not match.lastindex:
            return True
        match = _SECRET.search(data, match.start() + 1)
    return False


def undecided(data: bytes) -> int:
    """Return where a shape may begin that the end of the data cuts off."""
    begun = _BEGUN.search(data)
    if begun:
        return begun.start()
    return next((at for at in range(max(len(data) - _LONGEST, 0), len(data)) if data[at:] in _HEADS), len(data))
