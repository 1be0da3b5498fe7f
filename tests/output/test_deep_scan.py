"""What a commit adds is searched where a secret can only be read after decoding, too; what holds none is not slow and not suspected."""

import base64
import bz2
import gzip
import io
import lzma
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.output.deep_scan import secrets_in_bytes, secrets_in_file
from ccterm.output.mask import Masker
from tests.output.secrets import benign_lines, opaque

SECRET = "q" + opaque(39)
MASKER = Masker({"TOKEN": SECRET})
TEXT = b"some text\n" * 3 + SECRET.encode() + b"\nmore text\n"


def hex_dump(data: bytes, *, group: int = 2, ascii_column: bool = True, swapped: bool = False) -> bytes:
    """Print bytes as xxd, hexdump and od do."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        groups = [(row[n : n + 2].ljust(2, b"\0")[::-1] if swapped else row[n : n + group]).hex() for n in range(0, len(row), group)]
        beside = f"  {''.join(chr(c) if 32 <= c < 127 else '.' for c in row)}" if ascii_column else ""
        lines.append(f"{at:08x}: {' '.join(groups)}{beside}")
    return "\n".join(lines).encode()


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", data)
    return file.getvalue()


ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-16 BE": lambda data: data.decode().encode("utf-16-be"),
    "base32": base64.b32encode,
    "base32 in lines": lambda data: "\n".join(textwrap.wrap(base64.b32encode(b"x" + data).decode().lower(), 76)).encode(),
    "xxd": hex_dump,
    "hexdump -C": lambda data: hex_dump(data, group=1),
    "od -x": lambda data: hex_dump(data, swapped=True, ascii_column=False),
    "hex in a line": lambda data: data.hex(" ").encode(),
    "C array": lambda data: ", ".join(f"0x{byte:02x}" for byte in data).encode(),
    "bytes of Python": lambda data: "".join(f"\\x{byte:02x}" for byte in data).encode(),
    "numbers": lambda data: ",\n  ".join(map(str, data)).encode(),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
}


@pytest.mark.parametrize("encode", ENCODED.values(), ids=ENCODED)
def test_a_secret_is_found_behind_an_encoding(encode: Callable[[bytes], bytes]) -> None:
    before, after = b"message\n+added\n", b"\n+end\n"
    assert secrets_in_bytes(MASKER, before + encode(TEXT) + after) == {"TOKEN"}
    assert not secrets_in_bytes(MASKER, before + encode(TEXT.replace(SECRET.encode(), b"none")) + after)


@given(before=st.binary(max_size=80), encode=st.sampled_from(["xxd", "hexdump -C", "od -x", "gzip", "numbers"]))
def test_wherever_it_begins(before: bytes, encode: str) -> None:
    assert secrets_in_bytes(MASKER, ENCODED[encode](before + SECRET.encode())) == {"TOKEN"}


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\x1f\x8b\x08", b"PK\x03\x04aaaa\x08\x00", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"\n0000: 61 62 6"]),
)
def test_damaged_files_hold_nothing_and_stop_nothing(rest: bytes, head: bytes) -> None:
    assert secrets_in_bytes(MASKER, head + rest) == frozenset()


@pytest.mark.parametrize("encode", ["hexdump -C", "C array", "numbers", "gzip"])
def test_a_large_file_is_searched_chunk_by_chunk(encode: str) -> None:
    for before in (1 << 20, (1 << 20) - 5):
        assert secrets_in_bytes(MASKER, b"x" * before + b"\n" + ENCODED[encode](TEXT)) == {"TOKEN"}


def test_what_is_packed_without_end_is_unpacked_up_to_a_bound() -> None:
    assert not secrets_in_bytes(MASKER, gzip.compress(bytes(2 << 20) + TEXT), unpacked=1 << 20)
    assert secrets_in_bytes(MASKER, gzip.compress(bytes(1 << 19) + TEXT), unpacked=1 << 20) == {"TOKEN"}


def test_harmless_files_hold_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "added.bin"
    assert secrets_in_file(MASKER, file) == frozenset()
    file.write_bytes(b"")
    assert secrets_in_file(MASKER, file) == frozenset()
    file.write_text("\n".join(benign_lines(500)))
    assert secrets_in_file(MASKER, file) == frozenset()
