"""The forms in which a secret value may appear in a text: as it is, escaped, quoted, encoded, or in parts.

GitHub's runner masks eleven encodings of a secret (its ADR 0297 explains how base64 is found inside a longer text). These are much the
same, plus what agents come across: JSON in JSON, hex, the fields of a JSON file, the lines of a key file.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, quote_plus

from pydantic import JsonValue

from ccterm.git.bounded_json import read_json
from ccterm.output.sanitise import sanitise

SHORTEST = 6
"""A shorter value, in characters, cannot be masked: ordinary text would be full of matches."""
PART = 8
"""Shortest line or field of a value that is masked by itself, in characters."""

Proof = Literal["none", "whole", "piece"]

_URL_SAFE = ("", "/", "!'()*", "!'()*;,/?:@&=+$#")  # of a value, a path, encodeURIComponent, encodeURI
_ESCAPE = re.compile(r"%[0-9A-F]{2}|\\u[0-9a-f]{4}")
_OPAQUE = re.compile(
    r"(?=.*[0-9])(?=.*[A-Z])(?=.*[a-z])(?!/)(?!.*//)[A-Za-z0-9_+/=.-]{20,}"
    r"|(?=.*[0-9])(?=.*[a-f])[0-9a-f-]{20,}|(?=.*[0-9])(?=.*[A-F])[0-9A-F-]{20,}"
)


@dataclass(frozen=True)
class Form:
    """One form of a value, in UTF-8."""

    data: bytes
    pieces: bool
    """Whether pieces of it are masked too, such as a truncated token or wrapped base64."""
    proof: Proof
    """What of it proves that the secret is present. A field or a line of a value may be an ordinary word, which proves nothing."""


def forms_of(value: str) -> list[Form]:
    """Return every form of a secret value, each once; none if it is too short. White space around the value is ignored."""
    value = value.strip()
    if len(value) < SHORTEST:
        return []
    forms = {form.data: form for form in reversed([*_whole(value), *_parts(value)])}
    return [form for form in forms.values() if len(form.data) >= SHORTEST]


def _whole(value: str) -> Iterator[Form]:
    """Yield the forms of a text that is secret as a whole."""
    yield from _spelled(value, proof="whole")
    yield from (Form(data, pieces=True, proof="piece") for data in _encoded(_octets(value)))


def _parts(value: str) -> Iterator[Form]:
    for leaf in _leaves(value):
        if _OPAQUE.fullmatch(leaf):
            yield from _whole(leaf)
        else:
            yield from _spelled(leaf, proof="none")
            yield from (Form(data, pieces=True, proof="none") for data in _encoded(_octets(leaf)))
    for text in (value, *_leaves(value)):
        for line in _long(text.splitlines()):
            yield from _spelled(line, proof="whole" if _OPAQUE.fullmatch(line) else "none")


def _spelled(text: str, *, proof: Proof) -> Iterator[Form]:
    """Yield the spellings in which a text can still be read without decoding."""
    pieces = _OPAQUE.fullmatch(text) is not None
    spellings = {text, sanitise(text), html.escape(text), *_url(text)}
    for _ in range(2):  # JSON, then JSON inside JSON
        spellings |= {escaped for spelling in spellings for escaped in _json(spelling)}
    yield from (Form(_octets(spelling), pieces=pieces, proof=proof) for spelling in sorted(spellings))


def _json(text: str) -> Iterator[str]:
    """Yield a text as JSON writers spell it: plain, in ASCII, and the way Go does."""
    plain, ascii_only = json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]
    yield from (plain, ascii_only, _swapped(ascii_only))
    yield plain.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    yield plain.replace("/", r"\/")


def _url(text: str) -> Iterator[str]:
    octets = _octets(text)
    for quoted in (*(quote(octets, safe=safe) for safe in _URL_SAFE), quote_plus(octets)):
        yield from (quoted, _swapped(quoted))


def _swapped(text: str) -> str:
    """Return an escaped text with the case of its hex digits swapped."""
    return _ESCAPE.sub(lambda found: found[0][:2] + found[0][2:].swapcase() if found[0][0] == "\\" else found[0].lower(), text)


def _encoded(octets: bytes) -> Iterator[bytes]:
    """Yield the forms that have to be decoded to be read: base64 and base32 at all alignments, hex."""
    for shift, drop in enumerate((0, 2, 3)):
        code = base64.b64encode(bytes(shift) + octets)[drop : (shift + len(octets)) * 8 // 6]  # without what neighbouring bytes affect
        yield from (code, code.translate(bytes.maketrans(b"+/", b"-_")))
    for shift in range(5):
        code = base64.b32encode(bytes(shift) + octets)[-(-8 * shift // 5) : (shift + len(octets)) * 8 // 5]
        yield from (code, code.lower())
    yield from (octets.hex().encode(), octets.hex().upper().encode())


def wide_forms(value: str) -> list[bytes]:
    """Return a secret value in UTF-16, in both byte orders, as files of Windows have it; none if it is too short."""
    value = value.strip()
    return [value.encode(name, "surrogatepass") for name in ("utf-16-le", "utf-16-be")] if len(value) >= SHORTEST else []


def _leaves(value: str) -> list[str]:
    """Return the long strings of a value that is a JSON document."""
    if value[:1] not in ("{", "["):
        return []
    try:
        return _long(_strings(read_json(value)))
    except ValueError:
        return []


def _strings(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)


def _long(texts: Iterable[str]) -> list[str]:
    return [stripped for text in texts if len(stripped := text.strip()) >= PART]


def _octets(text: str) -> bytes:
    """Return a text's bytes; bytes of an environment that are not UTF-8 come back unchanged."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
