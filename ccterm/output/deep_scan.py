"""Searches a file for registered secrets, also where they can only be read after decoding: in dumps, in UTF-16, in what is compressed.

What a commit adds is searched once, so it may cost more than masking a line does. Bounded all the same: whatever a file holds, at most
so many bytes of it are decoded and unpacked.
"""

import bz2
import lzma
import mmap
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Protocol

from ccterm.output.mask import Masker

_CHUNK = 1 << 20
DECODED = 16 << 20
"""How many bytes of dumps are decoded at most."""
UNPACKED = 64 << 20
"""How many bytes are unpacked at most."""
_LONGEST_LINE = 64 << 10
_OVERLAP = 9
"""The longest head of a packed file, less one byte."""
_MOST_MEMBERS = 10_000
_MEMORY = 64 << 20
_Data = mmap.mmap | bytes
# Each pattern begins with a literal, which makes the search for it fast.
_PAIRS = rb"(?:[0-9A-Fa-f]{2}[ \t]{0,3})"
_LINE = rb"[+ \t]{0,8}(?:[0-9A-Fa-f]{4,16}(?::[ \t]{0,4}|[ \t]{1,4})(%s{1,512})|(%s{4,512}))" % (_PAIRS, _PAIRS)
_FIRST_LINE, _HEX_LINE = re.compile(_LINE), re.compile(rb"\n" + _LINE)
_HEX_LISTS = [re.compile(rb"((?:%s[0-9A-Fa-f]{2}[,; \t\"'+\r\n]{0,40}){4,})" % mark) for mark in (rb"0x", rb"\\x")]
_DECIMAL = re.compile(rb",(?:[ \t\r\n+]{0,40}[0-9]{1,3},){14,}[ \t\r\n+]{0,40}[0-9]{0,3}")
_NOT_HEX = re.compile(rb"0x|\\x|[^0-9A-Fa-f]")
_NUMBER = re.compile(rb"[0-9]+")
_LAST_NUMBER = re.compile(rb"[0-9]{1,3}\Z")
_PER_LINE = 16
"""Tools that dump bytes print so many in a line; what follows is the same as text."""
_PACKED = re.compile(rb"\x1f\x8b\x08|PK\x03\x04.{4}\x08\x00|BZh[1-9]1AY&SY|\xfd7zXZ\x00", re.DOTALL)


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...


def secrets_in_file(masker: Masker, path: Path) -> frozenset[str]:
    """Return the names of the registered secrets in a file; none if it does not exist. Blocks. Raises OSError."""
    if not path.exists() or not path.stat().st_size:
        return frozenset()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return secrets_in_bytes(masker, data)


def secrets_in_bytes(masker: Masker, data: _Data, *, unpacked: int = UNPACKED) -> frozenset[str]:
    """Return the names of the registered secrets in some bytes. unpacked: how many bytes are unpacked at most."""
    names = _names(masker, (data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)))
    views = [_hex_dumps(data), _cut(_hex_dumps(data)), _words(_cut(_hex_dumps(data))), _numbers(data)]
    for view in (*views, *(_decoded(_search(pattern, data)) for pattern in _HEX_LISTS)):
        names |= _names(masker, view)
    left = unpacked
    for number, found in enumerate(_search(_PACKED, data)):
        if left <= 0 or number >= _MOST_MEMBERS:
            break
        scan = masker.scan()
        for piece in _unpacked(data, found.start(), left):
            scan.feed(piece)
            left -= len(piece)
        names |= scan.names
    return names


def _names(masker: Masker, pieces: Iterator[bytes]) -> frozenset[str]:
    scan = masker.scan()
    for piece in pieces:
        scan.feed(piece)
    return scan.names


def _search(pattern: re.Pattern[bytes], data: _Data) -> Iterator[re.Match[bytes]]:
    """Yield the matches of a pattern, looking at a chunk at a time, so that nothing else of this process waits for long.

    Chunks end before a line break, where one is near: what is spelled in lines is found whole.
    """
    at = 0
    while at < len(data):
        end = data.find(b"\n", at + _CHUNK, at + _CHUNK + _LONGEST_LINE) if at + _CHUNK < len(data) else len(data)
        end = at + _CHUNK if end < 0 else end
        yield from pattern.finditer(data, at, min(end + _OVERLAP, len(data)) if pattern is _PACKED else end)
        at = end


def _hex_dumps(data: _Data) -> Iterator[bytes]:
    """Yield the bytes that the lines of hex dumps spell, and all that follows in a line as far as it looks like hex."""
    first = _FIRST_LINE.match(data)
    yield from _decoded(chain([first] if first else [], _search(_HEX_LINE, data)))


def _decoded(found: Iterable[re.Match[bytes]]) -> Iterator[bytes]:
    left = DECODED
    for match in found:
        decoded = bytes.fromhex(_NOT_HEX.sub(b"", match[match.lastindex or 0]).decode())
        if (left := left - len(decoded)) < 0:
            return
        yield decoded


def _cut(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield of each line what a dump has in it: the text behind that may look like hex, too."""
    return (line[:_PER_LINE] for line in lines)


def _words(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield bytes with the two of each word exchanged, as tools print them that show words of the machine."""
    for line in lines:
        words = bytearray(line if len(line) % 2 == 0 else line + b"\0")
        words[::2], words[1::2] = words[1::2], words[::2]
        yield bytes(words)


def _numbers(data: _Data) -> Iterator[bytes]:
    """Yield the bytes that lists of decimal numbers spell."""
    left = DECODED
    for found in _search(_DECIMAL, data):
        before = _LAST_NUMBER.search(data[max(found.start() - 3, 0) : found.start()])
        numbers = [int(number) for number in (*([before[0]] if before else []), *_NUMBER.findall(found[0]))]
        if (left := left - len(numbers)) < 0:
            return
        yield bytes(number for number in numbers if number < 256)


def _unpacked(data: _Data, at: int, limit: int) -> Iterator[bytes]:
    """Yield what is packed from a position on, a piece at a time, as far as it is sound and within the limit."""
    head = data[at : at + 30]
    with suppress(zlib.error, OSError, lzma.LZMAError, EOFError, ValueError):
        if head.startswith(b"\x1f\x8b"):
            inflating = zlib.decompressobj(31)
            yield from _pieces(data, at, limit, inflating.decompress, lambda: inflating.unconsumed_tail, inflating)
        elif head.startswith(b"PK"):
            raw = zlib.decompressobj(-15)
            begin = at + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            yield from _pieces(data, begin, limit, raw.decompress, lambda: raw.unconsumed_tail, raw)
        elif head.startswith(b"BZh"):
            blocks = bz2.BZ2Decompressor()
            yield from _pieces(data, at, limit, blocks.decompress, lambda: b"", blocks)
        else:
            stream = lzma.LZMADecompressor(memlimit=_MEMORY)
            yield from _pieces(data, at, limit, stream.decompress, lambda: b"", stream)


def _pieces(
    data: _Data, at: int, limit: int, unpack: Callable[[bytes, int], bytes], rest: Callable[[], bytes], state: _Unpacker
) -> Iterator[bytes]:
    """Feed an unpacker block by block, and take at most a chunk out of it at a time. rest: what it did not take in and wants again."""
    waiting = b""
    while limit > 0 and not state.eof:
        if not waiting and getattr(state, "needs_input", True):
            waiting = data[at : at + _CHUNK]
            at += len(waiting)
            if not waiting:
                return
        piece = unpack(waiting, min(limit, _CHUNK))
        waiting = rest()
        if not piece and not waiting and at >= len(data):
            return
        limit -= len(piece)
        yield piece
