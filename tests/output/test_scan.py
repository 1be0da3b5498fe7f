"""A scan names the registered secrets in some bytes and is not fooled by ordinary words."""

import base64
import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.output.mask import Masker
from tests.output.secrets import SECRETS, benign_lines, opaque

ALL = Masker(SECRETS)
DIFF = b"+++ b/file\n@@ -1 +1,2 @@\n+"


def scanned(data: bytes, size: int) -> frozenset[str]:
    scan = ALL.scan()
    for at in range(0, len(data), size):
        scan.feed(data[at : at + size])
    return scan.names


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1_000, 100_000])
@pytest.mark.parametrize("name", [name for name in SECRETS if name != "big"])
def test_a_secret_is_found_however_the_bytes_are_cut(name: str, size: int) -> None:
    assert name in scanned(DIFF + SECRETS[name].encode() + b"\n+more\n", size)


@pytest.mark.parametrize("size", [100, 4_096, 65_536])
def test_a_long_secret_is_found_over_many_pieces(size: int) -> None:
    assert scanned(b"x" * 50 + SECRETS["big"].encode(), size) == {"big"}


@pytest.mark.parametrize(
    "written",
    [
        lambda s: json.dumps({"a": s}),
        lambda s: json.dumps(json.dumps(s)),
        lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
        lambda s: "\n".join(textwrap.wrap(base64.b64encode(f"header {s}".encode()).decode(), 76)),
        lambda s: s.encode().hex(),
        lambda s: s.replace("\n", "\r\n"),
    ],
    ids=["JSON", "JSON in JSON", "base64", "wrapped base64", "hex", "Windows line breaks"],
)
@pytest.mark.parametrize("name", ["claude", "github", "lines"])
def test_a_secret_is_found_in_other_forms(name: str, written: object) -> None:
    assert callable(written)
    assert name in ALL.found(str(written(SECRETS[name])))


def test_every_secret_of_a_text_is_found() -> None:
    assert ALL.found(" ".join(SECRETS.values())) == SECRETS.keys()


def test_harmless_bytes_hold_no_secret() -> None:
    assert not ALL.found("\n".join(benign_lines(2_000)))
    assert not scanned(bytes(range(256)) * 300, 4_096)


def test_ordinary_words_of_a_secret_file_are_no_proof() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + opaque(64) + "\n-----END PRIVATE KEY-----\n"
    file = json.dumps({"type": "service_account", "private_key": key, "token_uri": "https://oauth2.example.com/token"})
    masker = Masker({"GCP": file})
    assert not masker.found("service_account https://oauth2.example.com/token -----BEGIN PRIVATE KEY-----")
    assert masker.found(key) == masker.found(key.split("\n")[1]) == {"GCP"}


def test_the_beginning_that_many_tokens_share_is_no_proof() -> None:
    header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    masker = Masker({"JWT": f"{header}.{opaque(80)}.{opaque(43)}"})
    assert not masker.found(f"assert token.startswith('{header}')")


def test_shapes_alone_name_no_registered_secret() -> None:
    assert not ALL.found("ghp_" + opaque(36))


@given(st.lists(st.sampled_from([*(v for n, v in SECRETS.items() if n != "big"), "ab", "\n", "é"]), max_size=6), st.integers(1, 50))
def test_it_does_not_matter_how_bytes_are_cut(parts: list[str], size: int) -> None:
    text = "".join(parts)
    assert scanned(text.encode(), size) == ALL.found(text)
